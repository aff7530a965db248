//! The branch key store: what it makes, writes and reads.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use envelope::{EncryptionContext, ErrorKind};
use envelope_aws_kms::test_util::{InMemoryDynamoDb, InMemoryKms};
use envelope_aws_kms::{Arn, BranchKeyError, BranchKeyStore, KmsConfiguration};
use support::branch_keys::{
    ACTIVE, ID, STORE, Services, TABLE, are_one_key, items, kms_code, kms_context, purpose, text,
    version_type,
};
use support::{OTHER_REGION, REGION, replicas, symmetric};

#[tokio::test]
async fn a_branch_key_is_made_versioned_and_read() {
    let services = Services::start().await;
    let store = services.store();
    let id = store.create_key(Some(ID), &purpose()).await.unwrap();
    assert_eq!(id, ID);
    let kms = &services.kms;
    assert_eq!(kms.calls("GenerateDataKeyWithoutPlaintext"), 2);
    assert_eq!((kms.calls("ReEncrypt"), kms.total_calls()), (1, 3));
    assert_eq!(services.dynamo_db.calls("TransactWriteItems"), 1);

    let first = store.active(ID).await.unwrap();
    assert_eq!(services.calls(), (1, 1));
    assert_eq!(first.id(), ID);
    let expected: Vec<(String, String)> = purpose()
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let found: Vec<_> = first.context().clone().into_iter().collect();
    assert_eq!(found, expected);
    let same = store.version(ID, first.version()).await.unwrap();
    assert_eq!(same.version(), first.version());
    assert_eq!(same.create_time(), first.create_time());
    assert!(are_one_key(&first, &same).await);

    let version = store.create_version(ID).await.unwrap();
    assert_ne!(version, first.version());
    let second = store.active(ID).await.unwrap();
    assert_eq!(second.version(), version);
    assert_eq!(second.context(), first.context());
    assert!(!are_one_key(&first, &second).await);
    let again = store.version(ID, &version).await.unwrap();
    assert!(are_one_key(&second, &again).await);
    // The first is still there, and still itself.
    let old = store.version(ID, first.version()).await.unwrap();
    assert!(are_one_key(&first, &old).await);
    assert_eq!(items(&services, ID).await.len(), 4);
}

#[tokio::test]
async fn items_are_as_the_specification_says() {
    let services = Services::start().await;
    let first = services.create(ID).await;
    let second = services.store().create_version(ID).await.unwrap();
    let mut wrapped_keys = BTreeSet::new();
    for (item_type, version) in [
        (ACTIVE, Some(&second)),
        (&*version_type(&first), None),
        (&*version_type(&second), None),
        ("beacon:ACTIVE", None),
    ] {
        let mut item = services.item(ID, item_type);
        let enc = item.remove("enc").unwrap();
        let AttributeValue::B(enc) = enc else {
            panic!("{enc:?}")
        };
        let AttributeValue::S(time) = &item["create-time"] else {
            panic!("{item:?}")
        };
        let time = time.clone();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
        let mut expected = HashMap::from([
            ("branch-key-id".to_owned(), text(ID)),
            ("type".to_owned(), text(item_type)),
            ("create-time".to_owned(), text(&time)),
            ("kms-arn".to_owned(), text(&services.key.to_string())),
            (
                "hierarchy-version".to_owned(),
                AttributeValue::N("1".to_owned()),
            ),
            ("aws-crypto-ec:Zweck".to_owned(), text("Ümläute 𝄢")),
            ("aws-crypto-ec:ﾉ".to_owned(), text("")),
        ]);
        if let Some(version) = version {
            expected.insert("version".to_owned(), text(&version_type(version)));
        }
        assert_eq!(item, expected);

        // Every attribute as text and the logical name are the context; no more and no less.
        let context = kms_context(&item);
        let client = services.kms.client(REGION);
        let request = client.decrypt().ciphertext_blob(enc);
        let request = request.set_encryption_context(Some(context));
        let opened = request.send().await.unwrap();
        let plaintext = opened.plaintext.unwrap().into_inner();
        assert_eq!(plaintext.len(), 32);
        wrapped_keys.insert(plaintext);
    }
    // Both versions and the beacon: the active item repeats one of them.
    assert_eq!(wrapped_keys.len(), 3);
    // Versions are random UUIDs in the usual spelling.
    for version in [first, second] {
        assert_eq!((version.len(), version.as_bytes()[14]), (36, b'4'));
        assert_eq!(version, version.to_lowercase());
        assert_eq!(version.split('-').count(), 5);
    }
}

#[tokio::test]
async fn ids_are_chosen_or_random() {
    let services = Services::start().await;
    let store = services.store();
    let none = EncryptionContext::default();
    let id = store.create_key(None, &none).await.unwrap();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'));
    assert_eq!(store.active(&id).await.unwrap().context().len(), 0);
    assert_ne!(store.create_key(None, &purpose()).await.unwrap(), id);

    let calls = (services.kms.total_calls(), services.dynamo_db.total_calls());
    let error = store.create_key(Some(ID), &none).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the encryption context of a branch key whose id is given is empty; give at least one \
         pair, or let the id be chosen"
    );
    for id in ["", &"a".repeat(2049)] {
        let text = "the branch key id must have 1 to 2048 bytes";
        let error = store.create_key(Some(id), &purpose()).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        let error = store.create_version(id).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(store.active(id).await.unwrap_err().to_string(), text);
    }
    let error = store.version(ID, "latest").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the version of a branch key must be a UUID"
    );
    let after = (services.kms.total_calls(), services.dynamo_db.total_calls());
    assert_eq!(after, calls);
    let longest = "a".repeat(2048);
    store.create_key(Some(&longest), &purpose()).await.unwrap();
}

#[tokio::test]
async fn a_branch_key_is_made_once() {
    let services = Services::start().await;
    services.create(ID).await;
    let before = items(&services, ID).await;
    let error = services.store().create_key(Some(ID), &purpose()).await;
    let error = error.unwrap_err();
    assert!(matches!(&error, BranchKeyError::AlreadyExists { .. }));
    assert_ne!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "branch key \"acme\" exists already in table table-1; make a version of it"
    );
    assert_eq!(items(&services, ID).await, before);
}

#[tokio::test(start_paused = true)]
async fn of_two_who_version_at_once_one_does() {
    let services = Services::start().await;
    let first = services.create(ID).await;
    // Both read the active item before either writes.
    services.dynamo_db.set_latency(Duration::from_millis(10));
    let (here, there) = (services.store(), services.store());
    let (here, there) = tokio::join!(here.create_version(ID), there.create_version(ID));
    services.recover();
    let (done, refused) = match (here, there) {
        (Ok(done), Err(refused)) | (Err(refused), Ok(done)) => (done, refused),
        other => panic!("{other:?}"),
    };
    assert!(matches!(&refused, BranchKeyError::ChangedMeanwhile { .. }));
    assert_eq!(
        refused.to_string(),
        "branch key \"acme\" was versioned or deleted by another caller meanwhile, and nothing was \
         written; look which version is active, and call again if you still want another"
    );
    // The same call may succeed now.
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(services.store().active(ID).await.unwrap().version(), done);
    // Nothing is left of the other.
    let types: BTreeSet<_> = items(&services, ID)
        .await
        .into_iter()
        .map(|item| item["type"].as_s().unwrap().clone())
        .collect();
    let expected = [
        ACTIVE.to_owned(),
        "beacon:ACTIVE".to_owned(),
        version_type(&first),
        version_type(&done),
    ];
    assert_eq!(types, BTreeSet::from(expected));
}

#[tokio::test]
async fn the_configuration_says_which_keys_of_kms_are_used() {
    let mut services = Services::start().await;
    let (primary, replica) = replicas(&services.kms);
    services.key = primary.clone();
    let version = services.create(ID).await;
    let here = services.store();
    let there = |configuration| {
        let (dynamo_db, kms) = (
            services.dynamo_db.client(OTHER_REGION),
            services.kms.client(OTHER_REGION),
        );
        let store = BranchKeyStore::new(dynamo_db, kms, TABLE, configuration).unwrap();
        store.with_logical_name(STORE).unwrap()
    };
    let key = here.active(ID).await.unwrap();
    let opens = async |store: &BranchKeyStore| {
        let active = store.active(ID).await.unwrap();
        let version = store.version(ID, active.version()).await.unwrap();
        are_one_key(&active, &version).await
    };

    // Its replica is another key to a store of one key, and the same to a multi-region one.
    let strict = there(KmsConfiguration::Key(replica.clone()));
    for error in [
        strict.active(ID).await.unwrap_err(),
        strict.create_version(ID).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, BranchKeyError::ForeignKmsKey { kms_key, .. } if *kms_key == primary.to_string())
        );
    }
    let multi = there(KmsConfiguration::MultiRegionKey(replica.clone()));
    assert!(are_one_key(&key, &multi.active(ID).await.unwrap()).await);
    let second = multi.create_version(ID).await.unwrap();
    assert!(opens(&multi).await);
    // The item goes on naming the key it was made with, so others still read it.
    let stored = services.item(ID, &version_type(&second));
    assert_eq!(stored["kms-arn"], text(&primary.to_string()));
    assert!(opens(&here).await);

    let region = OTHER_REGION.to_owned();
    let far = there(KmsConfiguration::MultiRegionDiscovery { region });
    assert!(opens(&far).await);
    let near = services.store_with(KmsConfiguration::Discovery);
    assert!(opens(&near).await);
    // In plain discovery the key is asked for in the client's region, where it is not.
    let error = there(KmsConfiguration::Discovery).active(ID).await;
    assert_eq!(kms_code(&error.unwrap_err(), ACTIVE), "NotFoundException");
    for store in [near, far] {
        let calls = services.dynamo_db.total_calls();
        let text = "the branch key store is in discovery and makes no keys; name a key of KMS";
        let error = store.create_key(None, &purpose()).await.unwrap_err();
        assert!(matches!(error, BranchKeyError::ReadOnly));
        assert_eq!(error.to_string(), text);
        let error = store.create_version(ID).await.unwrap_err();
        assert!(matches!(error, BranchKeyError::ReadOnly));
        assert_eq!(services.dynamo_db.total_calls(), calls);
    }
    assert_ne!(version, second);
}

#[tokio::test]
async fn a_store_needs_names_and_a_key() {
    let services = Services::start().await;
    let alias: Arn = "arn:aws:kms:eu-west-1:1:alias/a".parse().unwrap();
    let new = |table: &str, configuration| {
        let (dynamo_db, kms) = (
            services.dynamo_db.client(REGION),
            services.kms.client(REGION),
        );
        BranchKeyStore::new(dynamo_db, kms, table, configuration)
    };
    assert_eq!(
        new("", KmsConfiguration::Discovery)
            .unwrap_err()
            .to_string(),
        "the name of the branch key table is empty; name a table of DynamoDB"
    );
    for configuration in [
        KmsConfiguration::Key(alias.clone()),
        KmsConfiguration::MultiRegionKey(alias),
    ] {
        assert_eq!(
            new(TABLE, configuration).unwrap_err().to_string(),
            "the KMS key of the branch key store is an alias; give the ARN of its key"
        );
    }
    let store = new(TABLE, KmsConfiguration::Discovery).unwrap();
    assert_eq!((store.table(), store.logical_name()), (TABLE, TABLE));
    assert_eq!(
        store.with_logical_name("").unwrap_err().to_string(),
        "the logical name of the branch key store is empty; leave it out, or give the one that its \
         keys were made under"
    );
}

#[tokio::test(start_paused = true)]
async fn the_table_is_made_once_and_looked_at() {
    let dynamo_db = InMemoryDynamoDb::new();
    let kms = InMemoryKms::new();
    let key = symmetric(&kms);
    let store = |table: &str| {
        let configuration = KmsConfiguration::Key(key.clone());
        let clients = (dynamo_db.client(REGION), kms.client(REGION));
        BranchKeyStore::new(clients.0, clients.1, table, configuration).unwrap()
    };
    store(TABLE).create_table().await.unwrap();
    let client = dynamo_db.client(REGION);
    let described = client.describe_table().table_name(TABLE).send().await;
    let table = described.unwrap().table.unwrap();
    let keys = table.key_schema().iter();
    let keys: Vec<_> = keys
        .map(|key| (key.attribute_name(), key.key_type().as_str()))
        .collect();
    assert_eq!(keys, [("branch-key-id", "HASH"), ("type", "RANGE")]);
    let id = store(TABLE).create_key(None, &purpose()).await.unwrap();
    store(TABLE).create_table().await.unwrap();
    store(TABLE).active(&id).await.unwrap();

    let name = AttributeDefinition::builder().attribute_name("branch-key-id");
    let key = KeySchemaElement::builder().attribute_name("branch-key-id");
    client
        .create_table()
        .table_name("another")
        .attribute_definitions(name.attribute_type(ScalarAttributeType::S).build().unwrap())
        .key_schema(key.key_type(KeyType::Hash).build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    let error = store("another").create_table().await.unwrap_err();
    assert!(matches!(error, BranchKeyError::WrongTable { .. }));
}
