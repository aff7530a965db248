use std::error::Error;
use std::fmt::Write;

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;

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
}

impl KmsError {
    /// Whether the same call may succeed later, with nothing changed: KMS gave no answer, or is busy
    /// or broken.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::EmptyKeyId => false,
            Self::NoAnswer { .. } | Self::Incomplete { .. } => true,
            Self::Refused { code, .. } => match code.as_deref() {
                None => true,
                Some(code) => {
                    code.contains("Throttling")
                        || code.contains("Timeout")
                        || code.contains("Internal")
                        || code.contains("Unavailable")
                        || code == "LimitExceededException"
                }
            },
        }
    }

    pub(crate) fn new<E>(call: KmsCall, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let reason = match error {
            SdkError::ServiceError(_) => {
                return Self::Refused {
                    call,
                    code: error.code().map(str::to_owned),
                    request_id: error.request_id().map(str::to_owned),
                };
            }
            SdkError::TimeoutError(_) => "the time allowed is over".to_owned(),
            SdkError::ResponseError(_) => "it cannot be read as one of KMS".to_owned(),
            other => causes(other),
        };
        Self::NoAnswer { call, reason }
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
            ": allow kms:{} to the caller, in its own policy or the key's",
            call.operation
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
        Some("InvalidKeyUsageException") => ": the key is for signing or for MACs; use another",
        Some("InvalidCiphertextException") => {
            ": wrapped under another encryption context or by no key of KMS, or tampered with"
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
