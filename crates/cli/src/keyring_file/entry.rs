use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::{
    aws_kms, aws_kms_discovery, aws_kms_ecdh, aws_kms_hierarchy, aws_kms_rsa, raw_aes, raw_ecdh,
    raw_rsa, vault_transit,
};

/// One `[[key]]`.
pub(super) struct Entry {
    /// The entry, as errors name it.
    pub(super) label: String,
    /// Its `type`.
    pub(super) kind: &'static str,
    fields: Box<dyn Fields>,
}

/// The fields of an entry of one type.
#[async_trait]
pub(super) trait Fields: Send + Sync {
    /// Reads files and variables, and calls no service.
    ///
    /// # Errors
    /// A text that names field and remedy.
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String>;
}

type Parse = fn(toml::Table) -> Result<Box<dyn Fields>, String>;

/// Every `type`, and what reads its other fields.
const TYPES: [(&str, Parse); 11] = [
    ("raw-aes", parse_fields::<raw_aes::RawAesEntry>),
    ("raw-rsa", parse_fields::<raw_rsa::RawRsaEntry>),
    ("raw-ecdh", parse_fields::<raw_ecdh::RawEcdhEntry>),
    ("aws-kms", |table| aws_kms::parse(table, false)),
    ("aws-kms-mrk", |table| aws_kms::parse(table, true)),
    ("aws-kms-discovery", |table| {
        aws_kms_discovery::parse(table, false)
    }),
    ("aws-kms-mrk-discovery", |table| {
        aws_kms_discovery::parse(table, true)
    }),
    ("aws-kms-rsa", aws_kms_rsa::parse),
    ("aws-kms-ecdh", aws_kms_ecdh::parse),
    ("aws-kms-hierarchy", aws_kms_hierarchy::parse),
    (
        "vault-transit",
        parse_fields::<vault_transit::VaultTransitEntry>,
    ),
];

impl Entry {
    /// Reads the entry at this place of the file, counted from 0.
    pub(super) fn parse(index: usize, mut table: toml::Table) -> Result<Self, String> {
        let name = table.get("name").and_then(|name| name.as_str());
        let label = match name {
            Some(name) => format!("key {} ({name:?})", index + 1),
            None => format!("key {}", index + 1),
        };
        let parsed = match table.remove("type") {
            None => Err(format!("field \"type\" is missing; {}", known_types())),
            Some(toml::Value::String(kind)) => {
                match TYPES.into_iter().find(|(known, _)| *known == kind) {
                    Some((kind, parse)) => parse(table).map(|fields| (kind, fields)),
                    None => Err(format!(
                        "field \"type\": {kind:?} is not known; {}",
                        known_types()
                    )),
                }
            }
            Some(_) => Err("field \"type\": must be a string".to_owned()),
        };
        match parsed {
            Ok((kind, fields)) => Ok(Self {
                label,
                kind,
                fields,
            }),
            Err(fault) => Err(format!("{label}: {fault}")),
        }
    }

    /// Reads what the entry names. No service is called before the key is used.
    pub(super) async fn open(self, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let opened = self.fields.open(opening).await;
        opened.map_err(|fault| format!("{}: {fault}", self.label))
    }
}

fn known_types() -> String {
    let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
    format!("the types are: {}", names.join(", "))
}

fn parse_fields<T: Fields + DeserializeOwned + 'static>(
    table: toml::Table,
) -> Result<Box<dyn Fields>, String> {
    Ok(Box::new(parse_table::<T>(table)?))
}

/// Names the field, and never shows its value.
pub(super) fn parse_table<T: DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let message = without_value(error.inner().message());
        match error.path().iter().next() {
            Some(Segment::Map { .. }) => format!("field {:?}: {message}", error.path().to_string()),
            _ => message,
        }
    })
}

/// The message without the value that it quotes, which may be a key.
pub(super) fn without_value(message: &str) -> String {
    let quoting = ["invalid type: ", "invalid value: ", "invalid length "];
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if quoting.iter().any(|begin| found.starts_with(begin)) => {
            format!("must be {expected}")
        }
        _ => message.to_owned(),
    }
}
