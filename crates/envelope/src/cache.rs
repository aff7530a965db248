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
    /// any fixed moment was. It is asked with the cache locked, and may not use the cache, nor wait for
    /// who does.
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

/// Materials that encrypt several messages, and what they have encrypted.
pub(crate) struct CachedEncryption {
    materials: EncryptionMaterials,
    /// By whoever fetched them.
    limits: Usage,
    used: Mutex<Usage>,
}

/// A number of messages, and of plaintext bytes in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Usage {
    /// With one more message of this many bytes, if that is a number at all.
    fn after(self, bytes: u64) -> Option<Self> {
        Some(Self {
            messages: self.messages.checked_add(1)?,
            bytes: self.bytes.checked_add(bytes)?,
        })
    }

    fn is_within(self, limits: Self) -> bool {
        self.messages <= limits.messages && self.bytes <= limits.bytes
    }
}

impl CachedEncryption {
    pub(crate) fn new(materials: EncryptionMaterials, limits: Usage) -> Self {
        Self {
            materials,
            limits,
            used: Mutex::default(),
        }
    }

    /// The materials for one more message of this many bytes, charged before they are given. Nothing
    /// if that were more than the limits of whoever fetched them, or of whoever asks: then they are
    /// used up.
    pub(crate) fn take(&self, bytes: u64, limits: Usage) -> Option<EncryptionMaterials> {
        // A plain value: it is whole even if a thread died holding the lock.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let after = used.after(bytes)?;
        if !after.is_within(self.limits) || !after.is_within(limits) {
            return None;
        }
        *used = after;
        Some(self.materials.share())
    }
}
