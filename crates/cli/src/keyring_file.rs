//! The keyring file: which keys encrypt and decrypt.

mod cache;
mod private_pem;
mod raw_aes;
mod raw_ecdh;
mod raw_rsa;
mod secret_file;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use envelope::{CachingManager, Keyring, MaterialsManager, Multi};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use zeroize::Zeroizing;

use crate::error::Error;

/// What a keyring file says, before any key is read.
pub struct KeyringFile {
    entries: Vec<Entry>,
    cache: Option<cache::CacheSection>,
}

/// One `[[key]]`.
struct Entry {
    label: String,
    kind: Kind,
}

enum Kind {
    Aes(raw_aes::RawAesEntry),
    Rsa(raw_rsa::RawRsaEntry),
    Ecdh(raw_ecdh::RawEcdhEntry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<toml::Table>,
    cache: Option<toml::Table>,
}

const TYPES: &str = "the types are: raw-aes, raw-rsa, raw-ecdh";

impl KeyringFile {
    /// Reads the text of a keyring file.
    ///
    /// # Errors
    /// A text that names entry, field and remedy, and never shows a value that may be a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| describe(&error, text))?;
        let entries = document.key.into_iter().enumerate();
        let entries: Vec<_> = entries
            .map(|(index, table)| Entry::parse(index, table))
            .collect::<Result<_, _>>()?;
        if entries.is_empty() {
            return Err("no [[key]] entry; add at least one".to_owned());
        }
        let cache = document.cache.map(parse_table).transpose();
        Ok(Self {
            entries,
            cache: cache.map_err(|fault| format!("[cache]: {fault}"))?,
        })
    }

    /// Reads the keys. Their paths are relative to `file`, the keyring file's own.
    fn open(self, file: &Path) -> Result<Arc<dyn Keyring>, String> {
        let mut keyrings = Vec::new();
        for Entry { label, kind } in self.entries {
            let opened: Result<Arc<dyn Keyring>, String> = match kind {
                Kind::Aes(entry) => entry.open(file).map(|keyring| Arc::new(keyring) as _),
                Kind::Rsa(entry) => entry.open(file).map(|keyring| Arc::new(keyring) as _),
                Kind::Ecdh(entry) => entry.open(file).map(|keyring| Arc::new(keyring) as _),
            };
            keyrings.push(opened.map_err(|fault| format!("{label}: {fault}"))?);
        }
        let mut keyrings = keyrings.into_iter();
        // `parse` refused an empty list.
        let generator = keyrings.next().ok_or("no [[key]] entry")?;
        if keyrings.len() == 0 {
            return Ok(generator);
        }
        let multi = Multi::generate_with(generator);
        Ok(Arc::new(keyrings.fold(multi, Multi::and)))
    }
}

impl Entry {
    fn parse(index: usize, mut table: toml::Table) -> Result<Self, String> {
        let name = table.get("name").and_then(|name| name.as_str());
        let label = match name {
            Some(name) => format!("key {} ({name:?})", index + 1),
            None => format!("key {}", index + 1),
        };
        let kind = match table.remove("type") {
            None => Err(format!("field \"type\" is missing; {TYPES}")),
            Some(kind) => match kind.as_str() {
                Some("raw-aes") => parse_table(table).map(Kind::Aes),
                Some("raw-rsa") => parse_table(table).map(Kind::Rsa),
                Some("raw-ecdh") => parse_table(table).map(Kind::Ecdh),
                Some(other) => Err(format!("field \"type\": {other:?} is not known; {TYPES}")),
                None => Err("field \"type\": must be a string".to_owned()),
            },
        };
        match kind {
            Ok(kind) => Ok(Self { label, kind }),
            Err(fault) => Err(format!("{label}: {fault}")),
        }
    }
}

/// Names the field, and never shows its value.
fn parse_table<T: DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let message = without_value(error.inner().message());
        match error.path().iter().next() {
            Some(Segment::Map { .. }) => format!("field {:?}: {message}", error.path().to_string()),
            _ => message,
        }
    })
}

/// The message without the value that it quotes, which may be a key.
fn without_value(message: &str) -> String {
    let quoting = ["invalid type: ", "invalid value: ", "invalid length "];
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if quoting.iter().any(|begin| found.starts_with(begin)) => {
            format!("must be {expected}")
        }
        _ => message.to_owned(),
    }
}

/// The fault and its line.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            without_value(error.message())
        ),
        None => without_value(error.message()),
    }
}

impl fmt::Debug for KeyringFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.entries.iter().map(|entry| &entry.label);
        f.debug_list().entries(labels).finish()
    }
}

/// Reads the file and every key that it names.
///
/// # Errors
/// [`Error::Usage`] that names file, entry, field and remedy.
pub(crate) fn load(path: Option<&Path>) -> Result<Box<dyn MaterialsManager>, Error> {
    let path = path.ok_or_else(|| {
        Error::Usage("no keyring: name a keyring file with --keyring or ENVELOPE_KEYRING".into())
    })?;
    let at = |fault: String| Error::Usage(format!("{}: {fault}", path.display()));
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| at(format!("cannot read the keyring file: {error}")))?;
    let mut file = KeyringFile::parse(&text).map_err(at)?;
    let cache = file.cache.take();
    let keyring = file.open(path).map_err(at)?;
    let Some(cache) = cache else {
        return Ok(Box::new(keyring));
    };
    let cached = cache
        .open()
        .and_then(|(cache, limits)| CachingManager::new(keyring, cache, limits))
        .map_err(|error| at(format!("[cache]: {error}")))?;
    Ok(Box::new(cached))
}
