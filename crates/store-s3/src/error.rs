/// Name of this store in errors of `object_store`.
const STORE: &str = "S3";

/// Why a bucket was not opened. It is the source of the [`object_store::Error`] that
/// [`open`](crate::open) returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
