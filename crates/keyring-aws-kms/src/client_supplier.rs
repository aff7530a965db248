use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Builder, Region};
use aws_types::SdkConfig;
use envelope::{Keyring, Multi};

use crate::arn::parse_identifier;
use crate::kms_error::KmsError;
use crate::service::Service;

/// Clients of KMS by region, for keyrings of several regions.
///
/// Source: AWS Encryption SDK specification, "AWS KMS Multi-Keyring", client supplier.
///
/// ```
/// use aws_types::SdkConfig;
/// use envelope_aws_kms::{ClientSupplier, DiscoveryFilter, MultiRegionDiscovery};
///
/// # // Yours comes from `aws_config::load_from_env().await`.
/// # let config = SdkConfig::builder()
/// #     .behavior_version(aws_sdk_kms::config::BehaviorVersion::v2026_01_12())
/// #     .retry_config(aws_sdk_kms::config::retry::RetryConfig::disabled())
/// #     .build();
/// let supplier = ClientSupplier::from_config(&config);
/// let filter = DiscoveryFilter::new("aws", ["111122223333"])?;
/// let keyring = MultiRegionDiscovery::multi(&supplier, ["eu-west-1", "us-east-1"], &filter)?;
/// # Ok::<(), envelope_aws_kms::KmsError>(())
/// ```
#[derive(Clone)]
pub struct ClientSupplier {
    client: Arc<ClientOfRegion>,
    grant_tokens: Vec<String>,
}

type ClientOfRegion = dyn Fn(&str) -> Option<Client> + Send + Sync;

impl ClientSupplier {
    /// Takes the client for a region from a function; none where the region is not to be used.
    #[must_use]
    pub fn new(client: impl Fn(&str) -> Option<Client> + Send + Sync + 'static) -> Self {
        Self {
            client: Arc::new(client),
            grant_tokens: Vec::new(),
        }
    }

    /// Makes a client for each region from one configuration, its region aside. An endpoint URL that
    /// it holds serves all regions.
    #[must_use]
    pub fn from_config(config: &SdkConfig) -> Self {
        let config = config.clone();
        Self::new(move |region| {
            let region = Region::new(region.to_owned());
            let config = Builder::from(&config).region(region);
            Some(Client::from_conf(config.build()))
        })
    }

    /// Knows these clients, each by its own region. Those without one are left out.
    #[must_use]
    pub fn from_clients(clients: impl IntoIterator<Item = Client>) -> Self {
        let by_region = |client: Client| {
            let region = client.config().region()?.to_string();
            Some((region, client))
        };
        let clients: HashMap<String, Client> = clients.into_iter().filter_map(by_region).collect();
        Self::new(move |region| clients.get(region).cloned())
    }

    /// Sends these with every call of the keyrings that are made with this supplier.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self {
            grant_tokens: tokens.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The client for the region.
    ///
    /// # Errors
    /// [`KmsError::NoClient`].
    pub fn client(&self, region: &str) -> Result<Client, KmsError> {
        (self.client)(region).ok_or_else(|| KmsError::NoClient {
            region: region.to_owned(),
        })
    }

    fn service(&self, region: &str) -> Result<Service, KmsError> {
        let service = Service::new(self.client(region)?);
        Ok(service.with_grant_tokens(self.grant_tokens.iter()))
    }

    /// KMS in the region of the key.
    pub(crate) fn service_of(&self, key_id: &str) -> Result<Service, KmsError> {
        let arn = parse_identifier(key_id)?.ok_or_else(|| KmsError::InvalidKeyId {
            key_id: key_id.to_owned(),
            reason: "names no region; give an ARN where keys are of several regions",
        })?;
        self.service(arn.region())
    }

    /// One keyring for each region, tried in their order.
    pub(crate) fn for_regions<R: AsRef<str>, K: Keyring + 'static>(
        &self,
        regions: impl IntoIterator<Item = R>,
        keyring: impl Fn(Service) -> Result<K, KmsError>,
    ) -> Result<Multi, KmsError> {
        let regions = regions.into_iter();
        let mut keyrings = regions.map(|region| keyring(self.service(region.as_ref())?));
        let first = keyrings.next().ok_or(KmsError::InvalidOption {
            what: "the list of regions",
            reason: "is empty; name at least one",
        })??;
        keyrings.try_fold(Multi::generate_with(first), |multi, next| {
            Ok(multi.and(next?))
        })
    }
}

impl fmt::Debug for ClientSupplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSupplier").finish_non_exhaustive()
    }
}
