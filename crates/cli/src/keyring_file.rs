//! The keyring file: which keys encrypt and decrypt.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{Keyring, Multi, RawAes, WrappingKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Error;

/// No key file is longer, in bytes; more is not worth reading.
const LONGEST_KEY_FILE: u64 = 64 << 10;

/// Reads the file and every key that it names.
///
/// # Errors
/// [`Error::Usage`] that names file, entry, field and remedy.
pub(crate) fn load(path: Option<&PathBuf>) -> Result<Arc<dyn Keyring>, Error> {
    let path = path.ok_or_else(|| {
        Error::Usage("no keyring: name a keyring file with --keyring or ENVELOPE_KEYRING".into())
    })?;
    let at = |fault: String| Error::Usage(format!("{}: {fault}", path.display()));
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| at(format!("cannot read the keyring file: {error}")))?;
    let document: Document = toml::from_str(&text).map_err(|error| at(describe(&error, &text)))?;
    let mut keyrings = Vec::new();
    for (index, entry) in document.key.into_iter().enumerate() {
        let label = label(index, &entry);
        let keyring = open(entry, path).map_err(|fault| at(format!("{label}: {fault}")))?;
        keyrings.push(keyring);
    }
    let mut keyrings = keyrings.into_iter();
    let generator = keyrings
        .next()
        .ok_or_else(|| at("no [[key]] entry; add at least one".into()))?;
    if keyrings.len() == 0 {
        return Ok(generator);
    }
    let multi = Multi::generate_with(generator);
    Ok(Arc::new(keyrings.fold(multi, Multi::and)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<toml::Table>,
}

/// The fault and its line. The line itself may hold a key, so it is not shown.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            error.message()
        ),
        None => error.message().to_owned(),
    }
}

/// Says which entry is meant: its place, and its name where it has one.
fn label(index: usize, entry: &toml::Table) -> String {
    let name = entry.get("name").and_then(|name| name.as_str());
    match name {
        Some(name) => format!("key {} ({name:?})", index + 1),
        None => format!("key {}", index + 1),
    }
}

fn open(mut entry: toml::Table, file: &Path) -> Result<Arc<dyn Keyring>, String> {
    let kind = entry
        .remove("type")
        .ok_or("field \"type\" is missing; the types are: raw-aes")?;
    match kind.as_str() {
        Some("raw-aes") => {
            let entry: RawAesEntry = entry
                .try_into()
                .map_err(|error: toml::de::Error| error.message().to_owned())?;
            Ok(Arc::new(entry.open(file)?))
        }
        Some(other) => Err(format!(
            "field \"type\": {other:?} is not known; the types are: raw-aes"
        )),
        None => Err("field \"type\": must be a string".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawAesEntry {
    namespace: String,
    name: String,
    key_file: Option<PathBuf>,
    key_base64: Option<Zeroizing<String>>,
    key_hex: Option<Zeroizing<String>>,
    key_env: Option<String>,
    /// Of S3 Encryption Client objects only; messages have no place for it.
    #[serde(default, rename = "material-description")]
    _material_description: BTreeMap<String, String>,
}

impl RawAesEntry {
    fn open(self, file: &Path) -> Result<RawAes, String> {
        let (field, mut bytes) = self.key_bytes(file)?;
        let key = WrappingKey::from_bytes(&mut bytes).map_err(|_| {
            format!(
                "field {field:?}: holds {} bytes; an AES key has 16, 24 or 32 (make one with: envelope keygen aes --out FILE)",
                bytes.len()
            )
        })?;
        RawAes::new(self.namespace, self.name, key).map_err(|error| error.to_string())
    }

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
            (Some(key_file), None, None, None) => {
                // Paths are relative to the keyring file.
                let path = file.parent().unwrap_or(Path::new("")).join(key_file);
                let bytes = read_private(&path).map_err(|fault| {
                    format!("field \"key-file\": {}: {fault}", path.display())
                })?;
                Ok(("key-file", bytes))
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
                let text = std::env::var(variable).map(Zeroizing::new).map_err(|_| {
                    format!("field \"key-env\": the environment has no variable {variable:?}")
                })?;
                base64("key-env", &text)
            }
            _ => Err(
                "give the key in exactly one of \"key-file\", \"key-base64\", \"key-hex\" and \"key-env\""
                    .to_owned(),
            ),
        }
    }
}

/// A key within the keyring file makes that file one that only its owner may read.
fn check_private_itself(file: &Path) -> Result<(), String> {
    File::open(file)
        .map_err(|error| error.to_string())
        .and_then(|opened| check_private(&opened, file))
        .map_err(|fault| format!("the keyring file holds a key: {fault}"))
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| format!("cannot open the file: {error}"))?;
    check_private(&file, path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST_KEY_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read the file: {error}"))?;
    Ok(bytes)
}

/// Only the owner may read or write a file with a key.
fn check_private(file: &File, path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "others may use the file (mode {mode:03o}); run: chmod 600 {}",
                path.display()
            ));
        }
    }
    let _ = (file, path);
    Ok(())
}
