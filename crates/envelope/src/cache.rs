use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::expiring_cache::ExpiringCache;
use crate::materials::{DecryptionMaterials, EncryptionMaterials};

/// Identifies what materials are for: a hash over all that the request says.
pub(crate) type CacheId = [u8; 48];

/// Materials kept for use again, of one or several [`CachingManager`](crate::CachingManager)s.
///
/// A clone is the same cache. Data keys in it are wiped as soon as their entry is evicted,
/// replaced or found to be too old and no operation uses them any more. Age is looked at when an
/// entry is asked for, and of all entries when a new one is fetched, once a second at most; there is
/// no timer. Source: AWS Encryption SDK specification, "Local Cryptographic Materials Cache".
#[derive(Clone)]
pub struct MaterialsCache {
    encryption: MaterialsById<CachedEncryption>,
    decryption: MaterialsById<DecryptionMaterials>,
}

pub(crate) type MaterialsById<V> = ExpiringCache<CacheId, V, Error>;

impl MaterialsCache {
    /// A cache of at most `capacity` entries for encryption and as many for decryption.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a capacity of 0.
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self {
            encryption: ExpiringCache::new(capacity)?,
            decryption: ExpiringCache::new(capacity)?,
        })
    }

    /// As [`new`](Self::new), with another clock than the system's monotonic one: it says how long ago
    /// any fixed moment was.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(
        capacity: usize,
        clock: impl Fn() -> Duration + Clone + Send + Sync + 'static,
    ) -> Result<Self> {
        Ok(Self {
            encryption: ExpiringCache::with_clock(capacity, clock.clone())?,
            decryption: ExpiringCache::with_clock(capacity, clock)?,
        })
    }

    /// How often cached materials were used again.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.encryption.hits() + self.decryption.hits()
    }

    /// How often materials had to be fetched.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.encryption.misses() + self.decryption.misses()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.encryption.len() + self.decryption.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every entry.
    pub fn clear(&self) {
        self.encryption.clear();
        self.decryption.clear();
    }

    pub(crate) fn encryption(&self) -> &MaterialsById<CachedEncryption> {
        &self.encryption
    }

    pub(crate) fn decryption(&self) -> &MaterialsById<DecryptionMaterials> {
        &self.decryption
    }
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
    pub(crate) fn new(materials: EncryptionMaterials, left: Allowance) -> Self {
        Self {
            materials,
            left: Mutex::new(left),
        }
    }

    /// The materials for one more message of this many bytes, charged before they are given.
    pub(crate) fn take(&self, bytes: u64) -> Option<EncryptionMaterials> {
        // The allowance is a plain value: it is whole even if a thread died holding the lock.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.after(bytes)?;
        Some(self.materials.share())
    }
}
