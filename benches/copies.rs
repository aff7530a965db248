//! What copies cost through an encrypted store: time beside a plain copy of the same access
//! pattern and one with the bare cipher in it, and memory.
//!
//! ```sh
//! cargo bench -p benches --bench copies              # time, 64 MiB
//! cargo bench -p benches --bench copies -- peak      # memory, 4 GiB; takes 9 GiB of TMPDIR
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark stops at the first surprise, and measures time"
)]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Bare, TAG};
use bytes::Bytes;
use envelope::{RawAes, WrappingKey};
use envelope_store::{DEFAULT_FRAME_LENGTH, EncryptedStore, Framed};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use object_store::{ObjectStore, ObjectStoreExt, Result, WriteMultipart};
use tokio::runtime::{Builder, Runtime};

/// Length in bytes of an object whose copy is timed.
const LENGTH: usize = 64 << 20;
/// Length in bytes of an object whose copy must not take memory.
const LONG: usize = 4 << 30;
/// Length in bytes of a range that is read, and of a part that is written.
const PART: usize = 8 << 20;
/// Parts that are written at once.
const IN_FLIGHT: usize = 4;
/// Parts that a copy may hold beside those: what came in, and what goes out next.
const BESIDE: usize = 2;
/// How long a part is under way where memory is measured: longer than it takes to make
/// `IN_FLIGHT` of them.
const DELAY: Duration = Duration::from_millis(60);
/// Times that each copy is made. All copies take turns, so that a busy machine hits all alike.
const ROUNDS: usize = 31;
/// Frames of the stores, and of the bare cipher, in bytes.
const FRAME: usize = DEFAULT_FRAME_LENGTH as usize;
/// Length in bytes of a part that the bare cipher sealed.
const SEALED_PART: usize = PART + PART / FRAME * TAG;
/// Where copies go.
const TARGETS: &str = "target";
const TARGET: &str = "target/copy";

fn main() {
    // Cargo adds one of its own.
    let words: Vec<_> = std::env::args().filter(|word| word != "--bench").collect();
    let words: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
    match words[..] {
        [] => {
            let folder = tempfile::tempdir().unwrap();
            times("memory", Arc::new(InMemory::new()));
            times("files", Arc::new(files(folder.path())));
        }
        ["peak"] => peaks(),
        ["peak", copy, folder] => peak(copy, folder.as_ref()),
        _ => panic!("give no argument, or `peak`"),
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn files(folder: &std::path::Path) -> LocalFileSystem {
    LocalFileSystem::new_with_prefix(folder).unwrap()
}

/// The same keys in every process.
fn keyring() -> RawAes {
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    RawAes::new("acme", "bench", key).unwrap()
}

/// How an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    /// In ranges of a part each.
    Ranges,
    /// As it comes.
    Stream,
}

/// A part of the plaintext after another.
fn ranges<'a>(
    from: &'a dyn ObjectStore,
    source: &'a Path,
    parts: usize,
    part: usize,
) -> BoxStream<'a, Result<Bytes>> {
    let starts = stream::iter((0..parts as u64).map(move |number| number * part as u64));
    let read = move |start| from.get_range(source, start..start + part as u64);
    starts.then(read).boxed()
}

/// Uploads what comes in, without a copy of its own.
async fn write(to: &dyn ObjectStore, mut content: BoxStream<'_, Result<Bytes>>) {
    let upload = to.put_multipart(&Path::from(TARGET)).await.unwrap();
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
    while let Some(bytes) = content.try_next().await.unwrap() {
        upload.wait_for_capacity(IN_FLIGHT).await.unwrap();
        upload.put(bytes);
    }
    upload.finish().await.unwrap();
}

/// What the benchmark itself does to each part between reading and writing.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    BareSeal,
    BareOpen,
}

fn seal(bare: &Bare, plain: &[u8]) -> Bytes {
    let mut sealed = vec![0; SEALED_PART];
    bare.seal(plain, FRAME, &mut sealed).unwrap();
    sealed.into()
}

fn open(bare: &Bare, sealed: &[u8]) -> Bytes {
    let mut plain = vec![0; PART];
    bare.open(sealed, FRAME, &mut plain).unwrap();
    plain.into()
}

/// A copy that is timed.
struct Copy<'a> {
    pattern: Pattern,
    what: String,
    from: &'a dyn ObjectStore,
    source: Path,
    between: Between,
    to: &'a dyn ObjectStore,
}

/// What one copy took, or the median of several.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Of all threads, in user and system mode.
    cpu: Duration,
}

impl Copy<'_> {
    async fn run(&self, bare: &Bare) -> Cost {
        let (start, before) = (Instant::now(), cpu_time());
        let part = match self.between {
            Between::BareOpen => SEALED_PART,
            Between::Nothing | Between::BareSeal => PART,
        };
        let content = match self.pattern {
            Pattern::Ranges => ranges(self.from, &self.source, LENGTH / PART, part),
            Pattern::Stream => self.from.get(&self.source).await.unwrap().into_stream(),
        };
        let content = content.map_ok(|bytes| match self.between {
            Between::Nothing => bytes,
            Between::BareSeal => seal(bare, &bytes),
            Between::BareOpen => open(bare, &bytes),
        });
        write(self.to, content.boxed()).await;
        Cost {
            wall: start.elapsed(),
            cpu: cpu_time() - before,
        }
    }
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = usage.user_time() + usage.system_time();
    Duration::from_micros(time.num_microseconds().try_into().unwrap())
}

fn times(place: &str, plain: Arc<dyn ObjectStore>) {
    let (runtime, bare) = (runtime(), Bare::new().unwrap());
    let framed = EncryptedStore::new(Arc::clone(&plain), keyring());
    let with_files = EncryptedStore::builder(Arc::clone(&plain))
        .format(Framed::new().with_instruction_files())
        .build(keyring());
    let plain: &dyn ObjectStore = &*plain;
    let encrypted: [(&str, &dyn ObjectStore); 2] =
        [("framed", &framed), ("framed-instruction", &with_files)];

    let content = Bytes::from(vec![7; LENGTH]);
    let sealed = seal(&bare, &content[..PART]).repeat(LENGTH / PART);
    let sources = [
        ("plain", plain, content.clone()),
        ("sealed", plain, sealed.into()),
        ("framed", &framed, content.clone()),
        ("framed-instruction", &with_files, content),
    ];
    for (source, store, content) in sources {
        let source = Path::from(source);
        let put = store.put(&source, content.into());
        runtime.block_on(put).unwrap();
    }

    let mut copies = Vec::new();
    for pattern in [Pattern::Ranges, Pattern::Stream] {
        let mut add = |what, from, source, between, to| {
            copies.push(Copy {
                pattern,
                what,
                from,
                source: Path::from(source),
                between,
                to,
            });
        };
        add("plain".into(), plain, "plain", Between::Nothing, plain);
        if pattern == Pattern::Ranges {
            let (seal, open) = (Between::BareSeal, Between::BareOpen);
            add("bare cipher seals".into(), plain, "plain", seal, plain);
            add("bare cipher opens".into(), plain, "sealed", open, plain);
        }
        for (format, store) in encrypted {
            let nothing = Between::Nothing;
            add(format!("encrypt, {format}"), plain, "plain", nothing, store);
            add(format!("decrypt, {format}"), store, format, nothing, plain);
        }
    }
    let costs = runtime.block_on(in_turns(plain, &copies, &bare));
    print(place, &copies, &costs);
}

/// The median of each copy.
async fn in_turns(store: &dyn ObjectStore, copies: &[Copy<'_>], bare: &Bare) -> Vec<Cost> {
    let mut costs = vec![Vec::new(); copies.len()];
    for _ in 0..ROUNDS {
        for (copy, costs) in copies.iter().zip(&mut costs) {
            costs.push(copy.run(bare).await);
            // Copies are to new objects: replacing a file makes the file system write it out.
            let written = store.list(Some(&Path::from(TARGETS)));
            let written = written.map_ok(|meta| meta.location).boxed();
            let deleted = store.delete_stream(written).try_collect::<Vec<_>>();
            deleted.await.unwrap();
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let medians = costs.iter().map(|costs| Cost {
        wall: median(costs.iter().map(|cost| cost.wall).collect()),
        cpu: median(costs.iter().map(|cost| cost.cpu).collect()),
    });
    medians.collect()
}

fn print(place: &str, copies: &[Copy<'_>], costs: &[Cost]) {
    // The plain copy is the first of its pattern.
    let plain = |pattern| {
        let first = copies.iter().position(|copy| copy.pattern == pattern);
        costs[first.unwrap()]
    };
    println!(
        "| {place}, {} MiB | wall, ms | CPU, ms | wall, of plain | CPU, of plain \
         | wall, of plain stream |\n| --- | --- | --- | --- | --- | --- |",
        LENGTH >> 20
    );
    for (copy, cost) in copies.iter().zip(costs) {
        let pattern = match copy.pattern {
            Pattern::Ranges => "8 MiB ranges",
            Pattern::Stream => "stream",
        };
        let (same, stream) = (plain(copy.pattern), plain(Pattern::Stream));
        println!(
            "| {pattern}, {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
            copy.what,
            cost.wall.as_secs_f64() * 1000.0,
            cost.cpu.as_secs_f64() * 1000.0,
            cost.wall.div_duration_f64(same.wall),
            cost.cpu.div_duration_f64(same.cpu),
            cost.wall.div_duration_f64(stream.wall),
        );
    }
    println!();
}

/// Copies between folders, each in a process of its own, so that peaks do not mix.
fn peaks() {
    let folder = tempfile::tempdir().unwrap();
    println!(
        "| {} GiB, {IN_FLIGHT} parts of 8 MiB under way | peak, MiB | in parts | allowed |\n\
         | --- | --- | --- | --- |",
        LONG >> 30
    );
    // The first one makes what the others read.
    for copy in ["upload", "stream", "ranges", "plain ranges"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // Otherwise glibc keeps freed parts for later, of plain copies too, and the peak tells about
        // glibc, not about copies.
        command.env("MALLOC_MMAP_THRESHOLD_", "262144");
        let ended = command.args(["peak", copy]).arg(folder.path()).status();
        assert!(ended.unwrap().success(), "{copy}");
    }
}

fn peak(copy: &str, folder: &std::path::Path) {
    let runtime = runtime();
    let throttle = ThrottleConfig {
        wait_put_per_call: DELAY,
        ..ThrottleConfig::default()
    };
    let slow = Arc::new(ThrottledStore::new(files(folder), throttle));
    let plain = files(folder);
    let encrypted = EncryptedStore::new(files(folder), keyring());
    let slow_encrypted = EncryptedStore::new(Arc::clone(&slow), keyring());
    let (from, to): (&dyn ObjectStore, &dyn ObjectStore) = match copy {
        // Whatever the bytes are.
        "plain ranges" => (&plain, &slow),
        _ => (&encrypted, &slow_encrypted),
    };
    let (source, target) = (Path::from("source"), Path::from(TARGET));
    runtime.block_on(async {
        // Brings the program's own code into memory.
        write(to, stream::once(async { Ok("first".into()) }).boxed()).await;
        from.get(&target).await.unwrap().bytes().await.unwrap();
        let before = peak_of_process();
        let parts = LONG / PART;
        let content = match copy {
            "upload" => stream::repeat_with(|| Ok(vec![7; PART].into()))
                .take(parts)
                .boxed(),
            "stream" => from.get(&source).await.unwrap().into_stream(),
            _ => ranges(from, &source, parts, PART),
        };
        write(to, content).await;
        let peak = (peak_of_process() - before) / 1024.0;
        let part = (PART >> 20) as f64;
        println!(
            "| {copy} | {peak:.1} | {:.2} | {} |",
            peak / part,
            IN_FLIGHT + BESIDE
        );
        assert_eq!(from.head(&target).await.unwrap().size, LONG as u64);
        match copy {
            "upload" => from.rename(&target, &source).await.unwrap(),
            _ => from.delete(&target).await.unwrap(),
        }
    });
}

/// The most memory that this process ever had, in KiB. What `getrusage` says begins with the memory of
/// the process that started this one.
fn peak_of_process() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse().unwrap()
}
