use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{RawAes, WrappingKey};
use envelope_s3::keyring::{Aes, MaterialDescription};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::secret_file::{check_private_itself, read_private, read_variable};

/// `type = "raw-aes"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAesEntry {
    namespace: String,
    name: String,
    key_file: Option<PathBuf>,
    key_base64: Option<Zeroizing<String>>,
    key_hex: Option<Zeroizing<String>>,
    key_env: Option<String>,
    /// Of S3 Encryption Client objects only; messages have no place for it.
    #[serde(default)]
    material_description: BTreeMap<String, String>,
}

#[async_trait]
impl Fields for RawAesEntry {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let (field, mut bytes) = self.key_bytes(opening.file)?;
        let length = bytes.len();
        let key = |bytes: &mut [u8]| {
            WrappingKey::from_bytes(bytes).map_err(|_| {
                format!(
                    "field {field:?}: holds {length} bytes; an AES key has 16, 24 or 32 (make one with: envelope keygen aes --out FILE)"
                )
            })
        };
        let s3ec = Aes::new(key(&mut bytes.clone())?)
            .described(MaterialDescription::new(self.material_description));
        let name = format!("{}/{}", self.namespace, self.name);
        let framed = RawAes::new(self.namespace, self.name, key(&mut bytes)?);
        let framed = framed.map_err(|error| error.to_string())?;
        Ok(OpenedKey::new(name, framed).with_s3ec(s3ec))
    }
}

impl RawAesEntry {
    /// The field that holds the key, and the key.
    fn key_bytes(&self, file: &Path) -> Result<(&'static str, Zeroizing<Vec<u8>>), String> {
        let base64 = |field: &'static str, text: &str| {
            let bytes = STANDARD.decode(text.trim());
            bytes
                .map(|bytes| (field, Zeroizing::new(bytes)))
                .map_err(|_| {
                    format!("field {field:?}: is not base64 (standard alphabet, with padding)")
                })
        };
        match (&self.key_file, &self.key_base64, &self.key_hex, &self.key_env) {
            (Some(path), None, None, None) => {
                Ok(("key-file", read_private("key-file", file, path)?))
            }
            (None, Some(text), None, None) => {
                check_private_itself(file)?;
                base64("key-base64", text)
            }
            (None, None, Some(text), None) => {
                check_private_itself(file)?;
                let bytes = hex::decode(text.trim());
                bytes
                    .map(|bytes| ("key-hex", Zeroizing::new(bytes)))
                    .map_err(|_| "field \"key-hex\": is not hexadecimal".to_owned())
            }
            (None, None, None, Some(variable)) => {
                let text = read_variable("key-env", variable)?;
                base64("key-env", &text)
            }
            _ => Err(
                "give the key in exactly one of \"key-file\", \"key-base64\", \"key-hex\" and \"key-env\""
                    .to_owned(),
            ),
        }
    }
}
