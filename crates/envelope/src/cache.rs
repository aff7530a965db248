use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, UnitWeighter};

use crate::error::{Error, Result};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};

/// Identifies what materials are for: a hash over all that the request says.
pub(crate) type CacheId = [u8; 48];

/// Materials kept for use again, of one or several [`CachingManager`](crate::CachingManager)s.
///
/// A clone is the same cache. Data keys in it are wiped as soon as their entry is evicted,
/// replaced or found to be too old and no operation uses them any more. Age is looked at when
/// an entry is asked for and whenever a new one is fetched, not by a timer. Source: AWS Encryption
/// SDK specification, "Local Cryptographic Materials Cache".
#[derive(Clone)]
pub struct MaterialsCache(Arc<Inner>);

struct Inner {
    encryption: Cache<CacheId, Arc<CachedEncryption>>,
    decryption: Cache<CacheId, Arc<CachedDecryption>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl MaterialsCache {
    /// A cache of at most `capacity` entries for encryption and as many for decryption.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a capacity of 0.
    pub fn new(capacity: usize) -> Result<Self> {
        if capacity == 0 {
            return Err(Error::InvalidOption {
                what: "the cache's capacity",
                reason: "must be at least 1",
            });
        }
        Ok(Self(Arc::new(Inner {
            encryption: cache(capacity)?,
            decryption: cache(capacity)?,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })))
    }

    /// How often cached materials were used again.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// How often materials had to be fetched.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.misses.load(Ordering::Relaxed)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.encryption.len() + self.0.decryption.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every entry.
    pub fn clear(&self) {
        self.0.encryption.clear();
        self.0.decryption.clear();
    }

    pub(crate) fn encryption(&self) -> &Cache<CacheId, Arc<CachedEncryption>> {
        &self.0.encryption
    }

    pub(crate) fn decryption(&self) -> &Cache<CacheId, Arc<CachedDecryption>> {
        &self.0.decryption
    }

    pub(crate) fn count_hit(&self) {
        self.0.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fetch, and drops every entry that is too old by now.
    pub(crate) fn count_miss(&self, now: Duration) {
        self.0.misses.fetch_add(1, Ordering::Relaxed);
        self.0.encryption.retain(|_, entry| now < entry.expires);
        self.0.decryption.retain(|_, entry| now < entry.expires);
    }
}

/// One shard, so that the capacity is exact.
fn cache<V: Clone>(capacity: usize) -> Result<Cache<CacheId, V>> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(capacity)
        .weight_capacity(capacity as u64)
        .shards(1)
        .build()
        .map_err(|_| Error::InvalidOption {
            what: "the cache's capacity",
            reason: "is too large",
        })?;
    Ok(Cache::with_options(
        options,
        UnitWeighter,
        Default::default(),
        Default::default(),
    ))
}

impl fmt::Debug for MaterialsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaterialsCache")
            .field("len", &self.len())
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish()
    }
}

/// Materials that encrypt several messages, and how much they may still do.
pub(crate) struct CachedEncryption {
    materials: EncryptionMaterials,
    pub(crate) expires: Duration,
    left: Mutex<Allowance>,
}

/// What materials may still encrypt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Allowance {
    /// What is left after one more message of this many bytes, if it is allowed.
    pub(crate) fn after(self, bytes: u64) -> Option<Self> {
        Some(Self {
            messages: self.messages.checked_sub(1)?,
            bytes: self.bytes.checked_sub(bytes)?,
        })
    }
}

impl CachedEncryption {
    pub(crate) fn new(materials: EncryptionMaterials, expires: Duration, left: Allowance) -> Self {
        Self {
            materials,
            expires,
            left: Mutex::new(left),
        }
    }

    /// The materials for one more message of this many bytes, charged before they are given.
    pub(crate) fn take(&self, now: Duration, bytes: u64) -> Option<EncryptionMaterials> {
        // The allowance is a plain value: it is whole even if a thread died holding the lock.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= self.expires {
            return None;
        }
        *left = left.after(bytes)?;
        Some(self.materials.share())
    }
}

/// Materials that decrypt one message again.
pub(crate) struct CachedDecryption {
    materials: DecryptionMaterials,
    pub(crate) expires: Duration,
}

impl CachedDecryption {
    pub(crate) fn new(materials: DecryptionMaterials, expires: Duration) -> Self {
        Self { materials, expires }
    }

    pub(crate) fn take(&self, now: Duration) -> Option<DecryptionMaterials> {
        (now < self.expires).then(|| self.materials.share())
    }
}
