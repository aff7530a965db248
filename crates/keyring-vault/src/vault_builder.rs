use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use url::Url;

use crate::error::{Error, Result};
use crate::session::Session;
use crate::token::Token;
use crate::vault::{Vault, causes};

/// Settings of a connection to a server.
#[derive(Debug)]
#[must_use]
pub struct VaultBuilder {
    address: String,
    token: Option<TokenSource>,
    namespace: Option<String>,
    ca_file: Option<PathBuf>,
    allow_http: bool,
    timeout: Duration,
    retries: usize,
}

#[derive(Debug)]
enum TokenSource {
    Given(Token),
    File(PathBuf),
}

impl VaultBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            token: None,
            namespace: None,
            ca_file: None,
            allow_http: false,
            timeout: Duration::from_secs(10),
            retries: 3,
        }
    }

    /// Uses this token. Takes the place of a file.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(TokenSource::Given(token));
        self
    }

    /// Uses the token in this file, which an agent may replace: it is read now, and again when the
    /// server refuses the token. Takes the place of a token given.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token = Some(TokenSource::File(path.into()));
        self
    }

    /// Works in this namespace, such as `team/project`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Trusts the certificate authorities of this PEM file, and those alone. Without it the system's
    /// are trusted.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Takes an address of plain HTTP, as of a server in development mode. Whoever sees the traffic
    /// then has the token and the data keys. No proxy is used.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// How long one attempt may take, from connecting to the last byte. 10 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a request is sent again when the connection fails or the server answers 429 or 5xx,
    /// unless it is sealed. 3 by default. The waits between double from 0.1 to 4 seconds, and have up
    /// to their length of jitter on top.
    pub fn retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// The connection. Files are read now; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::NotAnAddress`], [`Error::PlainHttp`], [`Error::NoToken`], [`Error::TokenFile`],
    /// [`Error::TokenNotValid`], [`Error::NotAName`] for the namespace, [`Error::CaFile`], and
    /// [`Error::HttpClient`].
    pub fn build(self) -> Result<Vault> {
        let address = address(&self.address, self.allow_http)?;
        let (token, file) = match self.token {
            None => return Err(Error::NoToken),
            Some(TokenSource::Given(token)) => (token, None),
            Some(TokenSource::File(path)) => (Token::from_file(&path)?, Some(path)),
        };
        let mut client = Client::builder()
            .default_headers(headers(self.namespace.as_deref())?)
            // A standby server names the active one by a redirect, which must not lead out of TLS.
            .https_only(address.scheme() == "https")
            .redirect(Policy::limited(2))
            .referer(false)
            .timeout(self.timeout);
        if address.scheme() == "http" {
            // A proxy would see the token and the data keys, even of a server on this machine.
            client = client.no_proxy();
        }
        if let Some(path) = &self.ca_file {
            client = client.tls_certs_only(certificates(path)?);
        }
        let client = client.build().map_err(|error| Error::HttpClient {
            reason: causes(&error),
        })?;
        Ok(Vault::new(
            client,
            address,
            self.namespace,
            Session::new(token, file),
            self.retries,
        ))
    }
}

fn address(text: &str, allow_http: bool) -> Result<Url> {
    let fault = |reason| Err(Error::NotAnAddress { reason });
    let Ok(address) = Url::parse(text) else {
        return fault("is not a URL");
    };
    if !matches!(address.scheme(), "http" | "https") {
        return fault("begins with neither https:// nor http://");
    }
    if !address.username().is_empty() || address.password().is_some() {
        return fault("holds a user name or a password, which the server does not know");
    }
    if address.query().is_some() || address.fragment().is_some() {
        return fault("holds a query or a fragment");
    }
    if address.scheme() == "http" && !allow_http {
        return Err(Error::PlainHttp {
            address: address.to_string(),
        });
    }
    Ok(address)
}

fn headers(namespace: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    // An agent between may demand this, as no browser can be made to send it.
    headers.insert(
        HeaderName::from_static("x-vault-request"),
        HeaderValue::from_static("true"),
    );
    if let Some(namespace) = namespace {
        let value = HeaderValue::from_str(namespace).map_err(|_| Error::NotAName {
            what: "the namespace",
            name: namespace.to_owned(),
        })?;
        headers.insert(HeaderName::from_static("x-vault-namespace"), value);
    }
    Ok(headers)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let fault = |reason: String| Error::CaFile {
        path: path.to_owned(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| fault(causes(&error)))?;
    if certificates.is_empty() {
        return Err(fault("there are none in it".to_owned()));
    }
    Ok(certificates)
}
