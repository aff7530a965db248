use object_store::Attribute;

/// Name of this store in errors of `object_store`.
const STORE: &str = "GcsStore";

/// What this store refuses before it sends anything. It is the source of the
/// [`object_store::Error`] that an operation returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object's custom metadata is more than Cloud Storage keeps.
    #[error(
        "custom metadata takes {size} bytes, names and values together, and Cloud Storage keeps {limit}; shorten it, or put it into an object"
    )]
    MetadataTooLarge {
        /// Bytes of all names and values.
        size: usize,
        /// Bytes that Cloud Storage keeps: [`METADATA_LIMIT`](crate::METADATA_LIMIT).
        limit: usize,
    },
    /// An attribute could be written and the object not be read again.
    #[error(
        "{attribute:?} is not ASCII, and with it the object could not be read again; encode it"
    )]
    NotAscii {
        /// The attribute whose name or value it is.
        attribute: Attribute,
    },
    /// The endpoint is not encrypted, and nobody asked for that.
    #[error("{endpoint} is plain HTTP; use https, or allow it by `allow_http()`")]
    PlainHttp {
        /// The endpoint that was configured.
        endpoint: String,
    },
    /// The endpoint is no URL, so nobody can tell which requests go there.
    #[error("{endpoint:?} is no URL with a host; name one, as `https://storage.googleapis.com`")]
    NotAnEndpoint {
        /// The endpoint that was configured.
        endpoint: String,
    },
    /// The name of the KMS key cannot be a header's value.
    #[error(
        "{name:?} is no name of a KMS key; name it as `projects/…/locations/…/keyRings/…/cryptoKeys/…`"
    )]
    NotAKmsKey {
        /// The name that was configured.
        name: String,
    },
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        Self::Generic {
            store: STORE,
            source: error.into(),
        }
    }
}
