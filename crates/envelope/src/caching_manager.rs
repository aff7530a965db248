use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::cache::{CacheId, CachedEncryption, MaterialsCache, Usage};
use crate::crypto::{digest, random};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::expiring_cache::Lifetime;
use crate::keyring::KeyRequest;
use crate::manager::MaterialsManager;
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::secret::DataKey;

/// Most messages that one data key may encrypt (specification, "Caching CMM").
const MAXIMUM_MESSAGES: u64 = 1 << 32;
/// Most plaintext bytes that one data key may encrypt (specification, "Caching CMM").
const MAXIMUM_BYTES: u64 = (1 << 63) - 1;

/// How long, and for how much, cached materials are used (AWS Encryption SDK specification,
/// "Caching CMM", cache limits).
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    age: Duration,
    grace: Duration,
    messages: u64,
    bytes: u64,
}

impl CacheLimits {
    /// Materials are used for this long at most; there is no other limit than the
    /// specification's: 2^32 messages and 2^63 - 1 bytes.
    #[must_use]
    pub fn new(age: Duration) -> Self {
        Self {
            age,
            grace: Duration::ZERO,
            messages: MAXIMUM_MESSAGES,
            bytes: MAXIMUM_BYTES,
        }
    }

    /// Fetches new materials in this last part of their age, while other tasks go on with the old:
    /// nobody waits but the one who fetches, and when that fails, the old are used until their age
    /// ends. Shorter than the age. Default: zero.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Encrypts this many messages under one data key at most, 1 to 2^32.
    #[must_use]
    pub fn with_messages(self, messages: u64) -> Self {
        Self { messages, ..self }
    }

    /// Encrypts this many plaintext bytes under one data key at most, 1 to 2^63 - 1.
    #[must_use]
    pub fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    fn check(self) -> Result<Lifetime> {
        let fault = |what, reason| Err(Error::InvalidOption { what, reason });
        if self.messages == 0 || self.messages > MAXIMUM_MESSAGES {
            return fault("the cache's message limit", "must be from 1 to 2^32");
        }
        if self.bytes == 0 || self.bytes > MAXIMUM_BYTES {
            return fault("the cache's byte limit", "must be from 1 to 2^63 - 1");
        }
        Lifetime::new(self.age)?.with_grace(self.grace)
    }

    fn usage(self) -> Usage {
        Usage {
            messages: self.messages,
            bytes: self.bytes,
        }
    }
}

/// Uses materials again instead of asking for new ones: fewer calls to a key service.
///
/// Messages that share a data key are still encrypted under keys of their own, derived from it;
/// suites without key derivation are therefore never cached, nor are new keys for objects of the S3
/// Encryption Client, which have one each. When many tasks ask for the same materials at once, one of
/// them fetches, and the others wait for what it gets, be it an error. Encryption without a known
/// plaintext length is not cached, as its bytes cannot be counted beforehand. Source: AWS
/// Encryption SDK specification, "Caching CMM".
///
/// ```
/// use std::time::Duration;
///
/// use envelope::{CacheLimits, CachingManager, EncryptOptions, MaterialsCache, RawAes};
/// use envelope::{WrappingKey, blocking};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let cache = MaterialsCache::new(100)?;
/// let limits = CacheLimits::new(Duration::from_secs(300)).with_messages(1000);
/// let manager = CachingManager::new(keyring, cache.clone(), limits)?;
///
/// for text in ["one", "two", "three"] {
///     blocking::encrypt(&manager, text.as_bytes(), &EncryptOptions::default())?;
/// }
/// assert_eq!((cache.hits(), cache.misses()), (2, 1));
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct CachingManager {
    inner: Arc<dyn MaterialsManager>,
    cache: MaterialsCache,
    limits: CacheLimits,
    lifetime: Lifetime,
    partition: Vec<u8>,
}

impl CachingManager {
    /// Keeps what `inner` returns in `cache`, in a partition of its own.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a limit out of range, [`Error::Randomness`].
    pub fn new(
        inner: impl MaterialsManager + 'static,
        cache: MaterialsCache,
        limits: CacheLimits,
    ) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(inner),
            cache,
            limits,
            lifetime: limits.check()?,
            partition: random::random_bytes::<16>()?.to_vec(),
        })
    }

    /// Shares entries with the managers of the same cache that name the same partition. They
    /// must wrap the same keyrings: whoever may use one may then use what the others fetched. Each keeps
    /// to its own limits, whoever used the data key before it, and to those of whoever fetched the key:
    /// one that a manager may not use any more is dropped, and it fetches another for all of them.
    #[must_use]
    pub fn with_partition(self, partition: impl Into<String>) -> Self {
        let partition = partition.into().into_bytes();
        Self { partition, ..self }
    }

    fn encryption_id(&self, request: EncryptionRequest<'_>) -> CacheId {
        let suite = request.suite.map(|suite| suite.id().to_be_bytes());
        id([
            b"encrypt".as_slice(),
            &self.partition,
            request.policy.to_string().as_bytes(),
            suite.as_ref().map_or(&[], <[u8; 2]>::as_slice),
            &request.context.to_bytes(),
        ])
    }

    fn decryption_id(&self, request: DecryptionRequest<'_>) -> CacheId {
        // The order of the keys does not matter to whoever holds one of them.
        let mut keys: Vec<CacheId> = request
            .encrypted_data_keys
            .iter()
            .map(|key| {
                id([
                    key.provider_id().as_bytes(),
                    key.provider_info(),
                    key.ciphertext(),
                ])
            })
            .collect();
        keys.sort_unstable();
        id([
            b"decrypt".as_slice(),
            &self.partition,
            request.policy.to_string().as_bytes(),
            &request.suite.id().to_be_bytes(),
            &keys.concat(),
            &request.context.to_bytes(),
            &request.expected_context.to_bytes(),
        ])
    }
}

/// Hashes the fields, each behind its length, so that no two lists of fields look the same.
fn id<const N: usize>(fields: [&[u8]; N]) -> CacheId {
    let lengths = fields.map(|field| (field.len() as u64).to_be_bytes());
    let parts = lengths.iter().zip(fields);
    digest::sha384(parts.flat_map(|(length, field)| [length.as_slice(), field]))
}

#[async_trait]
impl MaterialsManager for CachingManager {
    async fn encryption_materials(
        &self,
        request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials> {
        let shared = request.suite.is_none_or(|suite| suite.shares_data_keys());
        let (true, Some(bytes)) = (shared, request.plaintext_length) else {
            return self.inner.encryption_materials(request).await;
        };
        // A data key with nothing left for another message need not be kept.
        if self.limits.messages == 1 || self.limits.bytes < bytes {
            return self.inner.encryption_materials(request).await;
        }
        let fetch = || {
            let (inner, cache) = (Arc::clone(&self.inner), self.cache.clone());
            let (context, limits) = (request.context.clone(), self.limits);
            async move {
                cache.decryption().sweep();
                let request = EncryptionRequest {
                    context: &context,
                    ..request
                };
                let materials = inner.encryption_materials(request).await?;
                // The inner manager may have chosen a suite whose data keys are not shared by itself.
                let limits = match materials.suite.shares_data_keys() {
                    true => limits.usage(),
                    false => Usage { messages: 1, bytes },
                };
                Ok(CachedEncryption::new(materials, limits))
            }
        };
        let take = |kept: &CachedEncryption| kept.take(bytes, self.limits.usage());
        let (id, cache) = (self.encryption_id(request), self.cache.encryption());
        cache.value(&id, self.lifetime, take, fetch).await
    }

    async fn decryption_materials(
        &self,
        request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials> {
        if !request.suite.derives_key() {
            return self.inner.decryption_materials(request).await;
        }
        let fetch = || {
            let (inner, cache) = (Arc::clone(&self.inner), self.cache.clone());
            let context = request.context.clone();
            let expected_context = request.expected_context.clone();
            let keys = request.encrypted_data_keys.to_vec();
            async move {
                cache.encryption().sweep();
                let request = DecryptionRequest {
                    context: &context,
                    expected_context: &expected_context,
                    encrypted_data_keys: &keys,
                    ..request
                };
                inner.decryption_materials(request).await
            }
        };
        let take = |kept: &DecryptionMaterials| Some(kept.share());
        let (id, cache) = (self.decryption_id(request), self.cache.decryption());
        cache.value(&id, self.lifetime, take, fetch).await
    }

    async fn wrap_data_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>> {
        self.inner.wrap_data_key(data_key, request).await
    }
}

impl fmt::Debug for CachingManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingManager")
            .field("cache", &self.cache)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
