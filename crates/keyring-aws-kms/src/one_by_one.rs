use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, ErrorKind};

use crate::kms_error::KmsError;

/// Encrypted data keys of one message that a keyring has its service open, unless it is told
/// otherwise. An honest message holds one of each key; a hostile one holds up to 65 535.
pub(crate) const MAXIMUM_TRIES: usize = 20;
/// Attempts that are reported of one keyring: nobody reads the many of a hostile message.
const REPORTED_ATTEMPTS: usize = 1000;

const LIMIT: &str = "the keyring tried as many others as it may before";

/// Reads encrypted data keys one by one: the part in which the keyrings differ.
#[async_trait]
pub(crate) trait OneByOne: Sync {
    /// The keyring, as it names itself.
    fn description(&self) -> &Arc<str>;

    /// Encrypted data keys of one message that the service is asked to open.
    fn maximum_tries(&self) -> usize {
        MAXIMUM_TRIES
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal>;
}

/// Why one encrypted data key was not opened.
pub(crate) enum Refusal {
    Skipped(Cow<'static, str>),
    Failed(Cow<'static, str>),
    /// The service gave no answer, or none about the key.
    Service(ErrorKind, String),
}

impl From<KmsError> for Refusal {
    fn from(error: KmsError) -> Self {
        Self::Service(error.kind(), error.to_string())
    }
}

/// Tries the encrypted data keys in their order; the first that opens wins.
pub(crate) async fn first_to_open(
    keyring: &impl OneByOne,
    keys: &[EncryptedDataKey],
    request: KeyRequest<'_>,
) -> Result<Unwrapped, Vec<Attempt>> {
    let mut attempts = Vec::new();
    let (mut tried, maximum) = (0, keyring.maximum_tries());
    for (index, key) in keys.iter().enumerate() {
        let name = || Arc::clone(keyring.description());
        let opened = match tried >= maximum {
            true => Err(Refusal::Skipped(LIMIT.into())),
            false => keyring.open(key, request).await,
        };
        tried += usize::from(!matches!(opened, Err(Refusal::Skipped(_))));
        let attempt = match opened {
            Ok(data_key) => return Ok(Unwrapped { index, data_key }),
            Err(Refusal::Skipped(reason)) => Attempt::skipped(index, name(), reason),
            Err(Refusal::Failed(reason)) => Attempt::failed_with(index, name(), reason),
            Err(Refusal::Service(kind, reason)) => Attempt::of_kind(kind, index, name(), reason),
        };
        if attempts.len() < REPORTED_ATTEMPTS {
            attempts.push(attempt);
        }
    }
    Err(attempts)
}
