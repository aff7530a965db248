use std::error::Error;
use std::fmt::Write;

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use envelope::ErrorKind;
use envelope::keyring::KeyringError;

use crate::kms_call::KmsCall;
use crate::reply::{Reply, may_pass};

/// Why KMS did not make, wrap or unwrap a data key.
///
/// No text holds a plaintext key, a ciphertext or an encryption context. KMS's own messages are left
/// out for that: they may repeat what was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// No key was named.
    #[error("the KMS key id is empty; give a key id, a key ARN, an alias or an alias ARN")]
    EmptyKeyId,
    /// A key was named in a way that KMS or the work does not take.
    #[error("the KMS key id {key_id:?} {reason}")]
    InvalidKeyId {
        /// The name that was given.
        key_id: String,
        /// What is wrong with it, and what to do.
        reason: &'static str,
    },
    /// A keyring was not given what it needs.
    #[error("{what} {reason}")]
    InvalidOption {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A client supplier has no client for the region of a key.
    #[error("there is no client for region {region:?}; let the client supplier make one")]
    NoClient {
        /// The region.
        region: String,
    },
    /// A key cannot be used in the way that was asked for.
    #[error(transparent)]
    Key(#[from] envelope::Error),
    /// KMS answered with an error.
    #[error("{call}: {}", refusal(.call, .code.as_deref(), .request_id.as_deref()))]
    Refused {
        /// What was asked.
        call: KmsCall,
        /// The HTTP status.
        status: u16,
        /// KMS's code, as `AccessDeniedException`.
        code: Option<String>,
        /// KMS's id of the request, for those who look it up.
        request_id: Option<String>,
    },
    /// Nothing was asked: there are no credentials, or the client's settings make no request.
    #[error("{call}: not asked: {reason}; check credentials, profile and region")]
    NotAsked {
        /// What was to be asked.
        call: KmsCall,
        /// What is missing or wrong.
        reason: String,
    },
    /// KMS gave no answer that can be read: look at the network and the time-outs.
    #[error("{call}: no answer: {reason}")]
    NoAnswer {
        /// What was asked.
        call: KmsCall,
        /// What failed on the way.
        reason: String,
    },
    /// KMS answered without what was asked for.
    #[error("{call}: the answer has no {field}; is the endpoint KMS?")]
    Incomplete {
        /// What was asked.
        call: KmsCall,
        /// The field that is missing.
        field: &'static str,
    },
    /// KMS answered for another key than it was asked for.
    #[error("{call}: the answer is of another key, {}; is the endpoint KMS?", .answered.as_deref().unwrap_or("which it does not name"))]
    WrongKey {
        /// What was asked.
        call: KmsCall,
        /// The key that the answer names.
        answered: Option<String>,
    },
}

impl KmsError {
    /// Sorts the failure by what to do about it. It is [`Unavailable`](ErrorKind::Unavailable) where
    /// the same call may succeed later with nothing changed, and [`NoKey`](ErrorKind::NoKey) only where
    /// KMS looked: a permission that is missing says nothing about the ciphertext.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAnswer { .. } => ErrorKind::Unavailable,
            Self::Refused { code, status, .. } => match code.as_deref() {
                Some(
                    "InvalidCiphertextException" | "IncorrectKeyException" | "NotFoundException",
                ) => ErrorKind::NoKey,
                code if may_pass(*status, code) => ErrorKind::Unavailable,
                _ => ErrorKind::InvalidRequest,
            },
            Self::Key(error) => error.kind(),
            _ => ErrorKind::InvalidRequest,
        }
    }

    pub(crate) fn new<E>(call: KmsCall, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match Reply::of(error) {
            Reply::NotAsked(reason) => Self::NotAsked { call, reason },
            Reply::NoAnswer(reason) => Self::NoAnswer { call, reason },
            Reply::Refused {
                status,
                code,
                request_id,
            } => Self::Refused {
                call,
                status,
                code,
                request_id,
            },
        }
    }

    /// The same as the error of a keyring that makes and wraps data keys.
    pub(crate) fn of_keyring(&self, keyring: &str) -> KeyringError {
        KeyringError::of_kind(self.kind(), keyring.to_owned(), self.to_string())
    }
}

fn refusal(call: &KmsCall, code: Option<&str>, request_id: Option<&str>) -> String {
    let mut text = code
        .unwrap_or("the answer has no error code and cannot be read")
        .to_owned();
    // Writing to a string cannot fail.
    let _ = match code {
        Some("AccessDeniedException" | "AccessDenied") => write!(
            text,
            ": allow {} to the caller, in its own policy or the key's",
            call.permission()
        ),
        code => write!(text, "{}", advice(code)),
    };
    if let Some(id) = request_id {
        let _ = write!(text, " (request {id})");
    }
    text
}

fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("NotFoundException") => ": there is no such key or alias in this account and region",
        Some("DisabledException") => ": the key is disabled; enable it",
        Some("KMSInvalidStateException") => {
            ": the key's state does not allow it, as while it waits for its deletion"
        }
        Some("InvalidKeyUsageException") => {
            ": the key is for another use, as signing; use another key"
        }
        Some("InvalidCiphertextException") => {
            ": wrapped under another encryption context or by no key of KMS, or tampered with"
        }
        Some("ValidationException") => {
            ": KMS takes no such value, as more than 10 grant tokens or a context of over 8192 bytes"
        }
        Some("IncorrectKeyException") => ": wrapped by another key",
        Some("ThrottlingException" | "LimitExceededException") => {
            ": too many requests; try again later"
        }
        Some(
            "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException",
        ) => ": check the credentials",
        _ => "",
    }
}
