/// Name of this store in errors of `object_store`.
const STORE: &str = "GCS";

/// Why a bucket was not opened. It is the source of the [`object_store::Error`] that
/// [`open`](crate::open) and [`GcsBuilder::build`](crate::GcsBuilder::build) return.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
