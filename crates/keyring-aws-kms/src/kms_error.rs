use std::error::Error;
use std::fmt::Write;

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use envelope::keyring::KeyringError;

use crate::kms_call::KmsCall;

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
        /// KMS's code, as `AccessDeniedException`.
        code: Option<String>,
        /// KMS's id of the request, for those who look it up.
        request_id: Option<String>,
    },
    /// KMS gave no answer that can be read: look at the network, the credentials, the time-outs.
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
    /// Whether the same call may succeed later, with nothing changed: KMS gave no answer, or is busy
    /// or broken.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::Incomplete { .. } | Self::WrongKey { .. } => true,
            Self::Refused { code, .. } => is_transient_code(code.as_deref()),
            _ => false,
        }
    }

    pub(crate) fn new<E>(call: KmsCall, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match no_answer(error) {
            Some(reason) => Self::NoAnswer { call, reason },
            None => Self::Refused {
                call,
                code: error.code().map(str::to_owned),
                request_id: error.request_id().map(str::to_owned),
            },
        }
    }

    /// The same as the error of a keyring that makes and wraps data keys.
    pub(crate) fn of_keyring(&self, keyring: &str) -> KeyringError {
        KeyringError::new(keyring.to_owned(), self.to_string())
    }
}

/// Whether a service that answers with this code is busy or broken, and may do better later.
pub(crate) fn is_transient_code(code: Option<&str>) -> bool {
    code.is_none_or(|code| {
        code.contains("Throttling")
            || code.contains("Timeout")
            || code.contains("Internal")
            || code.contains("Unavailable")
            || code == "LimitExceededException"
    })
}

/// Why there is no answer; none when the service answered with an error.
pub(crate) fn no_answer<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    match error {
        SdkError::ServiceError(_) => None,
        SdkError::TimeoutError(_) => Some("the time allowed is over".to_owned()),
        SdkError::ResponseError(_) => Some("it cannot be read as one of the service".to_owned()),
        other => Some(causes(other)),
    }
}

/// The SDK's outer errors say little; the reason is behind them.
fn causes(error: &(dyn Error + 'static)) -> String {
    let texts = std::iter::successors(error.source(), |error| (*error).source());
    let texts: Vec<String> = texts.map(|error| error.to_string()).collect();
    match texts.is_empty() {
        true => error.to_string(),
        false => texts.join(": "),
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
