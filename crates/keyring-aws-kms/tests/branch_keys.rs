//! The branch key store: what it writes and reads, and what it refuses.
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

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use envelope::keyring::KeyRequest;
use envelope::{DataKey, EncryptionContext, Keyring};
use envelope_aws_kms::test_util::{Fault, InMemoryDynamoDb, InMemoryKms};
use envelope_aws_kms::{Arn, BranchKeyError, BranchKeyStore, BranchKeyVersion, KmsConfiguration, KmsError};
use support::branch_keys::{
    ACTIVE, ID, Item, STORE, Services, TABLE, purpose, text, version_type,
};
use support::{OTHER_REGION, REGION, UNSIGNED, context, replicas, symmetric};

/// Whether what the one wraps, the other unwraps.
async fn are_one_key(one: &BranchKeyVersion, other: &BranchKeyVersion) -> bool {
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let data_key = DataKey::generate(suite).unwrap();
    let keys = one.keyring().wrap_key(&data_key, request).await.unwrap();
    let opened = other.keyring().unwrap_key(&keys, request).await;
    opened.is_ok_and(|opened| opened.data_key.expose() == data_key.expose())
}

/// All items of the table that belong to the branch key.
async fn items(services: &Services, id: &str) -> Vec<Item> {
    let query = services.dynamo_db.client(REGION).query().table_name(TABLE);
    let query = query.key_condition_expression("#id = :id");
    let query = query.expression_attribute_names("#id", "branch-key-id");
    let query = query.expression_attribute_values(":id", text(id));
    query.send().await.unwrap().items.unwrap()
}

/// The malformed attribute of the item, and what is said of it.
fn malformed(error: &BranchKeyError, item: &str) -> (String, &'static str) {
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
fn kms_code(error: &BranchKeyError, item: &str) -> String {
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

fn table_code(error: &BranchKeyError) -> &str {
    match error {
        BranchKeyError::Refused { code, .. } => code.as_deref().unwrap(),
        other => panic!("{other}"),
    }
}

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
        let as_text = |value| match value {
            AttributeValue::S(text) | AttributeValue::N(text) => text,
            other => panic!("{other:?}"),
        };
        let context = item.into_iter().map(|(name, value)| (name, as_text(value)));
        let mut context: HashMap<String, String> = context.collect();
        context.insert("tablename".to_owned(), STORE.to_owned());
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

    let calls = (
        services.kms.total_calls(),
        services.dynamo_db.total_calls(),
    );
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
    let after = (
        services.kms.total_calls(),
        services.dynamo_db.total_calls(),
    );
    assert_eq!(after, calls);
    let longest = "a".repeat(2048);
    store
        .create_key(Some(&longest), &purpose())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_branch_key_is_made_once() {
    let services = Services::start().await;
    services.create(ID).await;
    let before = items(&services, ID).await;
    let error = services.store().create_key(Some(ID), &purpose()).await;
    let error = error.unwrap_err();
    assert!(matches!(&error, BranchKeyError::AlreadyExists { .. }));
    assert!(!error.is_transient());
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
        "branch key \"acme\" was versioned or deleted by another caller meanwhile"
    );
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
async fn kms_refuses_an_item_that_was_altered() {
    let services = Services::start().await;
    let version = services.create(ID).await;
    services.create("other").await;
    let store = services.store();
    let version_item = version_type(&version);
    let other_version = version_type("00000000-0000-4000-8000-000000000000");
    let enc = |item: &Item| item["enc"].as_b().unwrap().clone().into_inner();
    for item_type in [ACTIVE, &version_item] {
        let sound = services.item(ID, item_type);
        let other = services.item("other", ACTIVE);
        let mut flipped = enc(&sound);
        *flipped.last_mut().unwrap() ^= 1;
        let beacon = enc(&services.item(ID, "beacon:ACTIVE"));
        let mut changes = vec![
            ("create-time", Some(text("2026-01-01T00:00:00.000000Z"))),
            ("aws-crypto-ec:Zweck", Some(text("Umlaute"))),
            ("aws-crypto-ec:Zweck", None),
            ("aws-crypto-ec:new", Some(text("pair"))),
            ("new", Some(text("attribute"))),
            ("enc", Some(AttributeValue::B(Blob::new(flipped)))),
            ("enc", Some(AttributeValue::B(Blob::new(enc(&other))))),
            ("enc", Some(AttributeValue::B(Blob::new(beacon)))),
        ];
        if item_type == ACTIVE {
            changes.push(("version", Some(text(&other_version))));
        }
        for (attribute, value) in changes {
            let mut altered = sound.clone();
            match value {
                Some(value) => altered.insert(attribute.to_owned(), value),
                None => altered.remove(attribute),
            };
            assert_ne!(altered, sound);
            services.put(altered);
            let error = match item_type {
                ACTIVE => store.active(ID).await,
                _ => store.version(ID, &version).await,
            };
            let error = error.unwrap_err();
            let code = kms_code(&error, item_type);
            assert_eq!(code, "InvalidCiphertextException", "{attribute}");
            assert!(!error.is_transient());
            if item_type == ACTIVE {
                // Not copied into a new version either.
                let error = store.create_version(ID).await.unwrap_err();
                let code = kms_code(&error, item_type);
                assert_eq!(code, "InvalidCiphertextException", "{attribute}");
            }
        }
        services.put(sound);
    }
    // A whole item of another branch key.
    let sound = services.item(ID, ACTIVE);
    let mut moved = services.item("other", ACTIVE);
    moved.insert("branch-key-id".to_owned(), text(ID));
    services.put(moved);
    let error = store.active(ID).await.unwrap_err();
    assert_eq!(kms_code(&error, ACTIVE), "InvalidCiphertextException");
    services.put(sound);
    // The same table under another logical name.
    let renamed = store.clone().with_logical_name("renamed").unwrap();
    let error = renamed.active(ID).await.unwrap_err();
    assert_eq!(kms_code(&error, ACTIVE), "InvalidCiphertextException");
    store.active(ID).await.unwrap();
    store.create_version(ID).await.unwrap();
}

#[tokio::test]
async fn a_malformed_item_is_refused_before_kms_is_asked() {
    let services = Services::start().await;
    let version = services.create(ID).await;
    let store = services.store();
    let version_item = version_type(&version);
    let foreign = symmetric(&services.kms).to_string();
    let uuid = "is not branch:version: and a UUID";
    let number = |text: &str| Some(AttributeValue::N(text.to_owned()));
    let upper = version_type(&version.to_uppercase());
    let simple = version_type(&version.replace('-', ""));
    let both = [
        ("enc", None, "is missing"),
        ("enc", Some(text("AAAA")), "must be binary"),
        ("create-time", None, "is missing"),
        ("create-time", number("1"), "must be text"),
        ("kms-arn", None, "is missing"),
        ("kms-arn", number("1"), "must be text"),
        (
            "kms-arn",
            Some(text("alias/a")),
            "is no ARN of a key of KMS",
        ),
        (
            "kms-arn",
            Some(text(&foreign)),
            "names another key of KMS than the store uses",
        ),
        ("hierarchy-version", None, "is missing"),
        ("hierarchy-version", Some(text("1")), "must be a number"),
        (
            "hierarchy-version",
            number("2"),
            "is not 1; use a newer library",
        ),
        ("tablename", Some(text(STORE)), "must not be there"),
        ("aws-crypto-ec:Zweck", number("1"), "must be text"),
        ("new", Some(AttributeValue::Bool(true)), "must be text"),
    ];
    let active = [
        ("version", None, "is missing"),
        ("version", number("1"), "must be text"),
        ("version", Some(text(&version)), uuid),
        ("version", Some(text(&upper)), uuid),
        ("version", Some(text(&simple)), uuid),
        ("version", Some(text("branch:version:latest")), uuid),
    ];
    let older = [(
        "version",
        Some(text(&version_item)),
        "belongs to the active item alone",
    )];
    let calls = services.kms.total_calls();
    for (item_type, more) in [(ACTIVE, &active[..]), (&version_item, &older[..])] {
        let sound = services.item(ID, item_type);
        for (attribute, value, reason) in both.iter().chain(more) {
            let mut item = sound.clone();
            match value {
                Some(value) => item.insert((*attribute).to_owned(), value.clone()),
                None => item.remove(*attribute),
            };
            services.put(item);
            let error = match item_type {
                ACTIVE => store.active(ID).await,
                _ => store.version(ID, &version).await,
            };
            let error = error.unwrap_err();
            assert_eq!(
                malformed(&error, item_type),
                ((*attribute).to_owned(), *reason)
            );
            assert!(!error.is_transient());
            if item_type == ACTIVE {
                let error = store.create_version(ID).await.unwrap_err();
                assert_eq!(malformed(&error, ACTIVE).1, *reason);
            }
        }
        services.put(sound);
    }
    assert_eq!(services.kms.total_calls(), calls);
    let error = BranchKeyError::Malformed {
        branch_key: ID.to_owned(),
        item_type: ACTIVE.to_owned(),
        attribute: "kms-arn".to_owned(),
        reason: "is missing",
    };
    assert_eq!(
        error.to_string(),
        "branch key \"acme\", item \"branch:ACTIVE\": attribute \"kms-arn\" is missing"
    );
    store.active(ID).await.unwrap();
    store.version(ID, &version).await.unwrap();
}

#[tokio::test]
async fn an_item_that_holds_no_key_of_32_bytes_is_refused() {
    let services = Services::start().await;
    services.create(ID).await;
    let mut item = services.item(ID, ACTIVE);
    let as_text = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text.clone()),
        _ => None,
    };
    let context = item.iter();
    let context = context.filter_map(|(name, value)| Some((name.clone(), as_text(value)?)));
    let mut context: HashMap<String, String> = context.collect();
    context.insert("tablename".to_owned(), STORE.to_owned());
    for length in [16, 31, 33] {
        let client = services.kms.client(REGION);
        let request = client.encrypt().key_id(services.key.to_string());
        let request = request.plaintext(Blob::new(vec![7; length]));
        let request = request.set_encryption_context(Some(context.clone()));
        let wrapped = request.send().await.unwrap().ciphertext_blob.unwrap();
        item.insert("enc".to_owned(), AttributeValue::B(wrapped));
        services.put(item.clone());
        let error = services.store().active(ID).await.unwrap_err();
        let expected = ("enc".to_owned(), "holds no key of 32 bytes");
        assert_eq!(malformed(&error, ACTIVE), expected);
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let services = Services::start().await;
    let store = services.store();
    let error = store.active(ID).await.unwrap_err();
    assert!(matches!(&error, BranchKeyError::NotFound { .. }));
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        "branch key \"acme\" has no item \"branch:ACTIVE\" in table table-1; it was deleted, or \
         never made"
    );
    let error = store.create_version(ID).await.unwrap_err();
    assert!(matches!(error, BranchKeyError::NotFound { .. }));
    let version = services.create(ID).await;
    services
        .dynamo_db
        .remove_item(TABLE, ID, &version_type(&version))
        .unwrap();
    let error = store.version(ID, &version).await.unwrap_err();
    let BranchKeyError::NotFound { item_type, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(item_type, version_type(&version));
    // It is still the active one.
    assert_eq!(store.active(ID).await.unwrap().version(), version);

    let (dynamo_db, kms) = (services.dynamo_db.client(REGION), services.kms.client(REGION));
    let configuration = KmsConfiguration::Key(services.key.clone());
    let store = BranchKeyStore::new(dynamo_db, kms, "no-table", configuration).unwrap();
    for error in [
        store.active(ID).await.unwrap_err(),
        store.create_key(Some(ID), &purpose()).await.unwrap_err(),
    ] {
        assert_eq!(table_code(&error), "ResourceNotFoundException");
        assert!(!error.is_transient());
        let text = error.to_string();
        let expected = " of table no-table in eu-west-1: ResourceNotFoundException: there is no such \
             table in this account and region; create it first (request in-memory-";
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let services = Services::start().await;
    services.create(ID).await;
    let store = services.store();
    for (operation, permission) in [
        ("GetItem", "dynamodb:GetItem"),
        ("TransactWriteItems", "dynamodb:PutItem"),
    ] {
        services.dynamo_db.deny(operation);
        let error = store.create_version(ID).await.unwrap_err();
        assert_eq!(table_code(&error), "AccessDeniedException");
        assert!(!error.is_transient());
        let text = error.to_string();
        let expected = format!(
            "dynamodb:{operation} of table table-1 in eu-west-1: AccessDeniedException: allow \
             {permission} to the caller, on the table (request in-memory-"
        );
        assert!(text.starts_with(&expected), "{text}");
        services.recover();
    }
    for (operation, permission) in [
        ("CreateTable", "dynamodb:CreateTable"),
        ("DescribeTable", "dynamodb:DescribeTable"),
    ] {
        services.dynamo_db.deny(operation);
        let text = store.create_table().await.unwrap_err().to_string();
        assert!(text.contains(&format!(": allow {permission} to ")), "{text}");
        services.recover();
    }
    for (operation, permission) in [
        (
            "GenerateDataKeyWithoutPlaintext",
            "kms:GenerateDataKeyWithoutPlaintext",
        ),
        ("ReEncrypt", "kms:ReEncrypt*"),
    ] {
        services.kms.deny(operation);
        for error in [
            store.create_version(ID).await.unwrap_err(),
            store.create_key(Some("new"), &purpose()).await.unwrap_err(),
        ] {
            let text = error.to_string();
            let expected = format!(": AccessDeniedException: allow {permission} to the caller");
            assert!(text.contains(&expected), "{text}");
            assert!(text.contains(&services.key.to_string()), "{text}");
            assert!(!error.is_transient());
        }
        services.recover();
    }
    services.kms.deny("Decrypt");
    let error = store.active(ID).await.unwrap_err();
    assert_eq!(kms_code(&error, ACTIVE), "AccessDeniedException");
    assert!(error.to_string().contains("allow kms:Decrypt to "));
    services.recover();
    // Nothing was written on the way.
    assert_eq!(items(&services, ID).await.len(), 3);
    assert_eq!(items(&services, "new").await.len(), 0);
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
    let expected = (
        "kms-arn".to_owned(),
        "names another key of KMS than the store uses",
    );
    let error = strict.active(ID).await.unwrap_err();
    assert_eq!(malformed(&error, ACTIVE), expected);
    let error = strict.create_version(ID).await.unwrap_err();
    assert_eq!(malformed(&error, ACTIVE), expected);
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
        let (dynamo_db, kms) = (services.dynamo_db.client(REGION), services.kms.client(REGION));
        BranchKeyStore::new(dynamo_db, kms, table, configuration)
    };
    assert_eq!(
        new("", KmsConfiguration::Discovery).unwrap_err().to_string(),
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
    let store = |table: &str| {
        let configuration = KmsConfiguration::Key(symmetric(&kms));
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

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_and_what_does_not_is_transient() {
    let services = Services::start().await;
    services.create(ID).await;
    let retries = RetryConfig::standard().with_max_attempts(3);
    let config = services.dynamo_db.config(REGION).retry_config(retries);
    let store = BranchKeyStore::new(
        aws_sdk_dynamodb::Client::from_conf(config.build()),
        services.kms.client(REGION),
        TABLE,
        KmsConfiguration::Key(services.key.clone()),
    );
    let store = store.unwrap().with_logical_name(STORE).unwrap();
    for (fault, expected) in [
        (
            Fault::Throttled,
            "ProvisionedThroughputExceededException: the table's capacity is used up; try again \
             later, or give it more (request ",
        ),
        (Fault::InternalError, "InternalServerError (request "),
        (
            Fault::Unavailable,
            "the answer has no error code and cannot be read (request ",
        ),
        (Fault::ConnectionReset, "no answer: "),
    ] {
        services.dynamo_db.fail_next(2, fault);
        let calls = services.dynamo_db.total_calls();
        store.active(ID).await.unwrap();
        assert_eq!(services.dynamo_db.total_calls(), calls + 3, "{fault:?}");
        services.dynamo_db.fail_next(u64::MAX, fault);
        let error = store.active(ID).await.unwrap_err();
        assert_eq!(services.dynamo_db.total_calls(), calls + 6, "{fault:?}");
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        services.recover();
        services.kms.fail_next(u64::MAX, fault);
        let error = store.active(ID).await.unwrap_err();
        assert!(matches!(error, BranchKeyError::Kms { .. }));
        assert!(error.is_transient(), "{error}");
        services.recover();
    }
    // A write whose answer was lost is not done twice, nor taken for somebody else's.
    services.dynamo_db.fail_next(1, Fault::ConnectionReset);
    store.create_key(Some("new"), &purpose()).await.unwrap();
}

#[tokio::test]
async fn no_text_holds_a_secret_or_the_context() {
    let services = Services::start().await;
    let version = services.create(ID).await;
    let store = services.store();
    let item = services.item(ID, ACTIVE);
    let enc = item["enc"].as_b().unwrap().clone().into_inner();
    let active = store.active(ID).await.unwrap();
    let mut texts = vec![format!("{store:?} {active:?}")];
    services.kms.deny("Decrypt");
    texts.push(format!("{:?}", store.active(ID).await.unwrap_err()));
    services.recover();
    for (attribute, value) in [
        ("create-time", text("Ümläute")),
        ("kms-arn", text("Ümläute")),
        ("new", AttributeValue::B(Blob::new(enc.clone()))),
    ] {
        let mut altered = item.clone();
        altered.insert(attribute.to_owned(), value);
        services.put(altered);
        let error = store.active(ID).await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
        let error = store.create_version(ID).await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
    }
    assert_eq!(texts.len(), 8);
    let hex: String = enc.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = format!("{enc:?}").replace(['[', ']'], "");
    for text in texts {
        for secret in ["Ümläute", &hex, &bytes] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains(ID) || text.contains(STORE), "{text}");
    }
    assert!(format!("{active:?}").contains(&version));
}
