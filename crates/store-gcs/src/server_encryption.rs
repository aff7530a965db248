use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, Method, Request};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;

const KMS_KEY: HeaderName = HeaderName::from_static("x-goog-encryption-kms-key-name");
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-goog-copy-source");

/// Headers that carry a customer's key.
struct KeyHeaders {
    algorithm: HeaderName,
    key: HeaderName,
    sha256: HeaderName,
}

/// The key of the object that the request is for.
const OBJECT: KeyHeaders = KeyHeaders {
    algorithm: HeaderName::from_static("x-goog-encryption-algorithm"),
    key: HeaderName::from_static("x-goog-encryption-key"),
    sha256: HeaderName::from_static("x-goog-encryption-key-sha256"),
};

/// The key of the object that is copied.
const SOURCE: KeyHeaders = KeyHeaders {
    algorithm: HeaderName::from_static("x-goog-copy-source-encryption-algorithm"),
    key: HeaderName::from_static("x-goog-copy-source-encryption-key"),
    sha256: HeaderName::from_static("x-goog-copy-source-encryption-key-sha256"),
};

/// How Cloud Storage is to encrypt objects on its side, as headers of requests.
pub(crate) enum ServerEncryption {
    /// With a key of Cloud KMS, by its name.
    KmsKey(HeaderValue),
    /// With a key that each request brings along.
    CustomerKey(Zeroizing<Box<[u8]>>),
}

impl ServerEncryption {
    pub(crate) fn kms_key(name: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(name).map_err(|_| Error::NotAKmsKey {
            name: name.to_owned(),
        })?;
        Ok(Self::KmsKey(value))
    }

    /// Copies the key onto the heap, so that moving it leaves no copy, and wipes the source.
    pub(crate) fn customer_key(key: &mut [u8; 32]) -> Self {
        let kept = Zeroizing::new(Box::from(key.as_slice()));
        key.zeroize();
        Self::CustomerKey(kept)
    }

    /// Adds what a request for an object needs.
    pub(crate) fn add_to<B>(&self, request: &mut Request<B>) {
        match self {
            Self::KmsKey(name) if makes_object(request) => {
                request.headers_mut().insert(KMS_KEY, name.clone());
            }
            Self::CustomerKey(key) if *request.method() != Method::DELETE => {
                add_key(request, &OBJECT, key);
                if request.headers().contains_key(COPY_SOURCE) {
                    add_key(request, &SOURCE, key);
                }
            }
            _ => {}
        }
    }
}

/// Parts of an upload, and its completion, are encrypted as its beginning said.
fn makes_object<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| {
        let mut pairs = query.split('&');
        pairs.any(|pair| pair.split('=').next() == Some(name))
    };
    match *request.method() {
        Method::PUT => !has("uploadId"),
        Method::POST => has("uploads"),
        _ => false,
    }
}

fn add_key<B>(request: &mut Request<B>, names: &KeyHeaders, key: &[u8]) {
    let headers = request.headers_mut();
    headers.insert(&names.algorithm, HeaderValue::from_static("AES256"));
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(key));
    let sha256 = BASE64_STANDARD.encode(Sha256::digest(key));
    for (name, value) in [(&names.key, &*encoded), (&names.sha256, &sha256)] {
        // Base64 is always a header's value.
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

impl fmt::Debug for ServerEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KmsKey(name) => f.debug_tuple("KmsKey").field(name).finish(),
            Self::CustomerKey(_) => f.write_str("CustomerKey(redacted)"),
        }
    }
}
