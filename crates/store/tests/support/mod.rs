//! An inner store that counts what is asked of it, and meddles when told to.

pub mod fault_store;
pub mod readers;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{RawAes, WrappingKey};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, UploadPart,
};

pub fn keyring() -> RawAes {
    RawAes::new(
        "acme",
        "test",
        WrappingKey::from_bytes(&mut [7; 32]).unwrap(),
    )
    .unwrap()
}

/// What was asked of the inner store.
#[derive(Debug, Default)]
pub struct Log {
    gets: AtomicUsize,
    bytes: AtomicU64,
    parts: Mutex<Vec<usize>>,
    lists: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Log {
    /// Listings, since the last call.
    pub fn lists(&self) -> usize {
        self.lists.swap(0, Ordering::Relaxed)
    }

    /// Most reads that were under way at once.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::Relaxed)
    }

    /// Reads and the bytes that they returned, since the last call.
    pub fn take(&self) -> (usize, u64) {
        (
            self.gets.swap(0, Ordering::Relaxed),
            self.bytes.swap(0, Ordering::Relaxed),
        )
    }

    /// Lengths of the parts that were uploaded, since the last call.
    pub fn parts(&self) -> Vec<usize> {
        std::mem::take(&mut self.parts.lock().unwrap())
    }
}

/// Something that happens once before a read, for example an overwrite.
type Before = Box<dyn Fn(&InMemory, usize) + Send + Sync>;

/// Counts, and cuts or changes what is read.
pub struct Spy {
    inner: Arc<InMemory>,
    pub log: Arc<Log>,
    before_get: Option<Before>,
    change: Option<fn(Vec<u8>) -> Vec<u8>>,
    unchanged_first: bool,
    length: Option<u64>,
    takes_time: bool,
    versions: Versions,
}

/// How an object's version shows.
enum Versions {
    ETag,
    /// The ETag, as a version.
    Version,
    None,
}

impl Spy {
    pub fn new() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    pub fn over(inner: Arc<InMemory>) -> Self {
        Self {
            inner,
            log: Arc::default(),
            before_get: None,
            change: None,
            unchanged_first: false,
            length: None,
            takes_time: false,
            versions: Versions::ETag,
        }
    }

    /// Runs this before each read; it is told how many there were before.
    pub fn before_get(self, run: impl Fn(&InMemory, usize) + Send + Sync + 'static) -> Self {
        let before_get = Some(Box::new(run) as Before);
        Self { before_get, ..self }
    }

    /// Passes every body through this.
    pub fn change(self, change: fn(Vec<u8>) -> Vec<u8>) -> Self {
        let change = Some(change);
        Self { change, ..self }
    }

    /// Leaves the first body as it is.
    pub fn unchanged_first(self) -> Self {
        let unchanged_first = true;
        Self {
            unchanged_first,
            ..self
        }
    }

    /// Answers reads later than at once.
    pub fn takes_time(self) -> Self {
        let takes_time = true;
        Self { takes_time, ..self }
    }

    /// Says that every object has this length.
    pub fn says_length(self, length: u64) -> Self {
        let length = Some(length);
        Self { length, ..self }
    }

    /// Gives neither ETags nor versions.
    pub fn without_versions(self) -> Self {
        let versions = Versions::None;
        Self { versions, ..self }
    }

    /// Gives versions and no ETags.
    pub fn with_versions_alone(self) -> Self {
        let versions = Versions::Version;
        Self { versions, ..self }
    }
}

impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spy")
    }
}

impl fmt::Display for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spy")
    }
}

#[async_trait]
impl ObjectStore for Spy {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(SpyUpload {
            inner: self.inner.put_multipart_opts(location, opts).await?,
            log: Arc::clone(&self.log),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let count = self.log.gets.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = &self.before_get {
            before(&self.inner, count);
        }
        let now = 1 + self.log.in_flight.fetch_add(1, Ordering::Relaxed);
        self.log.most_in_flight.fetch_max(now, Ordering::Relaxed);
        if self.takes_time {
            // Others that may run do so before this one has its answer.
            tokio::task::yield_now().await;
        }
        self.log.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut options = options;
        if let (Versions::Version, Some(version)) = (&self.versions, options.version.take()) {
            options.if_match = Some(version);
        }
        let mut result = self.inner.get_opts(location, options).await?;
        let meta = &mut result.meta;
        meta.size = self.length.unwrap_or(meta.size);
        match self.versions {
            Versions::ETag => {}
            Versions::Version => (meta.e_tag, meta.version) = (None, meta.e_tag.take()),
            Versions::None => (meta.e_tag, meta.version) = (None, None),
        }
        let GetResultPayload::Stream(body) = result.payload else {
            panic!("memory has no files");
        };
        let body: Vec<Bytes> = body.try_collect().await?;
        let mut body = body.concat();
        self.log
            .bytes
            .fetch_add(body.len() as u64, Ordering::Relaxed);
        if let Some(change) = self.change.filter(|_| count > 0 || !self.unchanged_first) {
            body = change(body);
        }
        // In small pieces, as from a network.
        let pieces: Vec<_> = body
            .chunks(7000)
            .map(Bytes::copy_from_slice)
            .map(Ok)
            .collect();
        result.payload = GetResultPayload::Stream(futures::stream::iter(pieces).boxed());
        Ok(result)
    }

    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        panic!("an encrypted store plans its own ranges");
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.log.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.log.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct SpyUpload {
    inner: Box<dyn MultipartUpload>,
    log: Arc<Log>,
}

#[async_trait]
impl MultipartUpload for SpyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.log.parts.lock().unwrap().push(data.content_length());
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Puts an object past any spy.
pub fn put_now(store: &InMemory, location: &Path, bytes: Vec<u8>) {
    futures::executor::block_on(store.put(location, bytes.into())).unwrap();
}
