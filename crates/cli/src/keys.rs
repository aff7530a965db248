use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    DataKey, DecryptionMaterials, DecryptionRequest, EncryptedDataKey, EncryptionMaterials,
    EncryptionRequest, Error as EnvelopeError, Keyring, MaterialsManager, Result,
};

use crate::error::Error;

/// The keys of a keyring file, in the form that each format has for them.
pub(crate) struct Keys {
    /// Of messages.
    pub(crate) framed: Box<dyn MaterialsManager>,
    /// Of objects of the S3 Encryption Client.
    pub(crate) s3ec: Box<dyn MaterialsManager>,
    /// Why the latter write nothing.
    s3ec_refusal: Option<String>,
}

impl Keys {
    pub(crate) fn new(
        framed: Box<dyn MaterialsManager>,
        s3ec: Box<dyn MaterialsManager>,
        s3ec_refusal: Option<String>,
    ) -> Self {
        Self {
            framed,
            s3ec,
            s3ec_refusal,
        }
    }

    /// For commands that open nothing.
    pub(crate) fn none() -> Self {
        Self::new(Box::new(NoKeys), Box::new(NoKeys), None)
    }

    /// Says at once what would be found out when the first object is written.
    ///
    /// # Errors
    /// When the first key has no form in objects of the S3 Encryption Client.
    pub(crate) fn check_writes_s3ec(&self) -> Result<(), Error> {
        match &self.s3ec_refusal {
            None => Ok(()),
            Some(refusal) => Err(Error::Usage(refusal.clone())),
        }
    }
}

/// Stands where keys would be.
#[derive(Debug)]
struct NoKeys;

const REFUSED: EnvelopeError = EnvelopeError::InvalidOption {
    what: "the keyring",
    reason: "is needed to read or write an object; name one with --keyring",
};

#[async_trait]
impl MaterialsManager for NoKeys {
    async fn encryption_materials(
        &self,
        _request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials> {
        Err(REFUSED)
    }

    async fn decryption_materials(
        &self,
        _request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials> {
        Err(REFUSED)
    }
}

/// Stands for a keyring file none of whose keys has a form in objects of the S3 Encryption Client.
#[derive(Debug)]
pub(crate) struct NoS3ecKeys;

const NAME: &str = "the keyring file";
const NOT_FOR_S3EC: &str = "has no key for objects of the S3 Encryption Client; add one of type raw-aes, raw-rsa or aws-kms";

#[async_trait]
impl Keyring for NoS3ecKeys {
    async fn wrap_key(
        &self,
        _data_key: &DataKey,
        _request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Err(KeyringError::misconfigured(NAME, NOT_FOR_S3EC))
    }

    async fn unwrap_key(
        &self,
        _keys: &[EncryptedDataKey],
        _request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        Err(vec![Attempt::skipped(0, NAME, NOT_FOR_S3EC)])
    }
}
