use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring};
use envelope_aws_kms::{AnyKmsKey, KmsError, KmsKey};
use zeroize::Zeroizing;

use super::received::{Received, Refusal, answer};
use super::{BOUND_ALGORITHM, WrapAlgorithm, WrapInfo, binding, check_length};

/// Has AWS KMS make, wrap and unwrap data keys, bound to the encryption context.
///
/// The object stores the context in the clear and KMS is sent the whole of it. Source:
/// specification, "S3 KMS Keyring", wrap algorithm `kms+context`.
///
/// ```no_run
/// # fn keyring(client: aws_sdk_kms::Client) -> Result<(), envelope_aws_kms::KmsError> {
/// use envelope_aws_kms::KmsKey;
/// use envelope_s3::keyring::Kms;
///
/// let keyring = Kms::new(KmsKey::new(client, "alias/invoices")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Kms {
    key: Key,
    name: Arc<str>,
}

#[derive(Debug)]
enum Key {
    One(KmsKey),
    Any(AnyKmsKey),
}

impl Kms {
    /// A keyring of one KMS key, which is named in every call: what another key wrapped is refused.
    #[must_use]
    pub fn new(key: KmsKey) -> Self {
        Self {
            name: format!("S3 KMS {}", key.key_id()).into(),
            key: Key::One(key),
        }
    }

    /// A keyring that only reads, with whatever key an object's encrypted data key names. Whoever
    /// wrote the object chose that key; where you know it beforehand, use [`new`](Self::new).
    #[must_use]
    pub fn discovery(keys: AnyKmsKey) -> Self {
        Self {
            name: "S3 KMS discovery".into(),
            key: Key::Any(keys),
        }
    }

    fn writing(&self) -> Result<&KmsKey, KeyringError> {
        match &self.key {
            Key::One(key) => Ok(key),
            Key::Any(_) => Err(KeyringError::misconfigured(
                self.name.to_string(),
                "only reads; to write, name a KMS key",
            )),
        }
    }

    fn failed(&self, error: &KmsError) -> KeyringError {
        KeyringError::of_kind(error.kind(), self.name.to_string(), error.to_string())
    }

    async fn unwrap(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        let received = Received::new(keys, request)?;
        match received.info.wrap {
            WrapAlgorithm::KmsContext => {}
            // Only `kms+context` writes this pair: the name was changed to skip the comparison of
            // contexts.
            WrapAlgorithm::Kms if request.context.get(BOUND_ALGORITHM).is_some() => {
                return Err(Refusal::failed(
                    "is called kms and has the context of kms+context; the object's metadata was tampered with",
                ));
            }
            WrapAlgorithm::Kms => {}
            _ => return Err(received.another_keyring()),
        }
        let opened = match &self.key {
            Key::One(key) => key.decrypt(received.ciphertext, request.context).await,
            Key::Any(keys) => keys.decrypt(received.ciphertext, request.context).await,
        };
        let secret = opened.map_err(|error| Refusal::Service(error.kind(), error.to_string()))?;
        data_key(secret, request).ok_or(Refusal::failed(WRONG_LENGTH))
    }
}

const WRONG_LENGTH: &str = "KMS answered with a data key of another length than 32 bytes";

fn data_key(mut secret: Zeroizing<Vec<u8>>, request: KeyRequest<'_>) -> Option<DataKey> {
    let right = secret.len() == 32;
    right.then(|| DataKey::from_bytes(std::mem::take(&mut *secret), request.suite).ok())?
}

/// The format stores the encryption context itself.
fn encrypted_data_key(ciphertext: Vec<u8>) -> EncryptedDataKey {
    let info = WrapInfo {
        wrap: WrapAlgorithm::KmsContext,
        description: BTreeMap::new(),
    };
    info.with_key(ciphertext)
}

#[async_trait]
impl Keyring for Kms {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let key = self.writing()?;
        binding(&self.name, request)?;
        check_length(&self.name, data_key)?;
        let wrapped = key.encrypt(data_key.expose(), request.context).await;
        let ciphertext = wrapped.map_err(|error| self.failed(&error))?;
        Ok(vec![encrypted_data_key(ciphertext)])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        answer(&self.name, self.unwrap(keys, request).await)
    }

    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let key = self.writing()?;
        binding(&self.name, request)?;
        let generated = key.generate_data_key(request.context).await;
        let generated = generated.map_err(|error| self.failed(&error))?;
        let data_key = data_key(generated.secret, request)
            .ok_or_else(|| KeyringError::misconfigured(self.name.to_string(), WRONG_LENGTH))?;
        Ok((data_key, vec![encrypted_data_key(generated.ciphertext)]))
    }
}
