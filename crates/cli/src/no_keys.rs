use async_trait::async_trait;
use envelope::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest, Error,
    MaterialsManager, Result,
};

/// Stands where keys would be, for commands that open nothing.
#[derive(Debug)]
pub(crate) struct NoKeys;

const REFUSED: Error = Error::InvalidOption {
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
