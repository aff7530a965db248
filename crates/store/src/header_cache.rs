use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::EncryptionContext;
use object_store::ObjectMeta;
use object_store::path::Path;
use quick_cache::sync::Cache;

use crate::format::Ranges;
use crate::opened::Opened;

/// Headers that are kept.
const CAPACITY: usize = 1024;

/// A verified header, and the version of the object that it is of.
#[derive(Debug)]
pub(crate) struct VerifiedHeader {
    pub(crate) ranges: Box<dyn Ranges>,
    /// In bytes, as claimed.
    pub(crate) plaintext_length: u64,
    /// Nothing of an object that is passed on as it is stored.
    pub(crate) opened: Option<Opened>,
    /// The inner store's, sizes and ETag of the ciphertext.
    pub(crate) meta: ObjectMeta,
    /// What was expected of its context. Whoever expects something else must ask for keys anew: a
    /// manager may demand pairs that no header stores.
    pub(crate) expected: EncryptionContext,
}

/// The last header that was read of each path, and with it the key of its object. It serves for a
/// while, as long as the store says, in the same request, that the object is still that version.
#[derive(Debug)]
pub(crate) struct HeaderCache {
    headers: Cache<Path, (Instant, Arc<VerifiedHeader>)>,
    lifetime: Duration,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one clock of this crate; tests choose a lifetime instead"
)]
fn now() -> Instant {
    Instant::now()
}

impl HeaderCache {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            headers: Cache::new(CAPACITY),
            lifetime,
        }
    }

    /// The header of this path, if it was opened under exactly these pairs.
    pub(crate) fn get(
        &self,
        location: &Path,
        expected: &EncryptionContext,
    ) -> Option<Arc<VerifiedHeader>> {
        let (read, header) = self.headers.get(location)?;
        if now().duration_since(read) >= self.lifetime {
            self.remove(location);
            return None;
        }
        (header.expected == *expected).then_some(header)
    }

    pub(crate) fn insert(&self, location: &Path, header: Arc<VerifiedHeader>) {
        if self.lifetime.is_zero() {
            return;
        }
        let now = now();
        // Keys that nobody asks for again go too.
        self.headers
            .retain(|_, (read, _)| now.duration_since(*read) < self.lifetime);
        self.headers.insert(location.clone(), (now, header));
    }

    pub(crate) fn remove(&self, location: &Path) {
        self.headers.remove(location);
    }
}
