//! What the branch key store sends, and what it makes of answers that the services in memory never
//! give. The answers are recorded ones: real requests are made and signed by the SDK.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use envelope::{EncryptionContext, ErrorKind};
use envelope_aws_kms::{BranchKeyError, BranchKeyStore, KmsConfiguration, KmsError};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234";
const OTHER_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/5678";
const VERSION: &str = "branch:version:12345678-1234-4234-8234-123456789012";
const SECRET: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

/// A service that gives these answers, one after the other.
fn answering(answers: &[(u16, Value)]) -> StaticReplayClient {
    let event = |(status, body): &(u16, Value)| {
        let request = http::Request::builder().uri("https://example.amazonaws.com/");
        let request = request.body(SdkBody::empty()).unwrap();
        let response = http::Response::builder()
            .status(*status)
            .header("x-amzn-requestid", "request-7");
        let response = response.body(SdkBody::from(body.to_string())).unwrap();
        ReplayEvent::new(request, response)
    };
    StaticReplayClient::new(answers.iter().map(event).collect())
}

fn store(dynamo_db: &StaticReplayClient, kms: &StaticReplayClient) -> BranchKeyStore {
    let dynamo_db = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .region(Region::new("eu-west-1"))
        .http_client(dynamo_db.clone());
    let kms = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .region(Region::new("eu-west-1"))
        .http_client(kms.clone());
    let store = BranchKeyStore::new(
        aws_sdk_dynamodb::Client::from_conf(dynamo_db.build()),
        aws_sdk_kms::Client::from_conf(kms.build()),
        "table-1",
        KmsConfiguration::Key(ARN.parse().unwrap()),
    );
    store.unwrap().with_grant_tokens(["token-1"])
}

/// The operation and the body of each request that was sent.
fn sent(http: &StaticReplayClient) -> Vec<(String, Value)> {
    let requests = http.actual_requests().map(|request| {
        let target = request.headers().get("x-amz-target").unwrap();
        let (_, operation) = target.split_once('.').unwrap();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        (operation.to_owned(), body)
    });
    requests.collect()
}

fn context() -> EncryptionContext {
    EncryptionContext::new([("tenant", "ä")]).unwrap()
}

fn active_item() -> Value {
    json!({ "Item": {
        "branch-key-id": { "S": "acme" },
        "type": { "S": "branch:ACTIVE" },
        "version": { "S": VERSION },
        "create-time": { "S": "2026-11-26T15:00:00.000000Z" },
        "kms-arn": { "S": ARN },
        "hierarchy-version": { "N": "1" },
        "aws-crypto-ec:tenant": { "S": "ä" },
        "enc": { "B": "b2xk" },
    } })
}

/// The context of KMS for what [`active_item`] wraps.
fn active_context() -> Value {
    json!({
        "branch-key-id": "acme",
        "type": "branch:ACTIVE",
        "version": VERSION,
        "create-time": "2026-11-26T15:00:00.000000Z",
        "kms-arn": ARN,
        "hierarchy-version": "1",
        "aws-crypto-ec:tenant": "ä",
        "tablename": "table-1",
    })
}

fn generated(blob: &str) -> (u16, Value) {
    (200, json!({ "KeyId": ARN, "CiphertextBlob": blob }))
}

fn wrapped_anew(blob: &str) -> (u16, Value) {
    let answer = json!({ "KeyId": ARN, "SourceKeyId": ARN, "CiphertextBlob": blob });
    (200, answer)
}

#[tokio::test]
async fn a_read_is_consistent_and_asks_for_the_named_key() {
    let dynamo_db = answering(&[(200, active_item())]);
    let kms = answering(&[(200, json!({ "KeyId": ARN, "Plaintext": SECRET }))]);
    let active = store(&dynamo_db, &kms).active("acme").await.unwrap();
    assert_eq!(active.version(), &VERSION["branch:version:".len()..]);
    assert_eq!(active.create_time(), "2026-11-26T15:00:00.000000Z");
    let body = json!({
        "TableName": "table-1",
        "Key": { "branch-key-id": { "S": "acme" }, "type": { "S": "branch:ACTIVE" } },
        "ConsistentRead": true,
    });
    assert_eq!(sent(&dynamo_db), [("GetItem".to_owned(), body)]);
    let body = json!({
        "KeyId": ARN,
        "CiphertextBlob": "b2xk",
        "EncryptionContext": active_context(),
        "GrantTokens": ["token-1"],
    });
    assert_eq!(sent(&kms), [("Decrypt".to_owned(), body)]);
}

#[tokio::test]
async fn a_key_is_made_in_four_requests() {
    let dynamo_db = answering(&[(200, json!({}))]);
    let kms = answering(&[generated("djE="), wrapped_anew("YTE="), generated("YjE=")]);
    let store = store(&dynamo_db, &kms);
    store.create_key(Some("acme"), &context()).await.unwrap();

    let [(operation, body)] = &sent(&dynamo_db)[..] else {
        panic!("not one request")
    };
    assert_eq!(operation, "TransactWriteItems");
    let puts = body["TransactItems"].as_array().unwrap();
    assert_eq!(puts.len(), 3);
    let time = puts[0]["Put"]["Item"]["create-time"]["S"].as_str().unwrap();
    let version = puts[0]["Put"]["Item"]["type"]["S"].as_str().unwrap();
    assert!(version.starts_with("branch:version:"));
    let mut contexts = Vec::new();
    for (put, (item_type, enc)) in puts.iter().zip([
        (version, "djE="),
        ("branch:ACTIVE", "YTE="),
        ("beacon:ACTIVE", "YjE="),
    ]) {
        let mut item = json!({
            "branch-key-id": { "S": "acme" },
            "type": { "S": item_type },
            "create-time": { "S": time },
            "kms-arn": { "S": ARN },
            "hierarchy-version": { "N": "1" },
            "aws-crypto-ec:tenant": { "S": "ä" },
            "enc": { "B": enc },
        });
        let mut context = json!({
            "branch-key-id": "acme",
            "type": item_type,
            "create-time": time,
            "kms-arn": ARN,
            "hierarchy-version": "1",
            "aws-crypto-ec:tenant": "ä",
            "tablename": "table-1",
        });
        if item_type == "branch:ACTIVE" {
            item["version"] = json!({ "S": version });
            context["version"] = json!(version);
        }
        let expected = json!({ "Put": {
            "TableName": "table-1",
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#id)",
            "ExpressionAttributeNames": { "#id": "branch-key-id" },
        } });
        assert_eq!(*put, expected);
        contexts.push(context);
    }

    let generate = |context: &Value| {
        let body = json!({
            "KeyId": ARN,
            "NumberOfBytes": 32,
            "EncryptionContext": context,
            "GrantTokens": ["token-1"],
        });
        ("GenerateDataKeyWithoutPlaintext".to_owned(), body)
    };
    let wrap_anew = json!({
        "CiphertextBlob": "djE=",
        "SourceKeyId": ARN,
        "SourceEncryptionContext": contexts[0],
        "DestinationKeyId": ARN,
        "DestinationEncryptionContext": contexts[1],
        "GrantTokens": ["token-1"],
    });
    let expected = [
        generate(&contexts[0]),
        ("ReEncrypt".to_owned(), wrap_anew),
        generate(&contexts[2]),
    ];
    assert_eq!(sent(&kms), expected);
}

#[tokio::test]
async fn a_version_replaces_only_what_was_read_and_found_authentic() {
    let dynamo_db = answering(&[(200, active_item()), (200, json!({}))]);
    let kms = answering(&[
        wrapped_anew("c2FtZQ=="),
        generated("djI="),
        wrapped_anew("YTI="),
    ]);
    let version = store(&dynamo_db, &kms).create_version("acme").await;
    let version = format!("branch:version:{}", version.unwrap());
    let (operation, body) = &sent(&dynamo_db)[1];
    assert_eq!(operation, "TransactWriteItems");
    let puts = body["TransactItems"].as_array().unwrap();
    assert_eq!(puts.len(), 2);
    let (new, active) = (&puts[0]["Put"], &puts[1]["Put"]);
    assert_eq!(new["ConditionExpression"], "attribute_not_exists(#id)");
    assert_eq!(new["Item"]["type"]["S"], *version);
    assert_eq!(new["Item"]["enc"]["B"], "djI=");
    assert!(new["Item"].get("version").is_none());
    assert_eq!(
        active["ConditionExpression"],
        "attribute_exists(#id) AND #enc = :old"
    );
    assert_eq!(
        active["ExpressionAttributeNames"],
        json!({ "#id": "branch-key-id", "#enc": "enc" })
    );
    // As it was read, not as KMS has just wrapped it.
    let old = json!({ ":old": { "B": "b2xk" } });
    assert_eq!(active["ExpressionAttributeValues"], old);
    assert_eq!(active["Item"]["version"]["S"], *version);
    assert_eq!(active["Item"]["enc"]["B"], "YTI=");
    let requests = sent(&kms);
    let operations: Vec<_> = requests.iter().map(|(operation, _)| &**operation).collect();
    let expected = ["ReEncrypt", "GenerateDataKeyWithoutPlaintext", "ReEncrypt"];
    assert_eq!(operations, expected);
    let onto_itself = json!({
        "CiphertextBlob": "b2xk",
        "SourceKeyId": ARN,
        "SourceEncryptionContext": active_context(),
        "DestinationKeyId": ARN,
        "DestinationEncryptionContext": active_context(),
        "GrantTokens": ["token-1"],
    });
    assert_eq!(requests[0].1, onto_itself);
}

#[tokio::test]
async fn a_cancelled_transaction_says_why() {
    let cancelled = |codes: [&str; 2]| {
        let reasons = codes.map(|code| json!({ "Code": code }));
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "CancellationReasons": reasons,
        });
        (400, body)
    };
    for (codes, expected) in [
        (["None", "ConditionalCheckFailed"], None),
        (["ConditionalCheckFailed", "None"], None),
        (["TransactionConflict", "ConditionalCheckFailed"], None),
        (
            ["None", "TransactionConflict"],
            Some((
                "TransactionConflict: another caller writes to the branch key; try again later",
                true,
            )),
        ),
        (
            ["None", "ThrottlingError"],
            Some(("ThrottlingError: too many requests; try again later", true)),
        ),
        (
            ["ProvisionedThroughputExceeded", "None"],
            Some((
                "ProvisionedThroughputExceeded: the table's capacity is used up; try again later, \
                 or give it more",
                true,
            )),
        ),
        (
            ["ValidationError", "None"],
            Some((
                "ValidationError: the table has other keys, or the branch key more than an item \
                 may hold",
                false,
            )),
        ),
        (
            ["None", "None"],
            Some(("TransactionCanceledException", false)),
        ),
    ] {
        let dynamo_db = answering(&[(200, active_item()), cancelled(codes)]);
        let kms = answering(&[
            wrapped_anew("c2FtZQ=="),
            generated("djI="),
            wrapped_anew("YTI="),
        ]);
        let error = store(&dynamo_db, &kms).create_version("acme").await;
        let error = error.unwrap_err();
        match expected {
            None => {
                let meanwhile = matches!(error, BranchKeyError::ChangedMeanwhile { .. });
                assert!(meanwhile, "{error}");
                assert_eq!(error.kind(), ErrorKind::Unavailable);
            }
            Some((text, is_transient)) => {
                assert_eq!(
                    error.to_string(),
                    format!(
                        "dynamodb:TransactWriteItems of table table-1 in eu-west-1: {text} (request \
                         request-7)"
                    )
                );
                assert_eq!(
                    error.kind() == ErrorKind::Unavailable,
                    is_transient,
                    "{error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn answers_of_another_key_of_kms_are_refused() {
    let other = |answer: Value| answering(&[(200, answer)]);
    let empty = || answering(&[]);
    let wrong_key = |error: BranchKeyError| match error {
        BranchKeyError::Kms { error, .. } => match &*error {
            KmsError::WrongKey { call, answered } => (call.operation, answered.clone()),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    };
    for answered in [Some(OTHER_ARN), None] {
        let expected = answered.map(str::to_owned);
        let kms = other(json!({ "KeyId": answered, "CiphertextBlob": "djE=" }));
        let made = store(&empty(), &kms).create_key(None, &context()).await;
        let operation = "GenerateDataKeyWithoutPlaintext";
        assert_eq!(wrong_key(made.unwrap_err()), (operation, expected.clone()));

        let dynamo_db = || answering(&[(200, active_item())]);
        for (source, destination) in [(Some(ARN), answered), (answered, Some(ARN))] {
            let kms = other(json!({
                "SourceKeyId": source, "KeyId": destination, "CiphertextBlob": "djE=",
            }));
            let made = store(&dynamo_db(), &kms).create_version("acme").await;
            assert_eq!(
                wrong_key(made.unwrap_err()),
                ("ReEncrypt", expected.clone())
            );
        }
        let kms = other(json!({ "KeyId": answered, "Plaintext": SECRET }));
        let read = store(&dynamo_db(), &kms).active("acme").await;
        assert_eq!(wrong_key(read.unwrap_err()), ("Decrypt", expected));
    }
}

#[tokio::test]
async fn an_item_of_another_key_is_not_taken() {
    for (attribute, reason) in [
        ("branch-key-id", "is of another branch key"),
        ("type", "is of another item"),
    ] {
        let mut item = active_item();
        item["Item"][attribute]["S"] = json!("other");
        let dynamo_db = answering(&[(200, item)]);
        let error = store(&dynamo_db, &answering(&[])).active("acme").await;
        assert_eq!(
            error.unwrap_err().to_string(),
            format!(
                "branch key \"acme\", item \"branch:ACTIVE\": attribute {attribute:?} {reason}"
            )
        );
    }
}
