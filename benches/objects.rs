//! What whole objects of the S3 Encryption Client's format V3 cost, put and got through a store in
//! memory, beside the bare cipher in one call and a plain store.
//!
//! ```sh
//! cargo bench -p benches --bench objects             # 1 KiB, 8 MiB and 1 GiB; takes 5 GiB of memory
//! cargo bench -p benches --bench objects -- peak     # memory of a 4 GiB object, which takes TMPDIR
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark stops at the first surprise, and measures time"
)]

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use benches::{Bare, TAG};
use bytes::Bytes;
use envelope::WrappingKey;
use envelope_s3::S3ec;
use envelope_s3::keyring::Aes;
use envelope_store::EncryptedStore;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use nix::sys::resource::{UsageWho, getrusage};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use tokio::runtime::{Builder, Runtime};

const LENGTHS: [(&str, usize, usize); 3] = [
    ("1 KiB", 1 << 10, 20_000),
    ("8 MiB", 8 << 20, 60),
    ("1 GiB", 1 << 30, 3),
];
/// Length in bytes of a part of an upload.
const PART: usize = 8 << 20;
/// Length in bytes of an object that must not take memory.
const LONG: usize = 4 << 30;
const OBJECT: &str = "object";

fn main() {
    // Cargo adds one of its own.
    let words: Vec<_> = std::env::args().filter(|word| word != "--bench").collect();
    match words.get(1).map(String::as_str) {
        None => LENGTHS.into_iter().for_each(times),
        Some("peak") => peak(),
        Some(_) => panic!("give no argument, or `peak`"),
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn store<S: ObjectStore>(inner: S, threads: usize) -> EncryptedStore<S> {
    let format = S3ec::v3()
        .threads(NonZeroUsize::new(threads).unwrap())
        .without_instruction_files();
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    EncryptedStore::builder(inner)
        .format(format)
        .build(Aes::new(key))
}

/// The shortest of some times: what other programs on the machine cost only ever adds.
fn shortest(rounds: usize, mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..rounds).map(time).min().unwrap()
}

fn print(what: &str, length: usize, time: Duration, bare: Duration) {
    let seconds = time.as_secs_f64();
    println!(
        "{what:<36} {:>9.1} us {:>7.2} GB/s {:>6.2} of the bare cipher's time",
        seconds * 1e6,
        length as f64 / seconds / 1e9,
        seconds / bare.as_secs_f64(),
    );
}

fn times((name, length, rounds): (&str, usize, usize)) {
    println!("\n{name}");
    let (runtime, path) = (runtime(), Path::from(OBJECT));
    let plaintext = Bytes::from(vec![0x5a; length]);
    let bare = Bare::new().unwrap();

    let mut sealed = vec![0; length + TAG];
    let seal = shortest(rounds, || {
        bare.seal(black_box(&plaintext), length, &mut sealed)
            .unwrap();
    });
    print("bare cipher, seal", length, seal, seal);
    let mut opened = vec![0; length];
    let open = shortest(rounds, || {
        bare.open(black_box(&sealed), length, &mut opened).unwrap();
    });
    print("bare cipher, open", length, open, open);
    drop((sealed, opened));

    let plain = InMemory::new();
    let put = |store: &dyn ObjectStore| {
        runtime
            .block_on(store.put(&path, plaintext.clone().into()))
            .unwrap();
    };
    let get = |store: &dyn ObjectStore| {
        let got = runtime.block_on(async { store.get(&path).await.unwrap().bytes().await });
        assert_eq!(got.unwrap().len(), length);
    };
    print(
        "plain store, put",
        length,
        shortest(rounds, || put(&plain)),
        seal,
    );
    print(
        "plain store, get",
        length,
        shortest(rounds, || get(&plain)),
        open,
    );
    drop(plain);

    let whole = store(InMemory::new(), 1);
    print(
        "V3, put in one piece",
        length,
        shortest(rounds, || put(&whole)),
        seal,
    );
    print("V3, get", length, shortest(rounds, || get(&whole)), open);
    drop(whole);
    if length <= PART {
        return;
    }
    for threads in [1, 2] {
        let store = store(InMemory::new(), threads);
        let time = shortest(rounds, || {
            runtime.block_on(upload(&store, &path, &plaintext))
        });
        let what = format!("V3, upload in parts, {threads} threads");
        print(&what, length, time, seal);
        let what = format!("V3, parts thrown away, {threads} threads");
        print(&what, length, sealing(&plaintext, threads), seal);
    }
}

async fn upload(store: &dyn ObjectStore, path: &Path, plaintext: &Bytes) {
    let mut upload = store.put_multipart(path).await.unwrap();
    for part in 0..plaintext.len().div_ceil(PART) {
        let end = plaintext.len().min((part + 1) * PART);
        let part = plaintext.slice(part * PART..end);
        upload.put_part(part.into()).await.unwrap();
    }
    upload.complete().await.unwrap();
}

/// What the cipher alone costs in an upload: parts are sealed and thrown away.
fn sealing(plaintext: &Bytes, threads: usize) -> Duration {
    let (runtime, path) = (runtime(), Path::from(OBJECT));
    let files = LocalFileSystem::new();
    let kept = Mutex::default();
    let store = store(
        KeptAttributes {
            files,
            kept,
            keeps_parts: false,
        },
        threads,
    );
    shortest(9, || runtime.block_on(upload(&store, &path, plaintext)))
}

/// Takes parts and keeps none.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl MultipartUpload for Nowhere {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        black_box(part);
        Box::pin(async { Ok(()) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        Ok(PutResult {
            e_tag: None,
            version: None,
            extensions: Default::default(),
        })
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Writes and reads a long object in local files.
fn peak() {
    let folder = tempfile::tempdir().unwrap();
    let files = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store = store(
        KeptAttributes {
            files,
            kept: Mutex::default(),
            keeps_parts: true,
        },
        1,
    );
    let (runtime, path) = (runtime(), Path::from(OBJECT));
    let part = Bytes::from(vec![0x5a; PART]);
    report("begin");
    runtime.block_on(async {
        let mut upload = store.put_multipart(&path).await.unwrap();
        for _ in 0..LONG / PART {
            upload.put_part(part.clone().into()).await.unwrap();
        }
        upload.complete().await.unwrap();
    });
    report("written");
    let length = runtime.block_on(async {
        let got = store.get(&path).await.unwrap().into_stream();
        got.try_fold(0, async |length, bytes| Ok(length + bytes.len()))
            .await
    });
    assert_eq!(length.unwrap(), LONG);
    report("read");
}

fn report(when: &str) {
    let peak = getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss();
    println!("{when:<8} peak {} MiB", peak / 1024);
}

/// Local files keep no attributes, which the format needs: these stay in memory.
#[derive(Debug)]
struct KeptAttributes {
    files: LocalFileSystem,
    kept: Mutex<HashMap<Path, Attributes>>,
    keeps_parts: bool,
}

impl KeptAttributes {
    fn keep(&self, location: &Path, attributes: &mut Attributes) {
        let attributes = std::mem::take(attributes);
        self.kept
            .lock()
            .unwrap()
            .insert(location.clone(), attributes);
    }
}

impl fmt::Display for KeptAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for KeptAttributes {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> Result<PutResult> {
        self.keep(location, &mut opts.attributes);
        self.files.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        mut opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.keep(location, &mut opts.attributes);
        match self.keeps_parts {
            true => self.files.put_multipart_opts(location, opts).await,
            false => Ok(Box::new(Nowhere)),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.files.get_opts(location, options).await?;
        let kept = self.kept.lock().unwrap().get(location).cloned();
        result.attributes = kept.unwrap_or_default();
        Ok(result)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}
