//! What is sent to KMS, and what its answers become. The answers are recorded ones: real requests are
//! made and signed by the SDK.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::test_util::{NeverClient, ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use envelope::EncryptionContext;
use envelope_aws_kms::{AnyKmsKey, KmsError, KmsKey};
use serde_json::{Value, json};

/// 32 bytes of `k` and a blob of `b`, in base64.
const SECRET: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const BLOB: &str = "YmJiYg==";
const ALIAS: &str = "alias/invoices";

fn answering(status: u16, body: &Value) -> StaticReplayClient {
    let request = http::Request::builder().uri("https://kms.eu-west-1.amazonaws.com/");
    let request = request.body(SdkBody::empty()).unwrap();
    let response = http::Response::builder()
        .status(status)
        .header("x-amzn-requestid", "request-7");
    let response = response.body(SdkBody::from(body.to_string())).unwrap();
    StaticReplayClient::new(vec![ReplayEvent::new(request, response)])
}

fn config() -> aws_sdk_kms::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .region(Region::new("eu-west-1"))
}

fn client(http: &StaticReplayClient) -> Client {
    Client::from_conf(config().http_client(http.clone()).build())
}

fn key(http: &StaticReplayClient) -> KmsKey {
    KmsKey::new(client(http), ALIAS).unwrap()
}

fn context() -> EncryptionContext {
    EncryptionContext::new([("aws:x-amz-cek-alg", "115"), ("tenant", "ä")]).unwrap()
}

/// The operation and the body of the one request that was sent.
fn sent(http: &StaticReplayClient) -> (String, Value) {
    let requests: Vec<_> = http.actual_requests().collect();
    assert_eq!(requests.len(), 1);
    let operation = requests[0].headers().get("x-amz-target").unwrap();
    let body = serde_json::from_slice(requests[0].body().bytes().unwrap()).unwrap();
    (operation.to_owned(), body)
}

#[tokio::test]
async fn a_data_key_is_made_under_the_named_key_and_the_whole_context() {
    let http = answering(200, &json!({ "Plaintext": SECRET, "CiphertextBlob": BLOB }));
    let key = key(&http).with_grant_tokens(["token-1", "token-2"]);
    let generated = key.generate_data_key(&context()).await.unwrap();
    assert_eq!(*generated.secret, [b'k'; 32]);
    assert_eq!(generated.ciphertext, b"bbbb");
    assert_eq!(format!("{generated:?}"), "GeneratedDataKey(redacted)");
    let (operation, body) = sent(&http);
    assert_eq!(operation, "TrentService.GenerateDataKey");
    assert_eq!(
        body,
        json!({
            "KeyId": ALIAS,
            "KeySpec": "AES_256",
            "EncryptionContext": { "aws:x-amz-cek-alg": "115", "tenant": "ä" },
            "GrantTokens": ["token-1", "token-2"],
        })
    );
}

#[tokio::test]
async fn encrypt_sends_the_secret_and_returns_the_blob() {
    let http = answering(200, &json!({ "CiphertextBlob": BLOB }));
    let blob = key(&http).encrypt(&[b'k'; 32], &context()).await.unwrap();
    assert_eq!(blob, b"bbbb");
    let (operation, body) = sent(&http);
    assert_eq!(operation, "TrentService.Encrypt");
    assert_eq!(
        body,
        json!({
            "KeyId": ALIAS,
            "Plaintext": SECRET,
            "EncryptionContext": { "aws:x-amz-cek-alg": "115", "tenant": "ä" },
        })
    );
}

#[tokio::test]
async fn only_discovery_leaves_the_key_to_the_ciphertext() {
    let answer = json!({ "Plaintext": SECRET });
    let http = answering(200, &answer);
    let secret = key(&http).decrypt(b"bbbb", &context()).await.unwrap();
    assert_eq!(*secret, [b'k'; 32]);
    let (operation, body) = sent(&http);
    assert_eq!(operation, "TrentService.Decrypt");
    let mut expected = json!({
        "KeyId": ALIAS,
        "CiphertextBlob": BLOB,
        "EncryptionContext": { "aws:x-amz-cek-alg": "115", "tenant": "ä" },
    });
    assert_eq!(body, expected);

    let http = answering(200, &answer);
    let any = AnyKmsKey::new(client(&http)).with_grant_tokens(["token"]);
    let secret = any.decrypt(b"bbbb", &context()).await.unwrap();
    assert_eq!(*secret, [b'k'; 32]);
    expected.as_object_mut().unwrap().remove("KeyId");
    expected["GrantTokens"] = json!(["token"]);
    assert_eq!(sent(&http).1, expected);
}

#[tokio::test]
async fn an_empty_context_is_left_out() {
    let http = answering(200, &json!({ "Plaintext": SECRET }));
    let empty = EncryptionContext::default();
    key(&http).decrypt(b"bbbb", &empty).await.unwrap();
    let (_, body) = sent(&http);
    assert_eq!(body, json!({ "KeyId": ALIAS, "CiphertextBlob": BLOB }));
}

#[test]
fn an_empty_key_id_is_refused() {
    let http = answering(200, &json!({}));
    for key_id in ["", " "] {
        let error = KmsKey::new(client(&http), key_id).unwrap_err();
        assert!(matches!(error, KmsError::EmptyKeyId), "{error:?}");
    }
}

/// Each of the three calls, refused in KMS's words.
async fn refused(code: &str) -> [KmsError; 3] {
    // A service that repeats the secret must not bring it into our texts.
    let body = json!({ "__type": code, "message": format!("no {SECRET} {BLOB}") });
    let http = || answering(400, &body);
    let (secret, context) = ([b'k'; 32], context());
    [
        key(&http()).generate_data_key(&context).await.unwrap_err(),
        key(&http()).encrypt(&secret, &context).await.unwrap_err(),
        key(&http()).decrypt(b"bbbb", &context).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_denied_access_names_the_permission_that_is_missing() {
    let errors = refused("AccessDeniedException").await;
    for (error, operation) in errors.iter().zip(["GenerateDataKey", "Encrypt", "Decrypt"]) {
        assert_eq!(
            error.to_string(),
            format!(
                "kms:{operation} with key alias/invoices in eu-west-1: AccessDeniedException: \
                 allow kms:{operation} to the caller, in its own policy or the key's \
                 (request request-7)"
            )
        );
        let KmsError::Refused {
            call,
            code,
            request_id,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(call.operation, operation);
        assert_eq!(call.key_id.as_deref(), Some(ALIAS));
        assert_eq!(call.region.as_deref(), Some("eu-west-1"));
        assert_eq!(code.as_deref(), Some("AccessDeniedException"));
        assert_eq!(request_id.as_deref(), Some("request-7"));
    }
}

#[tokio::test]
async fn every_refusal_keeps_its_code_and_no_secret() {
    for (code, advice) in [
        (
            "NotFoundException",
            ": there is no such key or alias in this account and region",
        ),
        ("DisabledException", ": the key is disabled; enable it"),
        (
            "KMSInvalidStateException",
            ": the key's state does not allow it, as while it waits for its deletion",
        ),
        (
            "InvalidKeyUsageException",
            ": the key is for another use, as signing; use another key",
        ),
        (
            "InvalidCiphertextException",
            ": wrapped under another encryption context or by no key of KMS, or tampered with",
        ),
        ("IncorrectKeyException", ": wrapped by another key"),
        (
            "ThrottlingException",
            ": too many requests; try again later",
        ),
        ("ExpiredTokenException", ": check the credentials"),
        ("SomethingNewException", ""),
    ] {
        for error in refused(code).await {
            let text = error.to_string();
            assert!(
                text.ends_with(&format!("{code}{advice} (request request-7)")),
                "{text}"
            );
            for text in [text, format!("{error:?}")] {
                assert!(!text.contains(SECRET) && !text.contains(BLOB), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_key_is_an_error() {
    let http = answering(200, &json!({ "CiphertextBlob": BLOB }));
    let error = key(&http).generate_data_key(&context()).await.unwrap_err();
    assert!(
        matches!(&error, KmsError::Incomplete { call, field: "Plaintext" } if call.operation == "GenerateDataKey"),
        "{error:?}"
    );
    let http = answering(200, &json!({ "Plaintext": SECRET }));
    let error = key(&http).encrypt(b"k", &context()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "kms:Encrypt with key alias/invoices in eu-west-1: the answer has no CiphertextBlob; \
         is the endpoint KMS?"
    );
}

#[tokio::test]
async fn no_answer_says_what_failed_on_the_way() {
    // No recorded answer is left.
    let http = StaticReplayClient::new(Vec::new());
    let error = key(&http).decrypt(b"bbbb", &context()).await.unwrap_err();
    assert!(
        matches!(&error, KmsError::NoAnswer { reason, .. } if !reason.is_empty()),
        "{error:?}"
    );
    let http = answering(200, &json!("no object"));
    let any = AnyKmsKey::new(client(&http));
    let error = any.decrypt(b"bbbb", &context()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "kms:Decrypt with the ciphertext's own key in eu-west-1: the answer has no error code and cannot be read (request request-7)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_is_told_as_one() {
    let timeouts = aws_sdk_kms::config::timeout::TimeoutConfig::builder()
        .operation_timeout(std::time::Duration::from_secs(1))
        .build();
    let config = config()
        .http_client(NeverClient::new())
        .timeout_config(timeouts);
    let key = KmsKey::new(Client::from_conf(config.build()), ALIAS).unwrap();
    let error = key.decrypt(b"bbbb", &context()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "kms:Decrypt with key alias/invoices in eu-west-1: no answer: the time allowed is over"
    );
}
