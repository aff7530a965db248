use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, Unwrapped};
use envelope::{DataKey, EncryptedDataKey};

use crate::kms_error::KmsError;

/// Attempts that are reported of one keyring: nobody reads the many of a hostile message.
const REPORTED_ATTEMPTS: usize = 1000;

/// Reads encrypted data keys one by one: the part in which the keyrings differ.
#[async_trait]
pub(crate) trait OneByOne: Sync {
    /// The keyring, as it names itself.
    fn description(&self) -> &Arc<str>;

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
}

impl From<KmsError> for Refusal {
    fn from(error: KmsError) -> Self {
        Self::Failed(error.to_string().into())
    }
}

/// Tries the encrypted data keys in their order; the first that opens wins.
pub(crate) async fn first_to_open(
    keyring: &impl OneByOne,
    keys: &[EncryptedDataKey],
    request: KeyRequest<'_>,
) -> Result<Unwrapped, Vec<Attempt>> {
    let mut attempts = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let name = || Arc::clone(keyring.description());
        let attempt = match keyring.open(key, request).await {
            Ok(data_key) => return Ok(Unwrapped { index, data_key }),
            Err(Refusal::Skipped(reason)) => Attempt::skipped(index, name(), reason),
            Err(Refusal::Failed(reason)) => Attempt::failed_with(index, name(), reason),
        };
        if attempts.len() < REPORTED_ATTEMPTS {
            attempts.push(attempt);
        }
    }
    Err(attempts)
}
