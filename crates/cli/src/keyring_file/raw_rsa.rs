use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use envelope::{RawRsa, RsaPrivateKey};
use envelope_s3::keyring::{MaterialDescription, Rsa};
use serde::Deserialize;

use super::fields::Fields;
use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::private_pem::PrivatePem;
use super::rsa_public_pem::RsaPublicPem;

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

const NO_PUBLIC_KEY: &str = "it has no public key; give \"public-key-file\" to encrypt";
const NO_PRIVATE_KEY: &str = "it has no private key; give \"private-key-file\" to decrypt";

#[async_trait]
impl Fields for RawRsaEntry {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let file = opening.file;
        let name = format!("{}/{}", self.namespace, self.name);
        let padding = self.padding.parse();
        let padding = padding.map_err(|error| format!("field \"padding\": {error}"))?;
        let mut framed = RawRsa::new(self.namespace, self.name, padding)
            .map_err(|error: envelope::Error| error.to_string())?;
        // Keys are not cloned, so each form decodes its own.
        let public = self
            .public_key_file
            .map(|path| RsaPublicPem::read(file, path))
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
        let opened = OpenedKey::new(name, framed).with_s3ec(s3ec.described(description));
        Ok(match (public, private) {
            (None, _) => opened.decrypting_only(NO_PUBLIC_KEY),
            (_, None) => opened.encrypting_only(NO_PRIVATE_KEY),
            _ => opened,
        })
    }
}
