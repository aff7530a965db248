use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use envelope::EncryptionContext;
use uuid::Uuid;

use super::branch_key_error::BranchKeyError;
use crate::arn::{Arn, key_arn};

pub(crate) const BRANCH_KEY_ID: &str = "branch-key-id";
pub(crate) const TYPE: &str = "type";
pub(crate) const ACTIVE: &str = "branch:ACTIVE";
pub(crate) const ENCRYPTED: &str = "enc";
const BEACON: &str = "beacon:ACTIVE";
const VERSION_PREFIX: &str = "branch:version:";
const CONTEXT_PREFIX: &str = "aws-crypto-ec:";
const VERSION: &str = "version";
const CREATE_TIME: &str = "create-time";
const KMS_ARN: &str = "kms-arn";
const HIERARCHY_VERSION: &str = "hierarchy-version";
/// The layout that is read and written.
const HIERARCHY: &str = "1";
/// In the context of KMS alone, never in an item.
const TABLE_NAME: &str = "tablename";

/// An item as DynamoDB has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The `type` of the item that holds this version.
pub(crate) fn version_type(version: Uuid) -> String {
    format!("{VERSION_PREFIX}{version}")
}

/// An item of a branch key without its wrapped key: what that is bound to. Source: AWS Encryption SDK
/// specification, "Branch Key Store", record format and encryption context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Those of the first version of a new branch key.
    pub(crate) fn of_version(
        id: &str,
        version: Uuid,
        create_time: String,
        kms_key: &Arn,
        context: &EncryptionContext,
    ) -> Self {
        let own = [
            (BRANCH_KEY_ID, id.to_owned()),
            (TYPE, version_type(version)),
            (CREATE_TIME, create_time),
            (KMS_ARN, kms_key.to_string()),
            (HIERARCHY_VERSION, HIERARCHY.to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let custom = context
            .iter()
            .map(|(key, value)| (format!("{CONTEXT_PREFIX}{key}"), value.to_owned()));
        Self(own.into_iter().chain(custom).collect())
    }

    /// Those of the next version, of the same branch key.
    pub(crate) fn next_version(&self, version: Uuid, create_time: String) -> Self {
        let mut next = self.clone();
        next.0.remove(VERSION);
        next.set(TYPE, version_type(version));
        next.set(CREATE_TIME, create_time);
        next
    }

    /// Those of the active item, where these are of the version that it repeats.
    pub(crate) fn activated(&self) -> Self {
        let mut active = self.clone();
        active.set(VERSION, self.text(TYPE).to_owned());
        active.set(TYPE, ACTIVE.to_owned());
        active
    }

    /// Those of the beacon key, where these are of a version.
    pub(crate) fn beacon(&self) -> Self {
        let mut beacon = self.clone();
        beacon.set(TYPE, BEACON.to_owned());
        beacon
    }

    fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn branch_key_id(&self) -> &str {
        self.text(BRANCH_KEY_ID)
    }

    pub(crate) fn item_type(&self) -> &str {
        self.text(TYPE)
    }

    pub(crate) fn create_time(&self) -> &str {
        self.text(CREATE_TIME)
    }

    /// The version that the item holds.
    pub(crate) fn version(&self) -> Result<Uuid, BranchKeyError> {
        let attribute = match self.item_type() {
            ACTIVE => VERSION,
            _ => TYPE,
        };
        let text = self.text(attribute).strip_prefix(VERSION_PREFIX);
        // Other spellings of a UUID would name an item that readers do not look for.
        text.and_then(|text| {
            Uuid::try_parse(text)
                .ok()
                .filter(|id| id.to_string() == text)
        })
        .ok_or_else(|| self.malformed(attribute, "is not branch:version: and a UUID"))
    }

    /// The key of KMS that the item names.
    pub(crate) fn kms_key(&self) -> Result<Arn, BranchKeyError> {
        key_arn(self.text(KMS_ARN))
            .map_err(|_| self.malformed(KMS_ARN, "is no ARN of a key of KMS"))
    }

    /// What the custom attributes say, without their prefix.
    pub(crate) fn context(&self) -> BTreeMap<String, String> {
        let custom = self.0.iter();
        let custom = custom.filter_map(|(name, value)| {
            let key = name.strip_prefix(CONTEXT_PREFIX)?;
            Some((key.to_owned(), value.clone()))
        });
        custom.collect()
    }

    /// The encryption context of the wrapped key: every attribute, and the store's logical name.
    pub(crate) fn to_kms_context(&self, logical_name: &str) -> HashMap<String, String> {
        let mut context: HashMap<String, String> = self.0.clone().into_iter().collect();
        context.insert(TABLE_NAME.to_owned(), logical_name.to_owned());
        context
    }

    /// The whole item, to be written.
    pub(crate) fn to_item(&self, wrapped: Vec<u8>) -> Item {
        let typed = |(name, value): (&String, &String)| match name.as_str() {
            HIERARCHY_VERSION => (name.clone(), AttributeValue::N(value.clone())),
            _ => (name.clone(), AttributeValue::S(value.clone())),
        };
        let mut item: Item = self.0.iter().map(typed).collect();
        item.insert(ENCRYPTED.to_owned(), AttributeValue::B(Blob::new(wrapped)));
        item
    }

    pub(crate) fn malformed(&self, attribute: &str, reason: &'static str) -> BranchKeyError {
        malformed(self.branch_key_id(), self.item_type(), attribute, reason)
    }
}

/// An item as it was read.
pub(crate) struct StoredItem {
    pub(crate) attributes: Attributes,
    pub(crate) wrapped: Vec<u8>,
}

impl StoredItem {
    /// Checks the item's form. Only KMS can say whether it is authentic.
    pub(crate) fn read(id: &str, item_type: &str, item: Item) -> Result<Self, BranchKeyError> {
        let malformed = |attribute: &str, reason| malformed(id, item_type, attribute, reason);
        let mut texts = BTreeMap::new();
        let mut wrapped = None;
        for (name, value) in item {
            match (name.as_str(), value) {
                (ENCRYPTED, AttributeValue::B(blob)) => wrapped = Some(blob.into_inner()),
                (ENCRYPTED, _) => return Err(malformed(ENCRYPTED, "must be binary")),
                (HIERARCHY_VERSION, AttributeValue::N(number)) => {
                    texts.insert(name, number);
                }
                (HIERARCHY_VERSION, _) => {
                    return Err(malformed(HIERARCHY_VERSION, "must be a number"));
                }
                // It would take the place of the store's own name in the context.
                (TABLE_NAME, _) => return Err(malformed(TABLE_NAME, "must not be there")),
                (_, AttributeValue::S(text)) => {
                    texts.insert(name, text);
                }
                (_, _) => return Err(malformed(&name, "must be text")),
            }
        }
        let wrapped = wrapped.ok_or_else(|| malformed(ENCRYPTED, "is missing"))?;
        let is_active = item_type == ACTIVE;
        let needed = [BRANCH_KEY_ID, TYPE, CREATE_TIME, HIERARCHY_VERSION, KMS_ARN];
        let needed = needed.into_iter().chain(is_active.then_some(VERSION));
        for attribute in needed {
            if !texts.contains_key(attribute) {
                return Err(malformed(attribute, "is missing"));
            }
        }
        let attributes = Attributes(texts);
        if attributes.branch_key_id() != id {
            return Err(malformed(BRANCH_KEY_ID, "is of another branch key"));
        }
        if attributes.item_type() != item_type {
            return Err(malformed(TYPE, "is of another item"));
        }
        if attributes.text(HIERARCHY_VERSION) != HIERARCHY {
            return Err(malformed(
                HIERARCHY_VERSION,
                "is not 1; use a newer library",
            ));
        }
        if !is_active && attributes.0.contains_key(VERSION) {
            return Err(malformed(VERSION, "belongs to the active item alone"));
        }
        attributes.version()?;
        Ok(Self {
            attributes,
            wrapped,
        })
    }
}

fn malformed(
    branch_key: &str,
    item_type: &str,
    attribute: &str,
    reason: &'static str,
) -> BranchKeyError {
    BranchKeyError::Malformed {
        branch_key: branch_key.to_owned(),
        item_type: item_type.to_owned(),
        attribute: attribute.to_owned(),
        reason,
    }
}
