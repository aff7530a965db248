use super::aws_kms::AwsKmsEntry;
use super::aws_kms_discovery::AwsKmsDiscoveryEntry;
use super::aws_kms_ecdh::AwsKmsEcdhEntry;
use super::aws_kms_hierarchy::AwsKmsHierarchyEntry;
use super::aws_kms_rsa::AwsKmsRsaEntry;
use super::fields::{self, Fields};
use super::on_aws;
use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::raw_aes::RawAesEntry;
use super::raw_ecdh::RawEcdhEntry;
use super::raw_rsa::RawRsaEntry;
use super::vault_transit::VaultTransitEntry;

/// One `[[key]]`.
pub(super) struct Entry {
    /// The entry, as errors name it.
    pub(super) label: String,
    /// Its `type`.
    pub(super) kind: &'static str,
    fields: Box<dyn Fields>,
}

type Parse = fn(toml::Table) -> Result<Box<dyn Fields>, String>;

/// Every `type`, and what reads its other fields.
const TYPES: [(&str, Parse); 11] = [
    ("raw-aes", fields::parse::<RawAesEntry>),
    ("raw-rsa", fields::parse::<RawRsaEntry>),
    ("raw-ecdh", fields::parse::<RawEcdhEntry>),
    ("aws-kms", on_aws::parse::<AwsKmsEntry<false>>),
    ("aws-kms-mrk", on_aws::parse::<AwsKmsEntry<true>>),
    (
        "aws-kms-discovery",
        on_aws::parse::<AwsKmsDiscoveryEntry<false>>,
    ),
    (
        "aws-kms-mrk-discovery",
        on_aws::parse::<AwsKmsDiscoveryEntry<true>>,
    ),
    ("aws-kms-rsa", on_aws::parse::<AwsKmsRsaEntry>),
    ("aws-kms-ecdh", on_aws::parse::<AwsKmsEcdhEntry>),
    ("aws-kms-hierarchy", on_aws::parse::<AwsKmsHierarchyEntry>),
    ("vault-transit", fields::parse::<VaultTransitEntry>),
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
