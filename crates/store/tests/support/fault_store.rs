//! An inner store that goes wrong once, where and how a test says.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::pending;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart,
};

/// Bytes in each piece of a body that is read: few, and not those of a frame.
const PIECE: usize = 10;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Put,
    StartUpload,
    PutPart,
    Complete,
    Abort,
    Get,
    List,
    Copy,
    Delete,
}

/// When something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the store does anything.
    Before,
    /// When the store has done it all, and nobody was told yet.
    After,
    /// When this many bytes of the body, or items of a listing, have passed.
    At(usize),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error, [`Struck`].
    Fail(When),
    /// Nothing comes any more.
    Stall(When),
    /// The body ends after this many bytes, and the store calls it whole.
    Cut(usize),
    /// This bit of the body is the other one.
    Flip(usize),
    /// The first attempt to send is lost, and the store sends again, as clients of real ones do.
    SendAgain,
}

/// The error of a store that fails.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed at {0:?}")]
pub struct Struck(pub Operation);

impl Struck {
    fn error(operation: Operation) -> Error {
        Error::Generic {
            store: "FaultStore",
            source: Self(operation).into(),
        }
    }
}

/// Goes wrong once.
#[derive(Debug, Clone)]
pub struct FaultStore {
    inner: Arc<InMemory>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    operation: Operation,
    /// Operations of this kind that go well before.
    nth: usize,
    fault: Fault,
    asked: Mutex<HashMap<Operation, usize>>,
    /// What was sent with each attempt, in the order of the attempts.
    sent: Mutex<Vec<Bytes>>,
}

impl Plan {
    /// The fault, if this is its moment.
    fn next(&self, operation: Operation) -> Option<Fault> {
        let mut asked = self.asked.lock().unwrap();
        let count = asked.entry(operation).or_default();
        let strikes = operation == self.operation && *count == self.nth;
        *count += 1;
        strikes.then_some(self.fault)
    }

    /// Reads a payload, as an attempt to send it does. It is copied: memory that the payload shares
    /// with something else could change.
    fn send(&self, payload: &PutPayload) {
        let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
        self.sent.lock().unwrap().push(bytes.into());
    }
}

impl FaultStore {
    pub fn new(inner: &Arc<InMemory>, operation: Operation, nth: usize, fault: Fault) -> Self {
        Self {
            inner: Arc::clone(inner),
            plan: Arc::new(Plan {
                operation,
                nth,
                fault,
                asked: Mutex::default(),
                sent: Mutex::default(),
            }),
        }
    }

    /// Whether it has gone wrong. A test whose fault never came shows nothing.
    pub fn has_struck(&self) -> bool {
        let asked = self.plan.asked.lock().unwrap();
        asked.get(&self.plan.operation) > Some(&self.plan.nth)
    }

    /// What was sent with each attempt, in their order.
    pub fn sent(&self) -> Vec<Bytes> {
        self.plan.sent.lock().unwrap().clone()
    }
}

/// What is left of a body.
fn changed(bytes: Bytes, fault: Option<Fault>) -> Bytes {
    match fault {
        Some(Fault::Cut(at) | Fault::Fail(When::At(at)) | Fault::Stall(When::At(at))) => {
            bytes.slice(..at.min(bytes.len()))
        }
        Some(Fault::Flip(bit)) => {
            let mut bytes = Vec::from(bytes);
            *bytes.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
            bytes.into()
        }
        _ => bytes,
    }
}

/// Does the work, unless the fault comes first.
async fn attempt<T>(
    operation: Operation,
    fault: Option<Fault>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match fault {
        Some(Fault::Fail(When::Before)) => return Err(Struck::error(operation)),
        Some(Fault::Stall(When::Before)) => return pending().await,
        _ => {}
    }
    let done = work.await?;
    match fault {
        Some(Fault::Fail(_)) => Err(Struck::error(operation)),
        Some(Fault::Stall(_)) => pending().await,
        _ => Ok(done),
    }
}

/// What is left of a stream of pieces, and its end.
fn ending<T: Send + 'static>(
    operation: Operation,
    fault: Option<Fault>,
    pieces: Vec<Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let pieces = stream::iter(pieces);
    match fault {
        Some(Fault::Fail(_)) => {
            let end = stream::once(async move { Err(Struck::error(operation)) });
            pieces.chain(end).boxed()
        }
        Some(Fault::Stall(_)) => pieces.chain(stream::pending()).boxed(),
        _ => pieces.boxed(),
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.plan.next(Operation::Put);
        if fault == Some(Fault::SendAgain) {
            self.plan.send(&payload);
        }
        self.plan.send(&payload);
        let payload = changed(payload.into(), fault).into();
        let put = self.inner.put_opts(location, payload, opts);
        attempt(Operation::Put, fault, put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.plan.next(Operation::StartUpload);
        let start = self.inner.put_multipart_opts(location, opts);
        Ok(Box::new(FaultUpload {
            inner: attempt(Operation::StartUpload, fault, start).await?,
            plan: Arc::clone(&self.plan),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.plan.next(Operation::Get);
        let in_body = matches!(
            fault,
            Some(Fault::Fail(When::At(_)) | Fault::Stall(When::At(_)))
        );
        let outside = fault.filter(|_| !in_body);
        let get = self.inner.get_opts(location, options);
        let mut result = attempt(Operation::Get, outside, get).await?;
        let GetResultPayload::Stream(mut body) = result.payload else {
            panic!("memory has no files");
        };
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let bytes = changed(bytes.into(), fault);
        let pieces = bytes.chunks(PIECE).map(Bytes::copy_from_slice).map(Ok);
        let body = ending(Operation::Get, fault.filter(|_| in_body), pieces.collect());
        result.payload = GetResultPayload::Stream(body);
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
                let fault = store.plan.next(Operation::Delete);
                let deleted = store.inner.delete(&location);
                attempt(Operation::Delete, fault, deleted).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let fault = self.plan.next(Operation::List);
        let length = match fault {
            Some(Fault::Fail(When::At(at)) | Fault::Stall(When::At(at))) => at,
            Some(Fault::Fail(When::Before) | Fault::Stall(When::Before)) => 0,
            _ => usize::MAX,
        };
        let listed = self.inner.list(prefix).take(length).collect::<Vec<_>>();
        let listed = listed.now_or_never().unwrap();
        ending(Operation::List, fault, listed)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        let after = move |meta: &Result<ObjectMeta>| {
            let before = meta.as_ref().is_ok_and(|meta| meta.location <= offset);
            std::future::ready(!before)
        };
        self.list(prefix).filter(after).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let fault = self.plan.next(Operation::List);
        let list = self.inner.list_with_delimiter(prefix);
        attempt(Operation::List, fault, list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fault = self.plan.next(Operation::Copy);
        let copy = self.inner.copy_opts(from, to, options);
        attempt(Operation::Copy, fault, copy).await
    }

    /// In two steps, as on stores that cannot rename.
    async fn rename_opts(&self, from: &Path, to: &Path, _: RenameOptions) -> Result<()> {
        self.copy_opts(from, to, CopyOptions::default()).await?;
        self.delete(from).await
    }
}

#[derive(Debug)]
struct FaultUpload {
    inner: Box<dyn MultipartUpload>,
    plan: Arc<Plan>,
}

#[async_trait]
impl MultipartUpload for FaultUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let fault = self.plan.next(Operation::PutPart);
        if matches!(
            fault,
            Some(Fault::Fail(When::Before) | Fault::Stall(When::Before))
        ) {
            return attempt(Operation::PutPart, fault, async { Ok(()) }).boxed();
        }
        // The first attempt is made now and the second when the future runs: whoever waits for all
        // parts together has sealed others in between.
        if fault == Some(Fault::SendAgain) {
            self.plan.send(&data);
        }
        let payload = changed(data.clone().into(), fault).into();
        let part = self.inner.put_part(payload);
        let plan = Arc::clone(&self.plan);
        async move {
            plan.send(&data);
            attempt(Operation::PutPart, fault, part).await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let fault = self.plan.next(Operation::Complete);
        attempt(Operation::Complete, fault, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let fault = self.plan.next(Operation::Abort);
        attempt(Operation::Abort, fault, self.inner.abort()).await
    }
}
