use std::error::Error;
use std::sync::Arc;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use envelope::ErrorKind;

use super::table_call::TableCall;
use crate::kms_error::KmsError;
use crate::reply::{Reply, may_pass};

/// Why a branch key was not made, versioned or read.
///
/// No text holds a key, plain or wrapped, or a value of an encryption context but the branch key's id.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BranchKeyError {
    /// A store or a keyring was not given what it needs.
    #[error("{what} {reason}")]
    InvalidOption {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A store in discovery was asked to make a key.
    #[error("the branch key store is in discovery and makes no keys; name a key of KMS")]
    ReadOnly,
    /// KMS did not make, wrap or unwrap a branch key.
    #[error("branch key {branch_key:?}, item {item_type:?}: {error}{}", or_renamed(.error))]
    Kms {
        /// The branch key's id.
        branch_key: String,
        /// Which of its items, as `branch:ACTIVE`.
        item_type: String,
        /// What KMS said.
        error: Arc<KmsError>,
    },
    /// DynamoDB answered with an error.
    #[error("{call}: {}", refusal(.call, .code.as_deref(), .request_id.as_deref()))]
    Refused {
        /// What was asked.
        call: TableCall,
        /// The HTTP status.
        status: u16,
        /// DynamoDB's code, as `AccessDeniedException`.
        code: Option<String>,
        /// DynamoDB's id of the request, for those who look it up.
        request_id: Option<String>,
    },
    /// Nothing was asked: there are no credentials, or the client's settings make no request.
    #[error("{call}: not asked: {reason}; check credentials, profile and region")]
    NotAsked {
        /// What was to be asked.
        call: TableCall,
        /// What is missing or wrong.
        reason: String,
    },
    /// DynamoDB gave no answer that can be read: look at the network and the time-outs.
    #[error("{call}: no answer: {reason}")]
    NoAnswer {
        /// What was asked.
        call: TableCall,
        /// What failed on the way.
        reason: String,
    },
    /// There is no such branch key, or no such version of it.
    #[error(
        "branch key {branch_key:?} has no item {item_type:?} in table {table}; \
         it was deleted, or never made"
    )]
    NotFound {
        /// The branch key's id.
        branch_key: String,
        /// The item that was looked for, as `branch:ACTIVE`.
        item_type: String,
        /// The table.
        table: String,
    },
    /// A branch key was to be made that exists.
    #[error("branch key {branch_key:?} exists already in table {table}; make a version of it")]
    AlreadyExists {
        /// The branch key's id.
        branch_key: String,
        /// The table.
        table: String,
    },
    /// Another caller made a version in between. Nothing was written.
    #[error(
        "branch key {branch_key:?} was versioned or deleted by another caller meanwhile, and nothing was \
         written; look which version is active, and call again if you still want another"
    )]
    ChangedMeanwhile {
        /// The branch key's id.
        branch_key: String,
    },
    /// An item is not as a branch key store writes it.
    #[error("branch key {branch_key:?}, item {item_type:?}: attribute {attribute:?} {reason}")]
    Malformed {
        /// The branch key's id.
        branch_key: String,
        /// Which of its items, as `branch:ACTIVE`.
        item_type: String,
        /// The attribute's name.
        attribute: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An item is under another key of KMS than the store is configured with.
    #[error(
        "branch key {branch_key:?}, item {item_type:?} is under {kms_key}, which is not the store's key; \
         name that one, or where it is a replica, read as of a multi-region key"
    )]
    ForeignKmsKey {
        /// The branch key's id.
        branch_key: String,
        /// Which of its items, as `branch:ACTIVE`.
        item_type: String,
        /// The ARN of the key that the item names.
        kms_key: String,
    },
    /// A table exists, but cannot hold branch keys.
    #[error(
        "table {table} has other keys than branch-key-id (S, HASH) and type (S, RANGE); \
         choose another name"
    )]
    WrongTable {
        /// The table.
        table: String,
    },
    /// There is no randomness for an id.
    #[error("the operating system gives no random bytes for an id")]
    Randomness,
}

impl BranchKeyError {
    /// Sorts the failure by what to do about it. It is [`Unavailable`](ErrorKind::Unavailable) where
    /// the same call may succeed later with nothing changed, and
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) where an item was altered.
    /// [`ChangedMeanwhile`](Self::ChangedMeanwhile) is `Unavailable` too, but look before you call again:
    /// the version that another caller made may be all you want.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Kms { error, .. } => match &**error {
                error if is_another_context(error) => ErrorKind::NotAuthentic,
                error => error.kind(),
            },
            Self::NoAnswer { .. } | Self::Randomness | Self::ChangedMeanwhile { .. } => {
                ErrorKind::Unavailable
            }
            Self::Refused { code, status, .. } => match code.as_deref() {
                Some(
                    "ProvisionedThroughputExceededException"
                    | "ProvisionedThroughputExceeded"
                    | "TransactionConflict"
                    | "TransactionInProgressException",
                ) => ErrorKind::Unavailable,
                code if may_pass(*status, code) => ErrorKind::Unavailable,
                _ => ErrorKind::InvalidRequest,
            },
            Self::NotFound { .. } => ErrorKind::NoKey,
            Self::Malformed { .. } => ErrorKind::NotAuthentic,
            _ => ErrorKind::InvalidRequest,
        }
    }

    pub(crate) fn new<E>(call: TableCall, error: &SdkError<E, HttpResponse>) -> Self
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
}

/// Whether KMS found that an item's key is not bound to what the store says of it.
fn is_another_context(error: &KmsError) -> bool {
    matches!(error, KmsError::Refused { code, .. } if code.as_deref() == Some("InvalidCiphertextException"))
}

/// KMS knows no logical names: a table that was restored under another name is the likeliest cause.
fn or_renamed(error: &KmsError) -> &'static str {
    match is_another_context(error) {
        true => "; or the store's logical name is not the one that its keys were made under",
        false => "",
    }
}

fn refusal(call: &TableCall, code: Option<&str>, request_id: Option<&str>) -> String {
    let advice = match code {
        Some("AccessDeniedException") => {
            let permission = call.permission();
            format!(": allow {permission} to the caller, on the table")
        }
        code => advice(code).to_owned(),
    };
    let code = code.unwrap_or("the answer has no error code and cannot be read");
    let request = request_id.map(|id| format!(" (request {id})"));
    format!("{code}{advice}{}", request.unwrap_or_default())
}

fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("ResourceNotFoundException") => {
            ": there is no such table in this account and region; create it first"
        }
        Some("ProvisionedThroughputExceededException" | "ProvisionedThroughputExceeded") => {
            ": the table's capacity is used up; try again later, or give it more"
        }
        Some("ThrottlingException" | "ThrottlingError" | "RequestLimitExceeded") => {
            ": too many requests; try again later"
        }
        Some("TransactionConflict" | "TransactionInProgressException") => {
            ": another caller writes to the branch key; try again later"
        }
        Some("ValidationException" | "ValidationError") => {
            ": the table has other keys, or the branch key more than an item may hold"
        }
        Some(
            "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException",
        ) => ": check the credentials",
        _ => "",
    }
}
