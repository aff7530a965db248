use object_store::Attribute;

/// Name of this store in errors of `object_store`.
const STORE: &str = "S3Store";

/// What this store refuses before it sends anything. It is the source of the
/// [`object_store::Error`] that an operation returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object's user metadata is more than S3 keeps.
    #[error(
        "user metadata takes {size} bytes, names and values together, and S3 keeps {limit}; shorten it, or put it into an object"
    )]
    MetadataTooLarge {
        /// Bytes of all names and values.
        size: usize,
        /// Bytes that S3 keeps: [`METADATA_LIMIT`](crate::METADATA_LIMIT).
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
    #[error(
        "{endpoint} is plain HTTP; use https, or allow it by `with_allow_http(true)` or AWS_ALLOW_HTTP=true"
    )]
    PlainHttp {
        /// The endpoint that was configured.
        endpoint: String,
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
