use std::path::{Path, PathBuf};

use envelope::RsaPublicKey;

use super::secret_file::read_public;

/// A public key as text.
pub(super) struct RsaPublicPem {
    path: PathBuf,
    text: String,
}

impl RsaPublicPem {
    const FIELD: &str = "public-key-file";

    pub(super) fn read(keyring_file: &Path, path: PathBuf) -> Result<Self, String> {
        let text = read_public(Self::FIELD, keyring_file, &path)?;
        Ok(Self { path, text })
    }

    pub(super) fn decode(&self) -> Result<RsaPublicKey, String> {
        let key = RsaPublicKey::from_pem(&self.text);
        key.map_err(|error| format!("field {:?}: {}: {error}", Self::FIELD, self.path.display()))
    }
}
