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
use envelope_s3::keyring as s3ec;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keys::{Keys, NoS3ecKeys};

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

/// One key, in the form that each format has for it.
struct OpenedKey {
    framed: Arc<dyn Keyring>,
    /// Objects of the S3 Encryption Client have no form for some types.
    s3ec: Option<Arc<dyn Keyring>>,
}

/// All keys, in the form that each format has for them.
struct OpenedKeys {
    framed: Arc<dyn Keyring>,
    s3ec: Box<dyn MaterialsManager>,
    /// Why the first key writes no objects of the S3 Encryption Client.
    s3ec_refusal: Option<String>,
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
    fn open(self, file: &Path) -> Result<OpenedKeys, String> {
        let mut opened = Vec::new();
        let mut s3ec_refusal = None;
        for (index, Entry { label, kind }) in self.entries.into_iter().enumerate() {
            let key = match kind {
                Kind::Aes(entry) => entry.open(file),
                Kind::Rsa(entry) => entry.open(file),
                Kind::Ecdh(entry) => entry.open(file).map(|keyring| OpenedKey {
                    framed: Arc::new(keyring),
                    s3ec: None,
                }),
            };
            let key = key.map_err(|fault| format!("{label}: {fault}"))?;
            if index == 0 && key.s3ec.is_none() {
                s3ec_refusal = Some(format!(
                    "{label}: a key of this type writes no objects of the S3 Encryption Client; \
                    put a raw-aes or raw-rsa key first"
                ));
            }
            opened.push(key);
        }
        let (framed, s3ec): (Vec<_>, Vec<_>) = opened
            .into_iter()
            .map(|OpenedKey { framed, s3ec }| (framed, s3ec))
            .unzip();
        Ok(OpenedKeys {
            framed: framed_keys(framed)?,
            s3ec: s3ec_keys(s3ec.into_iter().flatten()),
            s3ec_refusal,
        })
    }
}

/// The first generates data keys, and all of them wrap them.
fn framed_keys(keyrings: Vec<Arc<dyn Keyring>>) -> Result<Arc<dyn Keyring>, String> {
    let mut keyrings = keyrings.into_iter();
    // `parse` refused an empty list.
    let generator = keyrings.next().ok_or("no [[key]] entry")?;
    if keyrings.len() == 0 {
        return Ok(generator);
    }
    let multi = Multi::generate_with(generator);
    Ok(Arc::new(keyrings.fold(multi, Multi::and)))
}

/// An object has one encrypted data key: the first wraps it, and all of them are tried.
fn s3ec_keys(mut keyrings: impl Iterator<Item = Arc<dyn Keyring>>) -> Box<dyn MaterialsManager> {
    match keyrings.next() {
        Some(first) => Box::new(keyrings.fold(s3ec::Keys::new(first), s3ec::Keys::and)),
        None => Box::new(NoS3ecKeys),
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
pub(crate) fn load(path: Option<&Path>) -> Result<Keys, Error> {
    let path = path.ok_or_else(|| {
        Error::Usage("no keyring: name a keyring file with --keyring or ENVELOPE_KEYRING".into())
    })?;
    let at = |fault: String| Error::Usage(format!("{}: {fault}", path.display()));
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| at(format!("cannot read the keyring file: {error}")))?;
    let mut file = KeyringFile::parse(&text).map_err(at)?;
    let cache = file.cache.take();
    let OpenedKeys {
        framed,
        s3ec,
        s3ec_refusal,
    } = file.open(path).map_err(at)?;
    let framed: Box<dyn MaterialsManager> = match cache {
        None => Box::new(framed),
        Some(cache) => {
            let cached = cache
                .open()
                .and_then(|(cache, limits)| CachingManager::new(framed, cache, limits));
            Box::new(cached.map_err(|error| at(format!("[cache]: {error}")))?)
        }
    };
    // Each object of the S3 Encryption Client needs a data key of its own, so nothing is cached.
    let s3ec_refusal = s3ec_refusal.map(|fault| format!("{}: {fault}", path.display()));
    Ok(Keys::new(framed, s3ec, s3ec_refusal))
}
