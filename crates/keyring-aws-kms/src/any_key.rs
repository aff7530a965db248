use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{KeyRequest, KeyringError};
use envelope::{DataKey, EncryptedDataKey};

use crate::arn::Arn;
use crate::discovery_filter::DiscoveryFilter;
use crate::one_by_one::{MAXIMUM_TRIES, OneByOne, Refusal};
use crate::service::{Service, wrapping_key};

/// Whatever symmetric key of KMS wrapped a data key, as far as it can be used in the client's region.
pub(crate) struct AnyKey {
    pub(crate) service: Service,
    pub(crate) filter: Option<DiscoveryFilter>,
    description: Arc<str>,
    maximum_tries: usize,
    /// The key to be asked in this region, if the client has one, or why there is none.
    in_region: fn(Arn, Option<&str>) -> Result<Arn, &'static str>,
}

impl AnyKey {
    pub(crate) fn new(
        service: Service,
        description: String,
        in_region: fn(Arn, Option<&str>) -> Result<Arn, &'static str>,
    ) -> Self {
        Self {
            service,
            filter: None,
            description: description.into(),
            maximum_tries: MAXIMUM_TRIES,
            in_region,
        }
    }

    pub(crate) fn with_filter(self, filter: DiscoveryFilter) -> Self {
        let filter = Some(filter);
        Self { filter, ..self }
    }

    pub(crate) fn with_grant_tokens<T: Into<String>>(
        self,
        tokens: impl IntoIterator<Item = T>,
    ) -> Self {
        let service = self.service.with_grant_tokens(tokens);
        Self { service, ..self }
    }

    pub(crate) fn with_maximum_tries(self, tries: NonZeroUsize) -> Self {
        let maximum_tries = tries.get();
        Self {
            maximum_tries,
            ..self
        }
    }

    pub(crate) fn encrypts_nothing(&self) -> KeyringError {
        KeyringError::misconfigured(
            self.description.to_string(),
            "a discovery keyring encrypts nothing; name a key",
        )
    }
}

#[async_trait]
impl OneByOne for AnyKey {
    fn description(&self) -> &Arc<str> {
        &self.description
    }

    fn maximum_tries(&self) -> usize {
        self.maximum_tries
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        let arn = wrapping_key(key)?;
        let filter = self.filter.as_ref();
        let arn = filter
            .map_or(Ok(()), |filter| filter.check(&arn))
            .and_then(|()| (self.in_region)(arn, self.service.region()))
            .map_err(|reason| Refusal::Skipped(reason.into()))?;
        self.service.unwrap(&arn, key, request).await
    }
}

/// The keyring of a type around an [`AnyKey`].
macro_rules! keyring_of_any_key {
    ($name:ident) => {
        #[async_trait::async_trait]
        impl envelope::Keyring for $name {
            async fn wrap_key(
                &self,
                _data_key: &envelope::DataKey,
                _request: envelope::keyring::KeyRequest<'_>,
            ) -> Result<Vec<envelope::EncryptedDataKey>, envelope::keyring::KeyringError> {
                Err(self.0.encrypts_nothing())
            }

            async fn unwrap_key(
                &self,
                keys: &[envelope::EncryptedDataKey],
                request: envelope::keyring::KeyRequest<'_>,
            ) -> Result<envelope::keyring::Unwrapped, Vec<envelope::keyring::Attempt>> {
                crate::one_by_one::first_to_open(&self.0, keys, request).await
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("region", &self.0.service.region())
                    .field("filter", &self.0.filter)
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use keyring_of_any_key;
