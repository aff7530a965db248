use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use envelope::{RawRsa, RsaPrivateKey, RsaPublicKey};
use envelope_s3::keyring::{MaterialDescription, Rsa};
use serde::Deserialize;

use super::OpenedKey;
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
    #[serde(default)]
    material_description: BTreeMap<String, String>,
}

impl RawRsaEntry {
    pub(super) fn open(self, file: &Path) -> Result<OpenedKey, String> {
        let padding = self.padding.parse();
        let padding = padding.map_err(|error| format!("field \"padding\": {error}"))?;
        let mut framed = RawRsa::new(self.namespace, self.name, padding)
            .map_err(|error: envelope::Error| error.to_string())?;
        // Keys are not cloned, so each form decodes its own.
        let public = self
            .public_key_file
            .map(|path| PublicPem::read(file, path))
            .transpose()?;
        let private = self
            .private_key_file
            .map(|path| PrivatePem::read(file, &path, self.passphrase_env.as_deref()))
            .transpose()?;
        let decode = |pem: &PrivatePem| pem.decode(RsaPrivateKey::from_pem);
        let s3ec = match (&public, &private) {
            (Some(public), Some(private)) => Rsa::new(public.decode()?, decode(private)?),
            (Some(public), None) => Rsa::encrypt_only(public.decode()?),
            (None, Some(private)) => Rsa::decrypt_only(decode(private)?),
            (None, None) => {
                return Err(
                    "give \"public-key-file\" to encrypt, \"private-key-file\" to decrypt, or both"
                        .to_owned(),
                );
            }
        };
        if let Some(public) = &public {
            framed = framed.with_public_key(public.decode()?);
        }
        if let Some(private) = &private {
            framed = framed.with_private_key(decode(private)?);
        }
        let description = MaterialDescription::new(self.material_description);
        Ok(OpenedKey {
            framed: Arc::new(framed),
            s3ec: Some(Arc::new(s3ec.described(description))),
        })
    }
}

/// A public key as text.
struct PublicPem {
    path: PathBuf,
    text: String,
}

impl PublicPem {
    const FIELD: &str = "public-key-file";

    fn read(keyring_file: &Path, path: PathBuf) -> Result<Self, String> {
        let text = read_public(Self::FIELD, keyring_file, &path)?;
        Ok(Self { path, text })
    }

    fn decode(&self) -> Result<RsaPublicKey, String> {
        let key = RsaPublicKey::from_pem(&self.text);
        key.map_err(|error| format!("field {:?}: {}: {error}", Self::FIELD, self.path.display()))
    }
}
