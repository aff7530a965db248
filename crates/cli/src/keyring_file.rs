//! The keyring file: which keys encrypt and decrypt.

mod aws_kms;
mod aws_kms_discovery;
mod aws_kms_ecdh;
mod aws_kms_hierarchy;
mod aws_kms_rsa;
mod aws_settings;
mod cache;
mod ec_public_pem;
mod entry;
mod fields;
mod on_aws;
mod opened_key;
mod opening;
mod private_pem;
mod raw_aes;
mod raw_ecdh;
mod raw_rsa;
mod rsa_public_pem;
mod secret_file;
mod shared_files;
mod table;
mod vault_transit;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use envelope::{CachingManager, Keyring, MaterialsManager, Multi};
use envelope_s3::keyring as s3ec;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::entry::Entry;
use self::opening::Opening;
use self::table::{parse_table, without_value};
use crate::error::Error;
use crate::keys::{Keys, NoS3ecKeys};

pub(crate) use self::opened_key::OpenedKey;

/// What a keyring file says, before any key is read.
pub struct KeyringFile {
    entries: Vec<Entry>,
    cache: Option<cache::CacheSection>,
}

/// A key, and the entry that it is of.
pub(crate) struct ListedKey {
    /// The entry, as errors name it.
    pub(crate) label: String,
    /// Its `type`.
    pub(crate) kind: &'static str,
    pub(crate) key: OpenedKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<toml::Table>,
    cache: Option<toml::Table>,
}

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

    fn read(path: Option<&Path>) -> Result<(&Path, Self), Error> {
        let path = path.ok_or_else(|| {
            Error::Usage(
                "no keyring: name a keyring file with --keyring or ENVELOPE_KEYRING".into(),
            )
        })?;
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text =
            text.map_err(|error| at(path)(format!("cannot read the keyring file: {error}")))?;
        Ok((path, Self::parse(&text).map_err(at(path))?))
    }

    /// Reads the keys. Their paths are relative to `file`, the keyring file's own.
    async fn open(self, file: &Path) -> Result<Vec<ListedKey>, String> {
        let mut opening = Opening::new(file);
        let mut opened = Vec::new();
        for entry in self.entries {
            let (label, kind) = (entry.label.clone(), entry.kind);
            let key = entry.open(&mut opening).await?;
            opened.push(ListedKey { label, kind, key });
        }
        Ok(opened)
    }
}

/// Names the file.
fn at(path: &Path) -> impl Fn(String) -> Error {
    move |fault| Error::Usage(format!("{}: {fault}", path.display()))
}

/// The first generates data keys, and all of them wrap them.
fn framed_keys(
    mut keyrings: impl Iterator<Item = Arc<dyn Keyring>>,
) -> Result<Arc<dyn Keyring>, String> {
    // `parse` refused an empty list.
    let generator = keyrings.next().ok_or("no [[key]] entry")?;
    let Some(second) = keyrings.next() else {
        return Ok(generator);
    };
    let multi = Multi::generate_with(generator).and(second);
    Ok(Arc::new(keyrings.fold(multi, Multi::and)))
}

/// An object has one encrypted data key: the first wraps it, and all of them are tried.
fn s3ec_keys(mut keyrings: impl Iterator<Item = Arc<dyn Keyring>>) -> Box<dyn MaterialsManager> {
    match keyrings.next() {
        Some(first) => Box::new(keyrings.fold(s3ec::Keys::new(first), s3ec::Keys::and)),
        None => Box::new(NoS3ecKeys),
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

/// Reads the file and every key that it names. No service is called before a key is used.
///
/// # Errors
/// [`Error::Usage`] that names file, entry, field and remedy.
pub(crate) async fn load(path: Option<&Path>) -> Result<Keys, Error> {
    let (path, keys, framed) = open(path).await?;
    // Each object of the S3 Encryption Client needs a data key of its own, so nothing is cached.
    let s3ec = s3ec_keys(keys.iter().filter_map(|listed| listed.key.s3ec.clone()));
    let s3ec_refusal = keys.first().and_then(ListedKey::s3ec_refusal);
    let s3ec_refusal = s3ec_refusal.map(|fault| format!("{}: {fault}", path.display()));
    Ok(Keys::new(framed, s3ec, s3ec_refusal))
}

/// As [`load`], for what looks at each key by itself.
///
/// # Errors
/// As [`load`].
pub(crate) async fn load_each(path: Option<&Path>) -> Result<Vec<ListedKey>, Error> {
    let (_, keys, _) = open(path).await?;
    Ok(keys)
}

/// The file, its keys one by one, and all of them as messages use them.
async fn open(
    path: Option<&Path>,
) -> Result<(&Path, Vec<ListedKey>, Box<dyn MaterialsManager>), Error> {
    let (path, mut file) = KeyringFile::read(path)?;
    let cache = file.cache.take();
    let keys = file.open(path).await.map_err(at(path))?;
    let framed = framed_keys(keys.iter().map(|listed| Arc::clone(&listed.key.framed)));
    let framed = framed.and_then(|framed| cached(framed, cache));
    Ok((path, keys, framed.map_err(at(path))?))
}

/// Uses data keys again, if the file says so.
fn cached(
    framed: Arc<dyn Keyring>,
    cache: Option<cache::CacheSection>,
) -> Result<Box<dyn MaterialsManager>, String> {
    let Some(cache) = cache else {
        return Ok(Box::new(framed));
    };
    let cached = cache
        .open()
        .and_then(|(cache, limits)| CachingManager::new(framed, cache, limits));
    Ok(Box::new(
        cached.map_err(|error| format!("[cache]: {error}"))?,
    ))
}

impl ListedKey {
    /// Why it writes no objects of the S3 Encryption Client.
    fn s3ec_refusal(&self) -> Option<String> {
        let Self { label, key, .. } = self;
        let why = match (&key.s3ec, key.no_encryption) {
            (Some(_), why) => why?,
            (None, _) => "a key of this type writes no objects of the S3 Encryption Client",
        };
        Some(format!(
            "{label}: {why}; put a raw-aes, raw-rsa or aws-kms key first"
        ))
    }
}
