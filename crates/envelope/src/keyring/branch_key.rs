use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Attempt, KeyRequest, Keyring, KeyringError, Refusal, Unwrapped, first_to_open};
use crate::crypto::aead::{Aead, IV_LENGTH, TAG_LENGTH};
use crate::crypto::kdf::{self, CounterHash};
use crate::crypto::{Refused, random};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::secret::{DataKey, DerivedKey, WrappingKey};

const SALT_LENGTH: usize = 16;
const VERSION_LENGTH: usize = 16;
const KEY_LENGTH: usize = 32;

/// Wraps data keys under one version of a branch key: the part of the hierarchical keyring that
/// needs no service.
///
/// A branch key is a wrapping key that a key store hands out by id and version. Each data key is
/// wrapped under a key of its own, derived from the branch key. Source: AWS Encryption SDK
/// specification, "AWS KMS Hierarchical Keyring".
///
/// ```
/// use envelope::{BranchKey, DecryptOptions, EncryptOptions, WrappingKey, blocking};
///
/// let keyring = BranchKey::new("tenant-a", [7; 16], WrappingKey::generate()?)?;
/// let message = blocking::encrypt(&keyring, b"hello", &EncryptOptions::default())?;
/// let opened = blocking::decrypt(&keyring, &message, &DecryptOptions::default())?;
/// assert_eq!(opened.plaintext, b"hello");
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct BranchKey {
    id: String,
    version: [u8; VERSION_LENGTH],
    key: WrappingKey,
    description: Arc<str>,
}

impl BranchKey {
    /// The provider id of what branch keys wrap.
    pub const PROVIDER_ID: &str = "aws-kms-hierarchy";

    /// A branch key of 32 bytes; the version is a UUID's bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`] for a key of another length, [`Error::InvalidOption`] for an id that
    /// does not fit its field.
    pub fn new(
        id: impl Into<String>,
        version: [u8; VERSION_LENGTH],
        key: WrappingKey,
    ) -> Result<Self> {
        let id = id.into();
        if key.expose().len() != KEY_LENGTH {
            return Err(Error::KeyLength {
                length: key.expose().len(),
                legal: "32 bytes",
            });
        }
        if id.is_empty() || id.len() > usize::from(u16::MAX) {
            return Err(Error::InvalidOption {
                what: "the branch key id",
                reason: "must have 1 to 65535 bytes",
            });
        }
        Ok(Self {
            description: format!("branch key {id}").into(),
            id,
            version,
            key,
        })
    }

    /// The version of the branch key that wrapped it, as bytes of a UUID; none when it is too short.
    /// Nothing is verified.
    #[must_use]
    pub fn version_of(key: &EncryptedDataKey) -> Option<[u8; VERSION_LENGTH]> {
        let start = SALT_LENGTH + IV_LENGTH;
        let version = key.ciphertext().get(start..start + VERSION_LENGTH)?;
        version.try_into().ok()
    }

    fn wrap(&self, data_key: &DataKey, request: KeyRequest<'_>) -> Result<EncryptedDataKey> {
        let (salt, iv) = (
            random::random_bytes::<SALT_LENGTH>()?,
            random::random_bytes::<IV_LENGTH>()?,
        );
        let mut wrapped = vec![0; data_key.expose().len()];
        let mut tag = [0; TAG_LENGTH];
        let aad = self.aad(request);
        self.cipher(&salt)?
            .seal_to(iv, &aad, data_key.expose(), &mut wrapped, &mut tag)?;
        let ciphertext = [&salt[..], &iv, &self.version, &wrapped, &tag].concat();
        Ok(EncryptedDataKey::new(
            Self::PROVIDER_ID,
            &*self.id,
            ciphertext,
        ))
    }

    /// Why the wrapped key is not one of this branch key's.
    fn check_match(&self, key: &EncryptedDataKey) -> Result<(), &'static str> {
        if key.provider_id() != Self::PROVIDER_ID {
            return Err("another provider");
        }
        if key.provider_info() != self.id.as_bytes() {
            return Err("another branch key");
        }
        match Self::version_of(key) {
            Some(version) if version == self.version => Ok(()),
            _ => Err("another version of the branch key"),
        }
    }

    fn unwrap(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, &'static str> {
        const TOO_SHORT: &str = "the wrapped key is too short";
        let (salt, rest) = key
            .ciphertext()
            .split_first_chunk::<SALT_LENGTH>()
            .ok_or(TOO_SHORT)?;
        let (iv, rest) = rest.split_first_chunk::<IV_LENGTH>().ok_or(TOO_SHORT)?;
        let (_, rest) = rest
            .split_first_chunk::<VERSION_LENGTH>()
            .ok_or(TOO_SHORT)?;
        let (wrapped, tag) = rest.split_last_chunk::<TAG_LENGTH>().ok_or(TOO_SHORT)?;
        // Checked first, so that an unwrapped key of another length never exists.
        if wrapped.len() != request.suite.data_key_length() {
            return Err("the wrapped key has the wrong length for the algorithm suite");
        }
        let cipher = self
            .cipher(salt)
            .map_err(|_| "the wrapping key cannot be derived")?;
        let mut bytes = vec![0; wrapped.len()];
        cipher
            .open_to(*iv, &self.aad(request), wrapped, tag, &mut bytes)
            .map_err(|Refused| {
                "not authentic: another branch key, another encryption context, or tampered"
            })?;
        DataKey::from_bytes(bytes, request.suite)
            .map_err(|_| "the unwrapped key has the wrong length for the algorithm suite")
    }

    fn cipher(&self, salt: &[u8]) -> Result<Aead> {
        let mut derived = Ok(());
        let key = DerivedKey::fill_with(KEY_LENGTH, |output| {
            let (branch_key, label) = (self.key.expose(), Self::PROVIDER_ID.as_bytes());
            derived = kdf::counter_mode(CounterHash::Sha256, branch_key, label, salt, output);
            Some(())
        });
        derived?;
        Aead::new(key.ok_or(Error::SealFailed)?.expose())
    }

    fn aad(&self, request: KeyRequest<'_>) -> Vec<u8> {
        [
            Self::PROVIDER_ID.as_bytes(),
            self.id.as_bytes(),
            &self.version,
            &request.context.to_bytes(),
        ]
        .concat()
    }
}

#[async_trait]
impl Keyring for BranchKey {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        self.wrap(data_key, request)
            .map(|key| vec![key])
            .map_err(|error| KeyringError::new(self.description.to_string(), error.to_string()))
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(&self.description, keys, |key| {
            self.check_match(key).map_err(Refusal::Skipped)?;
            self.unwrap(key, request).map_err(Refusal::Failed)
        })
    }
}

impl fmt::Debug for BranchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BranchKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
