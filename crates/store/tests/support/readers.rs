//! Two versions of an object, and what readers find of them.
//!
//! Memory answers at once, so a future that is not ready when it is first polled has stalled. It is
//! dropped then, as by a caller who waited long enough.
#![allow(
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::sync::Arc;

use envelope::ErrorKind;
use envelope_store::{EncryptedStore, Error, Framed, ListedSizes};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, Result};

use super::fault_store::{Fault, FaultStore, Operation, Struck};
use super::keyring;

pub const FRAME: u32 = 16;
/// Bytes of a regular frame.
pub const SEALED_FRAME: usize = 16 + 32;
/// As long as the first read of an object, so that ranges take a second one.
pub const HEADER: usize = 1024;
/// Every object of these tests takes three.
pub const PART: usize = 400;

/// Three frames.
pub const OLD: &[u8] = b"once upon a time there was an old text";
/// Three frames too.
pub const NEW: &[u8] = b"and then a new one came to take its place";

pub fn encrypted<S: ObjectStore>(inner: S, listed_sizes: ListedSizes) -> EncryptedStore<S> {
    EncryptedStore::builder(inner)
        .format(Framed::new().frame_length(FRAME).header_length(HEADER))
        .part_length(PART)
        .listed_sizes(listed_sizes)
        .build(keyring())
}

/// An encrypted store whose inner one goes wrong, and that one.
pub fn faulty(
    inner: &Arc<InMemory>,
    on: Operation,
    nth: usize,
    fault: Fault,
) -> (EncryptedStore<FaultStore>, FaultStore) {
    let faults = FaultStore::new(inner, on, nth, fault);
    (encrypted(faults.clone(), ListedSizes::Computed), faults)
}

pub fn path() -> Path {
    Path::from("object")
}

/// A store of these objects.
pub fn holding(objects: &[(&Path, &[u8])]) -> Arc<InMemory> {
    let inner = Arc::new(InMemory::new());
    let store = encrypted(Arc::clone(&inner), ListedSizes::Computed);
    for (location, bytes) in objects {
        let put = store.put(location, bytes.to_vec().into());
        put.now_or_never().unwrap().unwrap();
    }
    inner
}

pub fn stored(inner: &InMemory) -> Vec<u8> {
    let get = async { inner.get(&path()).await?.bytes().await };
    get.now_or_never().unwrap().unwrap().to_vec()
}

/// The error that the inner store gave, if it is in there.
pub fn struck(error: &object_store::Error) -> Option<&Struck> {
    source_of(error)
}

pub fn source_of<T: std::error::Error + 'static>(error: &object_store::Error) -> Option<&T> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

pub fn envelope_error(error: &object_store::Error) -> &envelope::Error {
    match source_of::<Error>(error) {
        Some(Error::Envelope { source, .. } | Error::Foreign { source, .. }) => source,
        _ => panic!("not about the message: {error:?}"),
    }
}

/// The object was read, and is not what was written.
pub fn is_refused(error: &object_store::Error) -> bool {
    let error = envelope_error(error);
    match error.kind() {
        // A wrapped key that was changed opens with no key.
        ErrorKind::NotAuthentic | ErrorKind::NoKey => true,
        _ => matches!(error, envelope::Error::NotFramed),
    }
}

/// How a read went: what was released, and how it ended. `None` is a stall.
pub struct Read {
    pub released: Vec<u8>,
    pub end: Option<Result<()>>,
}

impl Read {
    pub fn of<S: ObjectStore>(store: &EncryptedStore<S>, range: Option<GetRange>) -> Self {
        let mut released = Vec::new();
        let options = GetOptions::new().with_range(range);
        let reading = async {
            let mut body = store.get_opts(&path(), options).await?.into_stream();
            while let Some(bytes) = body.next().await {
                released.extend_from_slice(&bytes?);
            }
            Ok(())
        };
        let end = reading.now_or_never();
        Self { released, end }
    }

    pub fn whole<S: ObjectStore>(store: &EncryptedStore<S>) -> Self {
        Self::of(store, None)
    }

    pub fn error(&self) -> &object_store::Error {
        match &self.end {
            Some(Err(error)) => error,
            end => panic!("{end:?} after {} bytes", self.released.len()),
        }
    }

    /// Asserts that it ended as the fault says.
    pub fn assert_ended_by(&self, fault: Fault) {
        match fault {
            Fault::Fail(_) => assert_eq!(struck(self.error()), Some(&Struck(Operation::Get))),
            Fault::Stall(_) => assert!(self.end.is_none(), "{fault:?}"),
            _ => assert!(is_refused(self.error()), "{fault:?}"),
        }
    }
}

/// What readers find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Old,
    New,
    /// An object that does not open.
    Refused,
}

/// Reads in every way, and asserts that all agree.
pub fn found(inner: &Arc<InMemory>) -> Found {
    let store = encrypted(Arc::clone(inner), ListedSizes::Computed);
    let read = Read::whole(&store);
    let (found, text) = match &read.end {
        Some(Ok(())) if read.released == OLD => (Found::Old, OLD),
        Some(Ok(())) if read.released == NEW => (Found::New, NEW),
        Some(Err(object_store::Error::NotFound { .. })) => (Found::Nothing, NEW),
        Some(Err(error)) if is_refused(error) => (Found::Refused, NEW),
        end => panic!("{end:?} after {:?}", read.released),
    };
    assert_eq!(read.released, text[..read.released.len()]);
    let size = text.len() as u64;
    for range in [0..text.len(), 3..20, 30..text.len()] {
        let wanted = GetRange::Bounded(range.start as u64..range.end as u64);
        let read = Read::of(&store, Some(wanted));
        let expected = &text[range.clone()];
        match (found, &read.end) {
            (Found::Old | Found::New, Some(Ok(()))) => assert_eq!(read.released, expected),
            (Found::Nothing, Some(Err(object_store::Error::NotFound { .. }))) => {}
            // What verifies alone may be read alone, also when the rest is torn.
            (Found::Refused, Some(Ok(()))) => assert!(expected.starts_with(&read.released)),
            (Found::Refused, Some(Err(_))) => {
                assert_eq!(read.released, expected[..read.released.len()]);
            }
            (_, end) => panic!("{found:?} at once, and {end:?} at {range:?}"),
        }
    }
    if matches!(found, Found::Old | Found::New) {
        let sizes: Vec<_> = listed(store.list(None)).0;
        assert!(sizes.contains(&(path(), size)));
        let head = store.head(&path()).now_or_never().unwrap();
        assert_eq!(head.unwrap().size, size);
    }
    found
}

/// Names and sizes, and how the listing ended.
pub fn listed(
    mut listing: BoxStream<'_, Result<ObjectMeta>>,
) -> (Vec<(Path, u64)>, Option<Result<()>>) {
    let mut listed = Vec::new();
    let reading = async {
        while let Some(meta) = listing.next().await {
            let meta = meta?;
            listed.push((meta.location, meta.size));
        }
        Ok(())
    };
    let end = reading.now_or_never();
    (listed, end)
}
