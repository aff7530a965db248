use std::sync::Arc;

use envelope::Keyring;
use envelope_aws_kms::BranchKeyStore;

/// One key, in the form that each format has for it.
pub(crate) struct OpenedKey {
    pub(crate) framed: Arc<dyn Keyring>,
    /// Objects of the S3 Encryption Client have no form for some types.
    pub(crate) s3ec: Option<Arc<dyn Keyring>>,
    /// Of the hierarchy only.
    pub(crate) branch_keys: Option<BranchKeyStore>,
    /// What people know it by: a name, an ARN, an address.
    pub(crate) name: String,
    /// Why it encrypts no message, where it is not made for that.
    pub(crate) no_encryption: Option<&'static str>,
    /// Why it decrypts no message, where it is not made for that.
    pub(crate) no_decryption: Option<&'static str>,
}

impl OpenedKey {
    /// A key of messages that serves both directions.
    pub(super) fn new(name: String, framed: impl Keyring + 'static) -> Self {
        Self {
            framed: Arc::new(framed),
            s3ec: None,
            branch_keys: None,
            name,
            no_encryption: None,
            no_decryption: None,
        }
    }

    /// Serves objects of the S3 Encryption Client too.
    pub(super) fn with_s3ec(self, keyring: impl Keyring + 'static) -> Self {
        Self {
            s3ec: Some(Arc::new(keyring)),
            ..self
        }
    }

    pub(super) fn with_branch_keys(self, store: BranchKeyStore) -> Self {
        Self {
            branch_keys: Some(store),
            ..self
        }
    }

    pub(super) fn decrypting_only(self, why: &'static str) -> Self {
        Self {
            no_encryption: Some(why),
            ..self
        }
    }

    pub(super) fn encrypting_only(self, why: &'static str) -> Self {
        Self {
            no_decryption: Some(why),
            ..self
        }
    }
}
