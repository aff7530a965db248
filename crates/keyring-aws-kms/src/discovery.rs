use std::num::NonZeroUsize;

use aws_sdk_kms::Client;
use envelope::Multi;

use crate::any_key::{AnyKey, keyring_of_any_key};
use crate::client_supplier::ClientSupplier;
use crate::discovery_filter::DiscoveryFilter;
use crate::kms_error::KmsError;
use crate::service::Service;

/// Unwraps data keys with whatever symmetric key of KMS wrapped them, in the client's region. It
/// wraps nothing.
///
/// Give it a [`DiscoveryFilter`]. Each encrypted data key may cost a call, twenty at most unless
/// [`with_maximum_tries`](Self::with_maximum_tries) says otherwise. A bound of their number,
/// [`DecryptOptions::with_maximum_encrypted_data_keys`](envelope::DecryptOptions::with_maximum_encrypted_data_keys),
/// refuses a message that holds more before any call. Source: AWS Encryption SDK specification, "AWS KMS
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
pub struct Discovery(AnyKey);

keyring_of_any_key!(Discovery);

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
        let description = format!("AWS KMS discovery in {region}");
        Self(AnyKey::new(service, description, |arn, region| {
            // KMS would refuse it; the call is saved.
            match region.is_some_and(|region| region != arn.region()) {
                true => Err("another region"),
                false => Ok(arn),
            }
        }))
    }

    /// Uses only keys that the filter lets through.
    #[must_use]
    pub fn with_filter(self, filter: DiscoveryFilter) -> Self {
        Self(self.0.with_filter(filter))
    }

    /// Has KMS open this many encrypted data keys of one message at most, 20 unless it is said here:
    /// as many as an honest message may hold, or each stranger's message may cost more calls than are
    /// worth it. Keyrings of [`multi`](Self::multi) keep to 20: for more make them one by one, and
    /// an [`envelope::Multi`] of them.
    #[must_use]
    pub fn with_maximum_tries(self, tries: NonZeroUsize) -> Self {
        Self(self.0.with_maximum_tries(tries))
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self(self.0.with_grant_tokens(tokens))
    }
}
