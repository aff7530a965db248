use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring, Multi};

use crate::client_supplier::ClientSupplier;
use crate::discovery_filter::DiscoveryFilter;
use crate::kms_error::KmsError;
use crate::one_by_one::{OneByOne, Refusal, first_to_open};
use crate::service::{Service, wrapping_key};

/// Unwraps data keys with whatever symmetric key of KMS wrapped them, in the client's region. It
/// wraps nothing.
///
/// Give it a [`DiscoveryFilter`]. Each encrypted data key may cost a call: a bound of their number,
/// [`DecryptOptions::with_maximum_encrypted_data_keys`](envelope::DecryptOptions::with_maximum_encrypted_data_keys),
/// keeps a hostile message from causing many. Source: AWS Encryption SDK specification, "AWS KMS
/// Discovery Keyring".
///
/// ```no_run
/// use aws_sdk_kms::Client;
/// use envelope::{DecryptOptions, decrypt};
/// use envelope_aws_kms::{Discovery, DiscoveryFilter};
///
/// # async fn example(client: Client, message: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let filter = DiscoveryFilter::new("aws", ["111122223333"])?;
/// let keyring = Discovery::new(client).with_filter(filter);
/// let opened = decrypt(&keyring, message, &DecryptOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Discovery {
    service: Service,
    filter: Option<DiscoveryFilter>,
    description: Arc<str>,
}

impl Discovery {
    /// Keys that the client's credentials may decrypt with.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::with_service(Service::new(client))
    }

    /// One keyring for each region. Source: specification, "AWS KMS Discovery Multi-Keyring".
    ///
    /// # Errors
    /// [`KmsError::InvalidOption`] without a region, [`KmsError::NoClient`].
    pub fn multi<R: AsRef<str>>(
        supplier: &ClientSupplier,
        regions: impl IntoIterator<Item = R>,
        filter: &DiscoveryFilter,
    ) -> Result<Multi, KmsError> {
        supplier.for_regions(regions, |service| {
            Ok(Self::with_service(service).with_filter(filter.clone()))
        })
    }

    fn with_service(service: Service) -> Self {
        let region = service.region().unwrap_or("one region");
        Self {
            description: format!("AWS KMS discovery in {region}").into(),
            service,
            filter: None,
        }
    }

    /// Uses only keys that the filter lets through.
    #[must_use]
    pub fn with_filter(self, filter: DiscoveryFilter) -> Self {
        let filter = Some(filter);
        Self { filter, ..self }
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        let service = self.service.with_grant_tokens(tokens);
        Self { service, ..self }
    }
}

#[async_trait]
impl OneByOne for Discovery {
    fn description(&self) -> &Arc<str> {
        &self.description
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        let arn = wrapping_key(key)?;
        let filter = self.filter.as_ref();
        filter
            .map_or(Ok(()), |filter| filter.check(&arn))
            .map_err(|reason| Refusal::Skipped(reason.into()))?;
        // KMS would refuse it; the call is saved.
        if self
            .service
            .region()
            .is_some_and(|region| region != arn.region())
        {
            return Err(Refusal::Skipped("another region".into()));
        }
        self.service.unwrap(&arn, key, request).await
    }
}

#[async_trait]
impl Keyring for Discovery {
    async fn wrap_key(
        &self,
        _data_key: &DataKey,
        _request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Err(KeyringError::misconfigured(
            self.description.to_string(),
            "a discovery keyring encrypts nothing; name a key",
        ))
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(self, keys, request).await
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("region", &self.service.region())
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
