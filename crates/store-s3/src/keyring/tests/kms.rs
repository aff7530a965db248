//! What the KMS keyring sends, and what it makes of answers. They are recorded: real requests are made
//! and signed by the SDK.

use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use envelope_aws_kms::{AnyKmsKey, KmsKey};
use serde_json::json;

use super::*;
use crate::keyring::Kms;

const KEY_ID: &str = "alias/invoices";

fn answering(status: u16, body: &Value) -> StaticReplayClient {
    let request = http::Request::builder().uri("https://kms.us-east-1.amazonaws.com/");
    let request = request.body(SdkBody::empty()).unwrap();
    let response = http::Response::builder()
        .status(status)
        .header("x-amzn-requestid", "request-7");
    let response = response.body(SdkBody::from(body.to_string())).unwrap();
    StaticReplayClient::new(vec![ReplayEvent::new(request, response)])
}

fn with_secret(secret: &[u8]) -> Value {
    json!({ "Plaintext": BASE64_STANDARD.encode(secret), "CiphertextBlob": "YmJiYg==" })
}

fn client(http: &StaticReplayClient) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .region(Region::new("us-east-1"))
        .http_client(http.clone());
    Client::from_conf(config.build())
}

fn strict(http: &StaticReplayClient, key_id: &str) -> Kms {
    Kms::new(KmsKey::new(client(http), key_id).unwrap())
}

/// Operations and bodies of the requests that were sent.
fn sent(http: &StaticReplayClient) -> Vec<(String, Value)> {
    let requests = http.actual_requests().map(|request| {
        let operation = request.headers().get("x-amz-target").unwrap();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        (operation.replace("TrentService.", ""), body)
    });
    requests.collect()
}

fn writing_context() -> EncryptionContext {
    EncryptionContext::new([(BOUND_ALGORITHM, "115"), ("tenant", "acme")]).unwrap()
}

async fn unwrap_under(
    keyring: &Kms,
    key: EncryptedDataKey,
    suite: AlgorithmSuite,
    context: &EncryptionContext,
) -> Result<Vec<u8>, String> {
    match keyring
        .unwrap_key(&[key], KeyRequest { suite, context })
        .await
    {
        Ok(unwrapped) => Ok(unwrapped.data_key.expose().to_vec()),
        Err(attempts) => Err(attempts[0].to_string()),
    }
}

#[tokio::test]
async fn data_keys_of_other_clients_go_to_kms_with_key_and_whole_context() {
    let key_id = GOLDEN["kms_key_id"].as_str().unwrap();
    let mut count = 0;
    for object in Golden::all() {
        if !matches!(object.wrap, WrapAlgorithm::Kms | WrapAlgorithm::KmsContext) {
            continue;
        }
        count += 1;
        let stored = WrapInfo::from_bytes(object.key.provider_info()).unwrap();
        let stored = stored.description;
        let context = EncryptionContext::new(stored.clone()).unwrap();
        let mut answer = with_secret(&object.data_key);
        answer["KeyId"] = key_id.into();
        let http = answering(200, &answer);
        let blob = BASE64_STANDARD.encode(object.key.ciphertext());
        let keyring = strict(&http, key_id);
        let found = unwrap_under(&keyring, object.key.clone(), object.suite, &context).await;
        assert_eq!(found.as_ref(), Ok(&object.data_key), "{}", object.id);
        let mut body = json!({
            "KeyId": key_id,
            "CiphertextBlob": blob,
            "EncryptionContext": stored,
        });
        assert_eq!(sent(&http), [("Decrypt".to_owned(), body.clone())]);

        let http = answering(200, &with_secret(&object.data_key));
        let keyring = Kms::discovery(AnyKmsKey::new(client(&http)));
        let found = unwrap_under(&keyring, object.key, object.suite, &context).await;
        assert_eq!(found.as_ref(), Ok(&object.data_key), "{}", object.id);
        body.as_object_mut().unwrap().remove("KeyId");
        assert_eq!(sent(&http), [("Decrypt".to_owned(), body)]);
    }
    assert_eq!(count, 74);
}

#[tokio::test]
async fn kms_makes_new_data_keys_and_wraps_those_that_exist() {
    let context = writing_context();
    let request = KeyRequest {
        suite: V3,
        context: &context,
    };
    let pairs = json!({ BOUND_ALGORITHM: "115", "tenant": "acme" });
    let http = answering(200, &with_secret(&[7; 32]));
    let (data_key, keys) = strict(&http, KEY_ID).generate_key(request).await.unwrap();
    assert_eq!(data_key.expose(), [7; 32]);
    assert_eq!(
        keys,
        [EncryptedDataKey::new(PROVIDER_ID, "kms+context", "bbbb")]
    );
    let body = json!({ "KeyId": KEY_ID, "KeySpec": "AES_256", "EncryptionContext": pairs });
    assert_eq!(sent(&http), [("GenerateDataKey".to_owned(), body)]);

    let http = answering(200, &json!({ "CiphertextBlob": "YmJiYg==" }));
    let wrapped = strict(&http, KEY_ID).wrap_key(&data_key, request).await;
    assert_eq!(wrapped.unwrap(), keys);
    let secret = BASE64_STANDARD.encode([7; 32]);
    let body = json!({ "KeyId": KEY_ID, "Plaintext": secret, "EncryptionContext": pairs });
    assert_eq!(sent(&http), [("Encrypt".to_owned(), body)]);
}

#[tokio::test]
async fn refusals_name_permission_code_and_request() {
    let denied = json!({ "__type": "AccessDeniedException", "message": "no" });
    let text = |operation: &str| {
        format!(
            "kms:{operation} with key alias/invoices in us-east-1: AccessDeniedException: allow \
             kms:{operation} to the caller, in its own policy or the key's (request request-7)"
        )
    };
    let context = writing_context();
    let request = KeyRequest {
        suite: V3,
        context: &context,
    };
    let keyring = || strict(&answering(400, &denied), KEY_ID);
    let error = keyring().generate_key(request).await.unwrap_err();
    let expected = format!("S3 KMS alias/invoices: {}", text("GenerateDataKey"));
    assert_eq!(error.to_string(), expected);
    let error = keyring()
        .wrap_key(&data_key(V3), request)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("S3 KMS alias/invoices: {}", text("Encrypt"))
    );
    let key = wrapped(WrapAlgorithm::KmsContext, "bbbb");
    let found = unwrap_under(&keyring(), key, V3, &context).await;
    let expected = format!("S3 KMS alias/invoices: failed: {}", text("Decrypt"));
    assert_eq!(found, Err(expected));
}

#[tokio::test]
async fn a_relabelled_wrap_is_refused_before_kms_is_asked() {
    let http = answering(200, &with_secret(&[7; 32]));
    let context = EncryptionContext::new([(BOUND_ALGORITHM, "AES/GCM/NoPadding")]).unwrap();
    let key = wrapped(WrapAlgorithm::Kms, "bbbb");
    let found = unwrap_under(&strict(&http, KEY_ID), key, V2, &context).await;
    let reason = "S3 KMS alias/invoices: failed: is called kms and has the context of kms+context; the object's metadata was tampered with";
    assert_eq!(found, Err(reason.to_owned()));
    let key = wrapped(WrapAlgorithm::AesGcm, vec![1; 60]);
    let found = unwrap_under(&strict(&http, KEY_ID), key, V2, &context).await;
    let reason =
        "S3 KMS alias/invoices: skipped: wrapped with AES/GCM; use envelope_s3::keyring::Aes";
    assert_eq!(found, Err(reason.to_owned()));
    assert_eq!(sent(&http), []);
}

#[tokio::test]
async fn a_data_key_of_another_length_is_refused() {
    for length in [0, 16, 24, 31, 33] {
        let context = EncryptionContext::new([(BOUND_ALGORITHM, "AES/GCM/NoPadding")]).unwrap();
        let reason = "KMS answered with a data key of another length than 32 bytes";
        let keyring = || strict(&answering(200, &with_secret(&vec![7; length])), KEY_ID);
        let key = wrapped(WrapAlgorithm::KmsContext, "bbbb");
        let found = unwrap_under(&keyring(), key, V2, &context).await;
        assert_eq!(
            found,
            Err(format!("S3 KMS alias/invoices: failed: {reason}"))
        );
        let request = KeyRequest {
            suite: V2,
            context: &context,
        };
        let error = keyring().generate_key(request).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("S3 KMS alias/invoices: {reason}")
        );
    }
}

#[tokio::test]
async fn nothing_is_written_without_a_key_or_a_bound_context() {
    let http = answering(200, &with_secret(&[7; 32]));
    let discovery = Kms::discovery(AnyKmsKey::new(client(&http)));
    let error = refusal(&discovery, V3, &[(BOUND_ALGORITHM, "115")]).await;
    assert_eq!(
        error.to_string(),
        "S3 KMS discovery: only reads; to write, name a KMS key"
    );
    let error = refusal(&strict(&http, KEY_ID), V3, &[("tenant", "acme")]).await;
    assert_eq!(
        error.to_string(),
        "S3 KMS alias/invoices: the encryption context does not name the content's algorithm; use this keyring with the format S3ec"
    );
    assert_eq!(sent(&http), []);
}
