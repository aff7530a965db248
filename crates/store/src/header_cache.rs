use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::{EncryptionContext, RangeDecryptor};
use object_store::ObjectMeta;
use object_store::path::Path;
use quick_cache::sync::Cache;

use crate::opened::Opened;

/// Headers that are kept.
const CAPACITY: usize = 1024;

/// A verified header, and the version of the object that it is of.
#[derive(Debug)]
pub(crate) struct VerifiedHeader {
    pub(crate) ranges: RangeDecryptor,
    pub(crate) opened: Opened,
    /// The inner store's, sizes and ETag of the ciphertext.
    pub(crate) meta: ObjectMeta,
    pub(crate) attributes: object_store::Attributes,
}

impl VerifiedHeader {
    /// Whether the header was opened under all these pairs.
    fn holds(&self, expected: &EncryptionContext) -> bool {
        let found = self.opened.context();
        expected
            .iter()
            .all(|(key, value)| found.get(key) == Some(value))
    }
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

    /// The header of this path, if it was opened under all these pairs.
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
        header.holds(expected).then_some(header)
    }

    pub(crate) fn insert(&self, location: &Path, header: Arc<VerifiedHeader>) {
        self.headers.insert(location.clone(), (now(), header));
    }

    pub(crate) fn remove(&self, location: &Path) {
        self.headers.remove(location);
    }
}
