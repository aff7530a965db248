use std::fmt;

use envelope_store::MetadataLimit;
use http::Uri;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, Result};

use crate::METADATA_LIMIT;
use crate::connector::Connector;
use crate::error::Error;
use crate::server_encryption::ServerEncryption;

const GOOGLE: &str = "https://storage.googleapis.com";

/// Opens a bucket in ways that `object_store`'s own builder does not have.
#[must_use]
pub struct GcsBuilder {
    google: GoogleCloudStorageBuilder,
    allow_http: bool,
    kms_key: Option<String>,
    customer_key: Option<ServerEncryption>,
}

impl GcsBuilder {
    /// A bucket as it is configured.
    pub fn new(google: GoogleCloudStorageBuilder) -> Self {
        Self {
            google,
            allow_http: false,
            kms_key: None,
            customer_key: None,
        }
    }

    /// Takes an endpoint of plain HTTP, as of an emulator. What `object_store`'s options say of
    /// that does not count: there it is allowed by default.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Has Cloud Storage encrypt new objects with this key of Cloud KMS (CMEK), as
    /// `projects/…/locations/…/keyRings/…/cryptoKeys/…`. Takes the place of a customer's key.
    ///
    /// An `HttpConnector` of the configuration is replaced by `object_store`'s default.
    pub fn kms_key(mut self, name: impl Into<String>) -> Self {
        self.kms_key = Some(name.into());
        self.customer_key = None;
        self
    }

    /// Has Cloud Storage encrypt and decrypt objects with this key of AES-256 (CSEK), which goes
    /// along with each request for an object and is kept nowhere else: whoever loses it loses the
    /// objects. Wipes the source. Takes the place of a key of Cloud KMS.
    ///
    /// The key goes to the endpoint alone, but if that redirects a request, then where it says. It
    /// is wiped when the store is dropped; headers of requests under way are not.
    ///
    /// An `HttpConnector` of the configuration is replaced by `object_store`'s default.
    pub fn customer_key(mut self, key: &mut [u8; 32]) -> Self {
        self.customer_key = Some(ServerEncryption::customer_key(key));
        self.kms_key = None;
        self
    }

    /// The store.
    ///
    /// # Errors
    /// [`Error::PlainHttp`] and [`Error::NotAnEndpoint`] for the endpoint, also one from the
    /// environment, [`Error::NotAKmsKey`], and as [`GoogleCloudStorageBuilder::build`].
    pub fn build(self) -> Result<MetadataLimit<GoogleCloudStorage>> {
        let configured = self.google.get_config_value(&GoogleConfigKey::BaseUrl);
        let endpoint = endpoint(configured.as_deref().unwrap_or(GOOGLE), self.allow_http)?;
        // Named even if it is the default: otherwise a file with credentials could name another.
        // And said of redirects too, that they must not go to plain HTTP.
        let allow_http = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
        let mut google = self
            .google
            .with_base_url(endpoint.to_string().trim_end_matches('/'))
            .with_config(allow_http, self.allow_http.to_string());
        let encryption = match self.kms_key {
            Some(name) => Some(ServerEncryption::kms_key(&name)?),
            None => self.customer_key,
        };
        if let Some(encryption) = encryption {
            google = google.with_http_connector(Connector::new(endpoint, encryption));
        }
        Ok(MetadataLimit::new(google.build()?, METADATA_LIMIT))
    }
}

/// Without `object_store`'s builder: it shows its credentials.
impl fmt::Debug for GcsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcsBuilder")
            .field("allow_http", &self.allow_http)
            .field("kms_key", &self.kms_key)
            .field("customer_key", &self.customer_key)
            .finish_non_exhaustive()
    }
}

fn endpoint(configured: &str, allow_http: bool) -> Result<Uri, Error> {
    let named = || configured.to_owned();
    let uri = configured.parse().ok();
    let uri = uri.filter(|uri: &Uri| uri.scheme().is_some() && uri.authority().is_some());
    match uri {
        None => Err(Error::NotAnEndpoint { endpoint: named() }),
        Some(uri) if uri.scheme_str() == Some("http") && !allow_http => {
            Err(Error::PlainHttp { endpoint: named() })
        }
        Some(uri) => Ok(uri),
    }
}
