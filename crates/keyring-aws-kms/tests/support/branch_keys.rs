//! A store of branch keys over services in memory.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use envelope::EncryptionContext;
use envelope_aws_kms::test_util::{InMemoryDynamoDb, InMemoryKms};
use envelope_aws_kms::{Arn, BranchKeyStore, KmsConfiguration};

use super::{REGION, symmetric};

pub const TABLE: &str = "table-1";
/// The logical name is not the table's, so that no test passes with the wrong one.
pub const STORE: &str = "store";
pub const ACTIVE: &str = "branch:ACTIVE";
pub const ID: &str = "acme";

pub type Item = HashMap<String, AttributeValue>;

pub struct Services {
    pub kms: InMemoryKms,
    pub dynamo_db: InMemoryDynamoDb,
    pub key: Arn,
}

impl Services {
    /// With an empty table.
    pub async fn start() -> Self {
        let kms = InMemoryKms::new();
        let key = symmetric(&kms);
        let services = Self {
            kms,
            dynamo_db: InMemoryDynamoDb::new(),
            key,
        };
        services.store().create_table().await.unwrap();
        services
    }

    pub fn store(&self) -> BranchKeyStore {
        self.store_with(KmsConfiguration::Key(self.key.clone()))
    }

    pub fn store_with(&self, configuration: KmsConfiguration) -> BranchKeyStore {
        let (dynamo_db, kms) = (self.dynamo_db.client(REGION), self.kms.client(REGION));
        let store = BranchKeyStore::new(dynamo_db, kms, TABLE, configuration).unwrap();
        store.with_logical_name(STORE).unwrap()
    }

    /// Makes the branch key, and returns its version.
    pub async fn create(&self, id: &str) -> String {
        let store = self.store();
        store.create_key(Some(id), &purpose()).await.unwrap();
        store.active(id).await.unwrap().version().to_owned()
    }

    pub fn item(&self, id: &str, item_type: &str) -> Item {
        self.dynamo_db.item(TABLE, id, item_type).unwrap()
    }

    pub fn put(&self, item: Item) {
        self.dynamo_db.put_item(TABLE, item).unwrap();
    }

    /// Calls that cost something: to read a branch key is one of each.
    pub fn calls(&self) -> (u64, u64) {
        (self.dynamo_db.calls("GetItem"), self.kms.calls("Decrypt"))
    }

    pub fn recover(&self) {
        self.dynamo_db.recover();
        self.kms.recover();
    }
}

/// The context that branch keys are made with. Not ASCII, to see that it survives.
pub fn purpose() -> EncryptionContext {
    EncryptionContext::new([("Zweck", "Ümläute 𝄢"), ("ﾉ", "")]).unwrap()
}

pub fn version_type(version: &str) -> String {
    format!("branch:version:{version}")
}

pub fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
