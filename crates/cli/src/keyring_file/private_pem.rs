use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::secret_file::{read_private, read_variable};

/// A private key as text, and what opens it.
pub(super) struct PrivatePem {
    path: PathBuf,
    text: Zeroizing<String>,
    passphrase: Option<Zeroizing<String>>,
}

const FIELD: &str = "private-key-file";

impl PrivatePem {
    /// Reads the file, and the passphrase from the environment variable if one is named.
    pub(super) fn read(
        keyring_file: &Path,
        path: &Path,
        passphrase_env: Option<&str>,
    ) -> Result<Self, String> {
        let mut bytes = read_private(FIELD, keyring_file, path)?;
        let text = String::from_utf8(std::mem::take(&mut *bytes))
            .map(Zeroizing::new)
            .map_err(|error| {
                drop(Zeroizing::new(error.into_bytes()));
                format!("field {FIELD:?}: {} is not PEM", path.display())
            })?;
        let passphrase = passphrase_env
            .map(|variable| read_variable("passphrase-env", variable))
            .transpose()?;
        Ok(Self {
            path: path.to_owned(),
            text,
            passphrase,
        })
    }

    pub(super) fn decode<T>(
        &self,
        decode: impl FnOnce(&str, Option<&[u8]>) -> envelope::Result<T>,
    ) -> Result<T, String> {
        let passphrase = self.passphrase.as_ref().map(|text| text.as_bytes());
        decode(&self.text, passphrase).map_err(|error| {
            let hint = match passphrase {
                None if self.text.contains("ENCRYPTED") => {
                    " in the variable that \"passphrase-env\" names"
                }
                _ => "",
            };
            format!("field {FIELD:?}: {}: {error}{hint}", self.path.display())
        })
    }
}
