use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use envelope::{RawRsa, RsaPrivateKey, RsaPublicKey};
use serde::Deserialize;

use super::private_pem::PrivatePem;
use super::secret_file::read_public;

/// `type = "raw-rsa"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRsaEntry {
    namespace: String,
    name: String,
    padding: String,
    public_key_file: Option<PathBuf>,
    private_key_file: Option<PathBuf>,
    passphrase_env: Option<String>,
    /// Of S3 Encryption Client objects only; messages have no place for it.
    #[serde(default, rename = "material-description")]
    _material_description: BTreeMap<String, String>,
}

impl RawRsaEntry {
    pub(super) fn open(self, file: &Path) -> Result<RawRsa, String> {
        let padding = self.padding.parse();
        let padding = padding.map_err(|error| format!("field \"padding\": {error}"))?;
        let mut keyring = RawRsa::new(self.namespace, self.name, padding)
            .map_err(|error: envelope::Error| error.to_string())?;
        if self.public_key_file.is_none() && self.private_key_file.is_none() {
            return Err(
                "give \"public-key-file\" to encrypt, \"private-key-file\" to decrypt, or both"
                    .to_owned(),
            );
        }
        if let Some(path) = &self.public_key_file {
            let pem = read_public("public-key-file", file, path)?;
            let key = RsaPublicKey::from_pem(&pem);
            let key = key.map_err(|error| {
                format!("field \"public-key-file\": {}: {error}", path.display())
            })?;
            keyring = keyring.with_public_key(key);
        }
        if let Some(path) = &self.private_key_file {
            let pem = PrivatePem::read(file, path, self.passphrase_env.as_deref())?;
            keyring = keyring.with_private_key(pem.decode(RsaPrivateKey::from_pem)?);
        }
        Ok(keyring)
    }
}
