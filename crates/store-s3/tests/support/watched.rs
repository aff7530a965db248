//! An inner store that writes down what is asked of it, and goes wrong when told to.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, UploadPart,
};

/// Bytes in each piece of a body that is read, as from a network.
pub const PIECE: usize = 100;

/// When an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before anything is done.
    Before,
    /// When all is done, and nobody was told yet.
    After,
}

/// A store in memory that is watched. Each operation has a name of its own, such as `put a/b`,
/// `get a/b 0..16` or `delete a/b`.
#[derive(Debug, Clone)]
pub struct Watched {
    pub inner: Arc<InMemory>,
    log: Arc<Mutex<Vec<String>>>,
    fault: Arc<Mutex<Option<(String, When)>>>,
    change: Option<Change>,
    copies_bytes_alone: bool,
    /// What decides how long each request takes.
    turns: Option<Arc<Mutex<u64>>>,
}

/// What happens to the body of an object on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ends after this many bytes, and the store calls it whole.
    Cut(usize),
    /// This bit is the other one.
    Flip(usize),
    /// This many bytes follow that the store did not announce.
    Extend(usize),
}

impl Change {
    fn apply(self, mut body: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Cut(length) => body.truncate(length),
            Self::Flip(bit) => body[bit / 8] ^= 1 << (bit % 8),
            Self::Extend(bytes) => body.resize(body.len() + bytes, 0),
        }
        body
    }
}

impl Watched {
    pub fn new() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    pub fn over(inner: Arc<InMemory>) -> Self {
        Self {
            inner,
            log: Arc::default(),
            fault: Arc::default(),
            change: None,
            copies_bytes_alone: false,
            turns: None,
        }
    }

    /// Copies without metadata where nothing may be overwritten, as `object_store` does on S3.
    pub fn copies_bytes_alone(self) -> Self {
        Self {
            copies_bytes_alone: true,
            ..self
        }
    }

    /// Lets requests of several tasks overtake each other, in an order that the seed decides.
    pub fn taking_turns(self, seed: u64) -> Self {
        let turns = Some(Arc::new(Mutex::new(seed)));
        Self { turns, ..self }
    }

    async fn wait(&self) {
        let Some(turns) = &self.turns else { return };
        let turns = {
            let mut state = turns.lock().unwrap();
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*state >> 33) % 8
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Does this to the bodies of objects; instruction files stay as they are.
    pub fn change(self, change: Change) -> Self {
        Self {
            change: Some(change),
            ..self
        }
    }

    /// What was asked since the last call.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// The next operation of this name fails.
    pub fn fail(&self, operation: &str, when: When) {
        *self.fault.lock().unwrap() = Some((operation.to_owned(), when));
    }

    /// Whether the failure is over. A test whose fault never came shows nothing.
    pub fn has_failed(&self) -> bool {
        self.fault.lock().unwrap().is_none()
    }

    /// Writes the operation down. It may be the one that fails.
    fn begin(&self, operation: String) -> Option<When> {
        let mut fault = self.fault.lock().unwrap();
        let strikes = fault.as_ref().is_some_and(|(name, _)| *name == operation);
        self.log.lock().unwrap().push(operation);
        fault.take_if(|_| strikes).map(|(_, when)| when)
    }

    async fn attempt<T>(
        &self,
        operation: String,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let fault = self.begin(operation);
        if fault == Some(When::Before) {
            return Err(struck());
        }
        self.wait().await;
        let done = work.await?;
        self.wait().await;
        match fault {
            Some(_) => Err(struck()),
            None => Ok(done),
        }
    }
}

fn struck() -> Error {
    Error::Generic {
        store: "Watched",
        source: "the store failed".into(),
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

fn name_of_get(location: &Path, options: &GetOptions) -> String {
    let verb = if options.head { "head" } else { "get" };
    match &options.range {
        None => format!("{verb} {location}"),
        Some(GetRange::Bounded(range)) => format!("{verb} {location} {range:?}"),
        Some(range) => format!("{verb} {location} {range}"),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Watched {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let put = self.inner.put_opts(location, payload, opts);
        self.attempt(format!("put {location}"), put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let start = self.inner.put_multipart_opts(location, opts);
        let inner = self.attempt(format!("start {location}"), start).await?;
        Ok(Box::new(WatchedUpload {
            inner,
            store: self.clone(),
            location: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let name = name_of_get(location, &options);
        let get = self.inner.get_opts(location, options);
        let mut result = self.attempt(name, get).await?;
        let GetResultPayload::Stream(body) = result.payload else {
            panic!("memory has no files");
        };
        let mut body: Vec<u8> = body.map(Result::unwrap).collect::<Vec<_>>().await.concat();
        if let Some(change) = self.change
            && !location.as_ref().ends_with(".instruction")
        {
            body = change.apply(body);
        }
        let pieces = body.chunks(PIECE).map(Bytes::copy_from_slice).map(Ok);
        let pieces: Vec<_> = pieces.collect();
        result.payload = GetResultPayload::Stream(stream::iter(pieces).boxed());
        Ok(result)
    }

    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        panic!("an encrypted store plans its own ranges");
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let delete = store.inner.delete(&location);
                store.attempt(format!("delete {location}"), delete).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.begin("list".to_owned());
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.begin("list".to_owned());
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let list = self.inner.list_with_delimiter(prefix);
        self.attempt("list".to_owned(), list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let alone = self.copies_bytes_alone && options.mode == CopyMode::Create;
        let copy = async {
            if !alone {
                return self.inner.copy_opts(from, to, options).await;
            }
            let bytes = self.inner.get(from).await?.bytes().await?;
            let create = PutOptions::from(PutMode::Create);
            self.inner.put_opts(to, bytes.into(), create).await?;
            Ok(())
        };
        self.attempt(format!("copy {from} {to}"), copy).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        if self.copies_bytes_alone && options.target_mode == RenameTargetMode::Create {
            let create = CopyOptions::new().with_mode(CopyMode::Create);
            self.copy_opts(from, to, create).await?;
            return self.inner.delete(from).await;
        }
        let rename = self.inner.rename_opts(from, to, options);
        self.attempt(format!("rename {from} {to}"), rename).await
    }
}

#[derive(Debug)]
struct WatchedUpload {
    inner: Box<dyn MultipartUpload>,
    store: Watched,
    location: Path,
}

#[async_trait]
impl MultipartUpload for WatchedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.store.begin(format!("part {}", data.content_length()));
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let operation = format!("complete {}", self.location);
        let store = self.store.clone();
        store.attempt(operation, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let operation = format!("abort {}", self.location);
        let store = self.store.clone();
        store.attempt(operation, self.inner.abort()).await
    }
}
