use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::{
    Attempt, KeyRequest, Keyring, KeyringError, Refusal, Unwrapped, check_namespace, first_to_open,
};
use crate::crypto::aead::{Aead, IV_LENGTH, TAG_LENGTH};
use crate::crypto::{Refused, random};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::secret::{DataKey, WrappingKey};

/// Random IVs under one key: at most 2^32 (NIST SP 800-38D, section 8.3).
const MAXIMUM_USES: u64 = 1 << 32;
/// Tag length in bits and IV length in bytes, as they follow the name in the provider info.
const INFO_LENGTHS: [u8; 8] = [0, 0, 0, 128, 0, 0, 0, 12];

/// Wraps data keys with AES-GCM under a key held in this process.
///
/// Namespace and name say which key it is; they stand in each message in the clear. Source:
/// AWS Encryption SDK specification, "Raw AES Keyring".
///
/// ```
/// use envelope::{RawAes, WrappingKey};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct RawAes {
    namespace: String,
    name: String,
    description: Arc<str>,
    cipher: Aead,
    uses: AtomicU64,
}

impl RawAes {
    /// A keyring of one wrapping key of 128, 192 or 256 bits, whatever the message's suite.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for the namespace `aws-kms`, which belongs to AWS KMS, and for a
    /// namespace or name that does not fit its field.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        key: WrappingKey,
    ) -> Result<Self> {
        let (namespace, name) = (namespace.into(), name.into());
        check_namespace(&namespace, name.len() + INFO_LENGTHS.len() + IV_LENGTH)?;
        Ok(Self {
            description: format!("raw AES {namespace}/{name}").into(),
            namespace,
            name,
            cipher: Aead::new(key.expose())?,
            uses: AtomicU64::new(0),
        })
    }

    fn wrap(&self, data_key: &DataKey, aad: &[u8]) -> Result<EncryptedDataKey, Error> {
        let iv = random::random_bytes::<IV_LENGTH>()?;
        let mut wrapped = vec![0; data_key.expose().len() + TAG_LENGTH];
        let (ciphertext, tag) = wrapped
            .split_last_chunk_mut::<TAG_LENGTH>()
            .ok_or(Error::SealFailed)?;
        self.cipher
            .seal_to(iv, aad, data_key.expose(), ciphertext, tag)?;
        let info = [self.name.as_bytes(), &INFO_LENGTHS, &iv].concat();
        Ok(EncryptedDataKey::new(&*self.namespace, info, wrapped))
    }

    /// The IV in the provider info, or why the key is not one of this keyring's.
    fn matching_iv(&self, key: &EncryptedDataKey) -> Result<[u8; IV_LENGTH], &'static str> {
        if key.provider_id() != self.namespace {
            return Err("another key namespace");
        }
        // The whole name must be equal: a longer name that begins with ours is another key.
        let (rest, iv) = key
            .provider_info()
            .split_last_chunk::<IV_LENGTH>()
            .ok_or("another key name")?;
        let (name, lengths) = rest
            .split_last_chunk::<{ INFO_LENGTHS.len() }>()
            .ok_or("another key name")?;
        if name != self.name.as_bytes() {
            return Err("another key name");
        }
        if *lengths != INFO_LENGTHS {
            return Err("another tag or IV length than 128 bits and 12 bytes");
        }
        Ok(*iv)
    }

    fn unwrap(
        &self,
        iv: [u8; IV_LENGTH],
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
        aad: &[u8],
    ) -> Result<DataKey, &'static str> {
        let (ciphertext, tag) = key
            .ciphertext()
            .split_last_chunk::<TAG_LENGTH>()
            .ok_or("the wrapped key is too short")?;
        // Checked first, so that an unwrapped key of another length never exists.
        if ciphertext.len() != request.suite.data_key_length() {
            return Err("the wrapped key has the wrong length for the algorithm suite");
        }
        let mut bytes = vec![0; ciphertext.len()];
        match self.cipher.open_to(iv, aad, ciphertext, tag, &mut bytes) {
            Ok(()) => DataKey::from_bytes(bytes, request.suite)
                .map_err(|_| "the unwrapped key has the wrong length for the algorithm suite"),
            Err(Refused) => {
                Err("not authentic: another wrapping key, another encryption context, or tampered")
            }
        }
    }
}

#[async_trait]
impl Keyring for RawAes {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let failed = |reason: String| KeyringError::new(self.description.to_string(), reason);
        if self.uses.fetch_add(1, Ordering::Relaxed) >= MAXIMUM_USES {
            return Err(failed(
                "the key has wrapped 2^32 data keys, its limit with random IVs; use a new key"
                    .to_owned(),
            ));
        }
        let key = self
            .wrap(data_key, &request.context.to_bytes())
            .map_err(|error| failed(error.to_string()))?;
        Ok(vec![key])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let aad = request.context.to_bytes();
        first_to_open(&self.description, keys, |key| {
            let iv = self.matching_iv(key).map_err(Refusal::Skipped)?;
            self.unwrap(iv, key, request, &aad).map_err(Refusal::Failed)
        })
    }
}

impl fmt::Debug for RawAes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawAes")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
