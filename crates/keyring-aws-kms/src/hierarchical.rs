mod branch_key_cache;
mod branch_key_id_supplier;

#[cfg(test)]
mod tests;

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{BranchKey, DataKey, EncryptedDataKey, Keyring, Lifetime, Result, random_bytes};
use uuid::Uuid;

pub use branch_key_cache::BranchKeyCache;
pub use branch_key_id_supplier::BranchKeyIdSupplier;

use crate::branch_key_store::{BranchKeyError, BranchKeyStore, BranchKeyVersion};
use crate::one_by_one::{OneByOne, Refusal, first_to_open};
use branch_key_cache::CacheKey;

/// Branch keys that a keyring keeps unless it is given a cache (specification, "AWS KMS Hierarchical
/// Keyring", cache).
const DEFAULT_CAPACITY: usize = 1000;
/// Specification, "Storm Tracking Cryptographic Materials Cache", grace period.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Wraps data keys in this process, with branch keys that it keeps for a while: one call to KMS for
/// many messages, each of which still has a data key of its own.
///
/// The branch key is one for all messages, or chosen for each by its encryption context, as one for
/// each tenant. The active version wraps; the version that a message names unwraps. However many
/// tasks ask for a branch key, one fetches it and the others wait for what it gets. Shortly before
/// its lifetime ends, one caller at a time renews it while the others go on. Whoever lost the
/// permission to use a branch key can do so for the lifetime at most. Source: AWS Encryption SDK
/// specification, "AWS KMS Hierarchical Keyring".
///
/// ```no_run
/// use std::time::Duration;
///
/// use envelope::{EncryptOptions, EncryptionContext, encrypt};
/// use envelope_aws_kms::{BranchKeyIdSupplier, BranchKeyStore, Hierarchical};
///
/// # async fn example(store: BranchKeyStore) -> Result<(), Box<dyn std::error::Error>> {
/// let per_tenant = BranchKeyIdSupplier::value_of("tenant");
/// let keyring = Hierarchical::new(store, per_tenant, Duration::from_secs(300))?;
/// let context = EncryptionContext::new([("tenant", "acme")])?;
/// let options = EncryptOptions::default().with_context(context);
/// let message = encrypt(&keyring, b"hello", &options).await?;
/// # Ok(())
/// # }
/// ```
pub struct Hierarchical {
    store: BranchKeyStore,
    supplier: BranchKeyIdSupplier,
    lifetime: Lifetime,
    cache: BranchKeyCache,
    partition: Arc<[u8]>,
    description: Arc<str>,
}

impl Hierarchical {
    /// Uses branch keys of the store for this long at most, before they are fetched again. They are
    /// kept in a cache of 1000, and renewed in the last 10 seconds of their lifetime, or in the last
    /// half where that is shorter.
    ///
    /// # Errors
    /// [`envelope::Error::InvalidOption`] for a lifetime of zero, [`envelope::Error::Randomness`].
    pub fn new(
        store: BranchKeyStore,
        supplier: BranchKeyIdSupplier,
        lifetime: Duration,
    ) -> Result<Self> {
        let grace = DEFAULT_GRACE.min(lifetime / 2);
        Ok(Self {
            lifetime: Lifetime::new(lifetime)?.with_grace(grace)?,
            cache: BranchKeyCache::new(DEFAULT_CAPACITY)?,
            partition: random_bytes::<16>()?.into(),
            description: format!("AWS KMS hierarchy, {supplier}").into(),
            store,
            supplier,
        })
    }

    /// Renews branch keys in this last part of their lifetime; zero to let callers wait for it at the
    /// end instead.
    ///
    /// # Errors
    /// [`envelope::Error::InvalidOption`] for what is not shorter than the lifetime.
    pub fn with_grace(self, grace: Duration) -> Result<Self> {
        let lifetime = self.lifetime.with_grace(grace)?;
        Ok(Self { lifetime, ..self })
    }

    /// Keeps branch keys in this cache. Keyrings that share it count towards one capacity, but use
    /// each other's branch keys only within a partition.
    #[must_use]
    pub fn with_cache(self, cache: BranchKeyCache) -> Self {
        Self { cache, ..self }
    }

    /// Shares branch keys with the keyrings of the same cache that name the same partition, if their
    /// stores have the same logical name. Whoever may use one of them may then use what the others
    /// fetched. Default: a partition of its own.
    #[must_use]
    pub fn with_partition(self, partition: impl Into<String>) -> Self {
        let partition = partition.into().into_bytes().into();
        Self { partition, ..self }
    }

    /// The branch key in this version, or the active one, from the cache where it has it.
    async fn branch_key(
        &self,
        id: &str,
        version: Option<Uuid>,
    ) -> Result<Arc<BranchKeyVersion>, BranchKeyError> {
        let key = CacheKey {
            partition: Arc::clone(&self.partition),
            store: self.store.logical_name().to_owned(),
            branch_key: id.to_owned(),
            version,
        };
        let fetch = || {
            let (store, id) = (self.store.clone(), id.to_owned());
            async move {
                match version {
                    Some(version) => store.version_of_uuid(&id, version).await,
                    None => store.active(&id).await,
                }
                .map(Arc::new)
            }
        };
        let take = |kept: &Arc<BranchKeyVersion>| Some(Arc::clone(kept));
        let cache = self.cache.branch_keys();
        cache.value(&key, self.lifetime, take, fetch).await
    }
}

impl From<BranchKeyError> for Refusal {
    fn from(error: BranchKeyError) -> Self {
        Self::Service(error.kind(), error.to_string())
    }
}

#[async_trait]
impl OneByOne for Hierarchical {
    fn description(&self) -> &Arc<str> {
        &self.description
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        if key.provider_id() != BranchKey::PROVIDER_ID {
            return Err(Refusal::Skipped("another provider".into()));
        }
        let id = self.supplier.id(request.context).map_err(Refusal::Failed)?;
        if key.provider_info() != id.as_bytes() {
            return Err(Refusal::Skipped("another branch key".into()));
        }
        let version = BranchKey::version_of(key)
            .ok_or(Refusal::Failed("the wrapped key is too short".into()))?;
        let branch_key = self.branch_key(&id, Some(Uuid::from_bytes(version))).await;
        let branch_key = branch_key.map_err(|error| match error {
            // The message chose the id.
            BranchKeyError::InvalidOption { .. } => Refusal::Failed(error.to_string().into()),
            error => error.into(),
        })?;
        let keyring = branch_key.keyring();
        let opened = keyring.unwrap_key(slice::from_ref(key), request).await;
        opened.map(|opened| opened.data_key).map_err(|attempts| {
            let reasons = attempts.iter().map(Attempt::reason);
            Refusal::Failed(reasons.collect::<Vec<_>>().join("; ").into())
        })
    }
}

#[async_trait]
impl Keyring for Hierarchical {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let name = || self.description.to_string();
        let id = self.supplier.id(request.context);
        let id = id.map_err(|reason| KeyringError::misconfigured(name(), reason))?;
        let branch_key = self.branch_key(&id, None).await;
        let branch_key = branch_key
            .map_err(|error| KeyringError::of_kind(error.kind(), name(), error.to_string()))?;
        branch_key.keyring().wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(self, keys, request).await
    }
}

impl fmt::Debug for Hierarchical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hierarchical")
            .field("store", &self.store.logical_name())
            .field("branch_key", &self.supplier)
            .field("lifetime", &self.lifetime)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
