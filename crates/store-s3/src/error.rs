/// Name of this store in errors of `object_store`.
const STORE: &str = "S3";

/// Why a bucket was not opened, or an object of the S3 Encryption Client not written or read. It is
/// the source of the [`object_store::Error`] that an operation returns.
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

    // Bodies of objects of the S3 Encryption Client
    /// The plaintext is longer than AES-GCM allows under one key and initialisation vector.
    #[error(
        "the plaintext is longer than {bound} bytes, the most that one object of this format holds; write several, or framed ones"
    )]
    PlaintextTooLong {
        /// The bound in bytes.
        bound: u64,
    },
    /// A field of the object's metadata, decoded, has a length that the format does not allow.
    #[error("{field} has {length} bytes and must have {needed}; the object's metadata is damaged")]
    FieldLength {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The length that the format demands, in bytes.
        needed: usize,
    },
    /// The data key is not the one that the object was written with.
    #[error(
        "the data key does not match the object's key commitment; the object or its instruction file was tampered with"
    )]
    CommitmentMismatch,
    /// The tag of the object's body does not verify.
    #[error(
        "the object's body is not authentic; it was tampered with: discard everything read from it"
    )]
    BodyNotAuthentic,
    /// The object's body ends too early.
    #[error("the object's body is truncated: it ends after {length} bytes; fetch the whole object")]
    BodyTruncated {
        /// Length of what there is, in bytes.
        length: u64,
    },
    /// The body of an object without authentication does not decrypt. There is one error for
    /// every reason, so that it helps no attacker.
    #[error("the object's AES-CBC body does not decrypt; it was damaged, or another key wrote it")]
    CbcNotValid,
}

impl Error {
    /// What a caller would do about it.
    fn kind(&self) -> envelope::ErrorKind {
        match self {
            Self::PlainHttp { .. } | Self::PlaintextTooLong { .. } => {
                envelope::ErrorKind::InvalidRequest
            }
            Self::FieldLength { .. }
            | Self::CommitmentMismatch
            | Self::BodyNotAuthentic
            | Self::BodyTruncated { .. }
            | Self::CbcNotValid => envelope::ErrorKind::NotAuthentic,
        }
    }
}

impl From<Error> for envelope::Error {
    fn from(error: Error) -> Self {
        Self::Format {
            kind: error.kind(),
            source: Box::new(error),
        }
    }
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        Self::Generic {
            store: STORE,
            source: error.into(),
        }
    }
}
