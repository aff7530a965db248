use std::sync::Arc;
use std::time::Duration;

use envelope::{ExpiringCache, Result};
use uuid::Uuid;

use crate::branch_key_store::{BranchKeyError, BranchKeyVersion};

/// Branch keys kept in memory, of one or several [`Hierarchical`](crate::Hierarchical) keyrings.
///
/// A clone is the same cache. A branch key is wiped as soon as it is evicted, replaced or found to be
/// too old and no operation uses it any more. Age is looked at when a branch key is asked for, and of
/// all of them when one is fetched, once a second at most; there is no timer.
#[derive(Debug, Clone)]
pub struct BranchKeyCache(ExpiringCache<CacheKey, Arc<BranchKeyVersion>, BranchKeyError>);

/// What a branch key is kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    pub(crate) partition: Arc<[u8]>,
    /// The logical name of the store.
    pub(crate) store: String,
    pub(crate) branch_key: String,
    /// None for the active one, whichever it is.
    pub(crate) version: Option<Uuid>,
}

impl BranchKeyCache {
    /// A cache of at most this many versions of branch keys. The active version of a branch key and
    /// the same version by its name count as two.
    ///
    /// # Errors
    /// [`envelope::Error::InvalidOption`] for a capacity of 0.
    pub fn new(capacity: usize) -> Result<Self> {
        ExpiringCache::new(capacity).map(Self)
    }

    /// As [`new`](Self::new), with another clock than the system's monotonic one: it says how long ago
    /// any fixed moment was. It is asked with the cache locked, and may not use the cache, nor wait for
    /// who does.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(
        capacity: usize,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Self> {
        ExpiringCache::with_clock(capacity, clock).map(Self)
    }

    /// How often a kept branch key was used again.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits()
    }

    /// How often a branch key had to be fetched.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.misses()
    }

    /// Number of branch keys that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets every branch key, as after its permissions were taken away.
    pub fn clear(&self) {
        self.0.clear();
    }

    pub(crate) fn branch_keys(
        &self,
    ) -> &ExpiringCache<CacheKey, Arc<BranchKeyVersion>, BranchKeyError> {
        &self.0
    }
}
