//! What the branch key store refuses, and what it says then.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use envelope::ErrorKind;
use envelope_aws_kms::test_util::Fault;
use envelope_aws_kms::{BranchKeyError, BranchKeyStore, KmsConfiguration};
use support::branch_keys::{
    ACTIVE, ID, Item, STORE, Services, TABLE, items, kms_code, kms_context, malformed, purpose,
    table_code, text, version_type,
};
use support::{REGION, symmetric};

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
            assert_eq!(error.kind(), ErrorKind::NotAuthentic);
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
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    let likeliest = "; or the store's logical name is not the one that its keys were made under";
    assert!(error.to_string().ends_with(likeliest), "{error}");
    // Of other refusals that is no cause.
    services.kms.deny("Decrypt");
    let error = renamed.active(ID).await.unwrap_err();
    assert_eq!(kms_code(&error, ACTIVE), "AccessDeniedException");
    assert!(!error.to_string().contains("logical name"), "{error}");
    services.kms.recover();
    store.active(ID).await.unwrap();
    store.create_version(ID).await.unwrap();
}

#[tokio::test]
async fn a_malformed_item_is_refused_before_kms_is_asked() {
    let services = Services::start().await;
    let version = services.create(ID).await;
    let store = services.store();
    let version_item = version_type(&version);
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
            assert_eq!(error.kind(), ErrorKind::NotAuthentic);
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
    let context = kms_context(&item);
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
    assert_eq!(error.kind(), ErrorKind::NoKey);
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

    let (dynamo_db, kms) = (
        services.dynamo_db.client(REGION),
        services.kms.client(REGION),
    );
    let configuration = KmsConfiguration::Key(services.key.clone());
    let store = BranchKeyStore::new(dynamo_db, kms, "no-table", configuration).unwrap();
    for error in [
        store.active(ID).await.unwrap_err(),
        store.create_key(Some(ID), &purpose()).await.unwrap_err(),
    ] {
        assert_eq!(table_code(&error), "ResourceNotFoundException");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
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
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
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
        assert!(
            text.contains(&format!(": allow {permission} to ")),
            "{text}"
        );
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
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
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

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_and_what_does_not_is_unavailable() {
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
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        services.recover();
        services.kms.fail_next(u64::MAX, fault);
        let error = store.active(ID).await.unwrap_err();
        assert!(matches!(error, BranchKeyError::Kms { .. }));
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        services.recover();
    }
    // So is a write, even when only its answer was lost: the second is known for the same.
    for fault in [Fault::ConnectionReset, Fault::AnswerLost] {
        let id = format!("{fault:?}");
        let calls = services.dynamo_db.calls("TransactWriteItems");
        services.dynamo_db.fail_next(1, fault);
        store.create_key(Some(&id), &purpose()).await.unwrap();
        assert_eq!(services.dynamo_db.calls("TransactWriteItems"), calls + 2);
    }
}

#[tokio::test]
async fn a_store_of_another_key_of_kms_is_no_reason_to_distrust_an_item() {
    let services = Services::start().await;
    let version = services.create(ID).await;
    let foreign = symmetric(&services.kms);
    let store = services.store_with(KmsConfiguration::Key(foreign));
    for error in [
        store.active(ID).await.unwrap_err(),
        store.version(ID, &version).await.unwrap_err(),
        store.create_version(ID).await.unwrap_err(),
    ] {
        let BranchKeyError::ForeignKmsKey { kms_key, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*kms_key, services.key.to_string());
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
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
