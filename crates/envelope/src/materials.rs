use crate::context::EncryptionContext;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::policy::CommitmentPolicy;
use crate::secret::DataKey;
use crate::suite::AlgorithmSuite;

/// What encryption asks of a [`MaterialsManager`](crate::MaterialsManager).
#[derive(Debug, Clone, Copy)]
pub struct EncryptionRequest<'a> {
    /// The suite asked for by name; otherwise the policy's default.
    pub suite: Option<AlgorithmSuite>,
    /// Which suites may be used.
    pub policy: CommitmentPolicy,
    /// The caller's encryption context.
    pub context: &'a EncryptionContext,
    /// Length of the plaintext in bytes, or a bound of it, where known.
    pub plaintext_length: Option<u64>,
}

/// All that is needed to encrypt one message. Made by a
/// [`MaterialsManager`](crate::MaterialsManager), consumed by an
/// [`Encryptor`](crate::Encryptor).
#[derive(Debug)]
pub struct EncryptionMaterials {
    pub(crate) suite: AlgorithmSuite,
    pub(crate) context: EncryptionContext,
    pub(crate) data_key: DataKey,
    pub(crate) encrypted_data_keys: Vec<EncryptedDataKey>,
    pub(crate) signing_key: Option<SigningKey>,
}

impl EncryptionMaterials {
    /// The suite to encrypt under.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// The context that goes into the header; of a signed message it holds the public key too.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The data key in its wrapped forms.
    #[must_use]
    pub fn encrypted_data_keys(&self) -> &[EncryptedDataKey] {
        &self.encrypted_data_keys
    }
}

/// What decryption asks of a [`MaterialsManager`](crate::MaterialsManager).
#[derive(Debug, Clone, Copy)]
pub struct DecryptionRequest<'a> {
    /// The suite in the header.
    pub suite: AlgorithmSuite,
    /// Which suites may be used.
    pub policy: CommitmentPolicy,
    /// The wrapped data keys in the header, in their order.
    pub encrypted_data_keys: &'a [EncryptedDataKey],
    /// The context stored in the header.
    pub context: &'a EncryptionContext,
    /// The context that the caller expects. Pairs that the header does not store count as
    /// authenticated but not stored.
    pub expected_context: &'a EncryptionContext,
}

/// All that is needed to decrypt one message. Made by a
/// [`MaterialsManager`](crate::MaterialsManager), consumed by
/// [`UnverifiedHeader::verify`](crate::UnverifiedHeader::verify).
#[derive(Debug)]
pub struct DecryptionMaterials {
    pub(crate) suite: AlgorithmSuite,
    pub(crate) context: EncryptionContext,
    /// The part of `context` that the header does not store.
    pub(crate) not_stored: EncryptionContext,
    pub(crate) data_key: DataKey,
    pub(crate) verifying_key: Option<VerifyingKey>,
}

impl DecryptionMaterials {
    /// The suite to decrypt under.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// The whole context: what the header stores, and what only the caller knew.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }
}
