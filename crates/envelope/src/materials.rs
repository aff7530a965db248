use std::collections::BTreeSet;
use std::sync::Arc;

use crate::context::EncryptionContext;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::policy::CommitmentPolicy;
use crate::secret::DataKey;
use crate::suite::AlgorithmSuite;

/// What encryption asks of a [`MaterialsManager`](crate::MaterialsManager) (AWS Encryption SDK
/// specification, "CMM Interface", get encryption materials).
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
/// [`Encryptor`](crate::Encryptor). Source: AWS Encryption SDK specification, "Structures",
/// encryption materials.
#[derive(Debug)]
pub struct EncryptionMaterials {
    pub(crate) suite: AlgorithmSuite,
    /// The whole context.
    pub(crate) context: EncryptionContext,
    /// Keys of the context that are authenticated and not stored.
    pub(crate) not_stored: BTreeSet<String>,
    // Shared, so that cached materials serve many messages without a copy of a secret.
    pub(crate) data_key: Arc<DataKey>,
    pub(crate) encrypted_data_keys: Vec<EncryptedDataKey>,
    pub(crate) signing_key: Option<Arc<SigningKey>>,
}

impl EncryptionMaterials {
    /// The same materials once more; secrets are shared, not copied.
    pub(crate) fn share(&self) -> Self {
        Self {
            suite: self.suite,
            context: self.context.clone(),
            not_stored: self.not_stored.clone(),
            data_key: Arc::clone(&self.data_key),
            encrypted_data_keys: self.encrypted_data_keys.clone(),
            signing_key: self.signing_key.clone(),
        }
    }

    /// The suite to encrypt under.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// The whole context; of a signed message it holds the public key too.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// Keys of the context that the header will not store.
    pub fn not_stored(&self) -> impl Iterator<Item = &str> {
        self.not_stored.iter().map(String::as_str)
    }

    /// The data key in its wrapped forms.
    #[must_use]
    pub fn encrypted_data_keys(&self) -> &[EncryptedDataKey] {
        &self.encrypted_data_keys
    }

    /// The data key itself: for formats other than the message, which seal by themselves.
    #[must_use]
    pub fn data_key(&self) -> &DataKey {
        &self.data_key
    }
}

/// What decryption asks of a [`MaterialsManager`](crate::MaterialsManager) (AWS Encryption SDK
/// specification, "CMM Interface", decrypt materials).
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
/// [`UnverifiedHeader::verify`](crate::UnverifiedHeader::verify). Source: AWS Encryption SDK
/// specification, "Structures", decryption materials.
#[derive(Debug)]
pub struct DecryptionMaterials {
    pub(crate) suite: AlgorithmSuite,
    pub(crate) context: EncryptionContext,
    /// The part of `context` that the header does not store.
    pub(crate) not_stored: EncryptionContext,
    pub(crate) data_key: Arc<DataKey>,
    pub(crate) opened: EncryptedDataKey,
    pub(crate) verifying_key: Option<VerifyingKey>,
}

impl DecryptionMaterials {
    /// The same materials once more; the data key is shared, not copied.
    pub(crate) fn share(&self) -> Self {
        Self {
            suite: self.suite,
            context: self.context.clone(),
            not_stored: self.not_stored.clone(),
            data_key: Arc::clone(&self.data_key),
            opened: self.opened.clone(),
            verifying_key: self.verifying_key.clone(),
        }
    }

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

    /// The encrypted data key that was unwrapped.
    #[must_use]
    pub fn opened(&self) -> &EncryptedDataKey {
        &self.opened
    }

    /// The data key itself: for formats other than the message, which open by themselves.
    #[must_use]
    pub fn data_key(&self) -> &DataKey {
        &self.data_key
    }
}
