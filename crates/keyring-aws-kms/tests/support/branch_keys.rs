//! A store of branch keys over services in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use envelope::keyring::KeyRequest;
use envelope::{DataKey, EncryptionContext, Keyring};
use envelope_aws_kms::test_util::{InMemoryDynamoDb, InMemoryKms};
use envelope_aws_kms::{
    Arn, BranchKeyCache, BranchKeyError, BranchKeyIdSupplier, BranchKeyStore, BranchKeyVersion,
    Hierarchical, KmsConfiguration, KmsError,
};

use super::{REGION, UNSIGNED, context, symmetric, wrapped};

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

/// The encryption context of the item's wrapped key: every other attribute as text, and the logical
/// name.
pub fn kms_context(item: &Item) -> HashMap<String, String> {
    let as_text = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text.clone()),
        _ => None,
    };
    let pairs = item.iter();
    let pairs = pairs.filter_map(|(name, value)| Some((name.clone(), as_text(value)?)));
    let name = ("tablename".to_owned(), STORE.to_owned());
    pairs.chain([name]).collect()
}

/// Whether what the one wraps, the other unwraps.
pub async fn are_one_key(one: &BranchKeyVersion, other: &BranchKeyVersion) -> bool {
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let data_key = DataKey::generate(suite).unwrap();
    let keys = one.keyring().wrap_key(&data_key, request).await.unwrap();
    let opened = other.keyring().unwrap_key(&keys, request).await;
    opened.is_ok_and(|opened| opened.data_key.expose() == data_key.expose())
}

/// All items of the table that belong to the branch key.
pub async fn items(services: &Services, id: &str) -> Vec<Item> {
    let query = services.dynamo_db.client(REGION).query().table_name(TABLE);
    let query = query.key_condition_expression("#id = :id");
    let query = query.expression_attribute_names("#id", "branch-key-id");
    let query = query.expression_attribute_values(":id", text(id));
    query.send().await.unwrap().items.unwrap()
}

/// The malformed attribute of the item, and what is said of it.
pub fn malformed(error: &BranchKeyError, item: &str) -> (String, &'static str) {
    match error {
        BranchKeyError::Malformed {
            branch_key,
            item_type,
            attribute,
            reason,
        } => {
            assert_eq!((branch_key.as_str(), item_type.as_str()), (ID, item));
            (attribute.clone(), reason)
        }
        other => panic!("{other}"),
    }
}

/// KMS's code of a refusal to do something with the item.
pub fn kms_code(error: &BranchKeyError, item: &str) -> String {
    match error {
        BranchKeyError::Kms {
            branch_key,
            item_type,
            error,
        } => {
            assert_eq!((branch_key.as_str(), item_type.as_str()), (ID, item));
            match &**error {
                KmsError::Refused { code, .. } => code.clone().unwrap(),
                other => panic!("{other}"),
            }
        }
        other => panic!("{other}"),
    }
}

pub fn table_code(error: &BranchKeyError) -> &str {
    match error {
        BranchKeyError::Refused { code, .. } => code.as_deref().unwrap(),
        other => panic!("{other}"),
    }
}

pub const LIFETIME: Duration = Duration::from_secs(600);

/// Seconds that tests set.
#[derive(Clone, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    /// A cache that lives by this clock.
    pub fn cache(&self) -> BranchKeyCache {
        let seconds = Arc::clone(&self.0);
        let clock = move || Duration::from_secs(seconds.load(Ordering::Relaxed));
        BranchKeyCache::with_clock(1000, clock).unwrap()
    }
}

/// A keyring of one branch key, whose time stands still.
pub fn keyring_of(store: BranchKeyStore, id: &str) -> (Hierarchical, Clock) {
    let clock = Clock::default();
    let supplier = BranchKeyIdSupplier::fixed(id);
    let keyring = Hierarchical::new(store, supplier, LIFETIME).unwrap();
    (keyring.with_cache(clock.cache()), clock)
}

pub async fn started() -> (Services, Hierarchical, Clock) {
    let services = Services::start().await;
    services.create(ID).await;
    services.create("other").await;
    let (keyring, clock) = keyring_of(services.store(), ID);
    (services, keyring, clock)
}

/// Reads of the table and of KMS that the work causes.
pub async fn cost<T>(services: &Services, work: impl Future<Output = T>) -> (u64, u64) {
    let before = services.calls();
    work.await;
    let after = services.calls();
    (after.0 - before.0, after.1 - before.1)
}

/// A store that tries each request once.
pub fn impatient(services: &Services) -> BranchKeyStore {
    let dynamo_db = services.dynamo_db.config(REGION);
    let dynamo_db = dynamo_db.retry_config(RetryConfig::disabled()).build();
    let kms = services.kms.config(REGION);
    let kms = kms.retry_config(RetryConfig::disabled()).build();
    let store = BranchKeyStore::new(
        aws_sdk_dynamodb::Client::from_conf(dynamo_db),
        aws_sdk_kms::Client::from_conf(kms),
        TABLE,
        KmsConfiguration::Key(services.key.clone()),
    );
    store.unwrap().with_logical_name(STORE).unwrap()
}

/// The version that the message's one data key is wrapped with.
pub fn version_of(message: &[u8]) -> String {
    let keys = wrapped(message);
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].provider_id(), "aws-kms-hierarchy");
    assert_eq!(keys[0].provider_info(), ID.as_bytes());
    let digits: Vec<String> = keys[0].ciphertext()[28..44]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let groups = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| digits[range].concat());
    groups.join("-")
}
