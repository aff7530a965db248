//! Answers that no KMS gives are refused: they are of another key than was asked for, or lack what
//! they must have. The answers are recorded ones.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::{EcdhParties, KeyRequest};
use envelope::{
    AlgorithmSuite, DataKey, EcCurve, EcPrivateKey, EncryptedDataKey, EncryptionContext, Keyring,
    RsaPadding,
};
use envelope_aws_kms::{
    Discovery, Ecdh, KmsError, KmsKey, MultiRegion, MultiRegionDiscovery, Rsa, Strict,
};
use serde_json::{Value, json};

const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234";
const REPLICA: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234";
const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/invoices";

fn client(body: &Value) -> Client {
    let request = http::Request::builder().uri("https://kms.eu-west-1.amazonaws.com/");
    let request = request.body(SdkBody::empty()).unwrap();
    let response = http::Response::new(SdkBody::from(body.to_string()));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .region(Region::new("eu-west-1"))
        .http_client(StaticReplayClient::new(vec![ReplayEvent::new(
            request, response,
        )]));
    Client::from_conf(config.build())
}

fn secret(length: usize) -> String {
    STANDARD.encode(vec![b'k'; length])
}

fn request(context: &EncryptionContext) -> KeyRequest<'_> {
    KeyRequest {
        suite: SUITE,
        context,
    }
}

/// What a keyring that reads says to one encrypted data key.
async fn said(keyring: &dyn Keyring, key: EncryptedDataKey) -> Result<Vec<u8>, String> {
    let (keys, context) = ([key], EncryptionContext::default());
    match keyring.unwrap_key(&keys, request(&context)).await {
        Ok(opened) => Ok(opened.data_key.expose().to_vec()),
        Err(attempts) => {
            assert!(attempts[0].failed());
            Err(attempts[0].reason().to_owned())
        }
    }
}

fn of_another_key(operation: &str, answered: &str) -> String {
    format!(
        "kms:{operation} with key {ARN} in eu-west-1: the answer is of another key, {answered}; is \
         the endpoint KMS?"
    )
}

#[tokio::test]
async fn a_data_key_unwrapped_by_another_key_is_refused() {
    let wrapped = || EncryptedDataKey::new("aws-kms", ARN, b"bbbb");
    let keyrings = |body: &Value| -> [Box<dyn Keyring>; 4] {
        [
            Box::new(Strict::new(client(body), ARN).unwrap()),
            Box::new(MultiRegion::new(client(body), ARN).unwrap()),
            Box::new(Discovery::new(client(body))),
            Box::new(MultiRegionDiscovery::new(client(body)).unwrap()),
        ]
    };
    for keyring in keyrings(&json!({ "Plaintext": secret(32), "KeyId": ARN })) {
        assert_eq!(said(&*keyring, wrapped()).await, Ok(vec![b'k'; 32]));
    }
    for other in [REPLICA, ALIAS, "mrk-1234"] {
        for keyring in keyrings(&json!({ "Plaintext": secret(32), "KeyId": other })) {
            let found = said(&*keyring, wrapped()).await;
            assert_eq!(found, Err(of_another_key("Decrypt", other)));
        }
    }
    let unnamed = of_another_key("Decrypt", "which it does not name");
    for keyring in keyrings(&json!({ "Plaintext": secret(32) })) {
        assert_eq!(said(&*keyring, wrapped()).await, Err(unnamed.clone()));
    }
    for length in [0, 16, 31, 33] {
        for keyring in keyrings(&json!({ "Plaintext": secret(length), "KeyId": ARN })) {
            let reason = "the unwrapped key has the wrong length for the algorithm suite";
            assert_eq!(said(&*keyring, wrapped()).await, Err(reason.to_owned()));
        }
    }
    for keyring in keyrings(&json!({ "KeyId": ARN })) {
        let reason = said(&*keyring, wrapped()).await.unwrap_err();
        assert!(
            reason.ends_with("the answer has no Plaintext; is the endpoint KMS?"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_data_key_wrapped_by_something_that_is_no_key_is_refused() {
    let context = EncryptionContext::default();
    let data_key = DataKey::generate(SUITE).unwrap();
    for answered in [ALIAS, "mrk-1234", "arn:aws:kms:eu-west-1:1:key/"] {
        let body = json!({
            "Plaintext": secret(32), "CiphertextBlob": "YmJiYg==", "KeyId": answered,
        });
        let keyrings: [Box<dyn Keyring>; 2] = [
            Box::new(Strict::new(client(&body), ARN).unwrap()),
            Box::new(MultiRegion::new(client(&body), ARN).unwrap()),
        ];
        for keyring in keyrings {
            let error = keyring.generate_key(request(&context)).await.unwrap_err();
            let expected = of_another_key("GenerateDataKey", answered);
            assert_eq!(error.to_string(), format!("AWS KMS {ARN}: {expected}"));
        }
        let keyring = Strict::new(client(&body), ARN).unwrap();
        let wrapped = keyring.wrap_key(&data_key, request(&context)).await;
        let expected = of_another_key("Encrypt", answered);
        assert_eq!(
            wrapped.unwrap_err().to_string(),
            format!("AWS KMS {ARN}: {expected}")
        );
    }
    for length in [0, 16, 33] {
        let body = json!({
            "Plaintext": secret(length), "CiphertextBlob": "YmJiYg==", "KeyId": ARN,
        });
        let keyring = Strict::new(client(&body), ARN).unwrap();
        let error = keyring.generate_key(request(&context)).await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("{length} bytes")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_named_key_takes_no_answer_of_another() {
    let context = EncryptionContext::default();
    let answer = |answered: Option<&str>| json!({ "Plaintext": secret(32), "CiphertextBlob": "YmJiYg==", "KeyId": answered });
    let refused = |error: KmsError| match error {
        KmsError::WrongKey { call, answered } => (call.operation, answered),
        other => panic!("{other}"),
    };
    for wrong in [Some(REPLICA), Some(ALIAS), Some("mrk-1234"), None] {
        let key = || KmsKey::new(client(&answer(wrong)), ARN).unwrap();
        let wrong = wrong.map(str::to_owned);
        let error = key().generate_data_key(&context).await.unwrap_err();
        assert_eq!(refused(error), ("GenerateDataKey", wrong.clone()));
        let error = key().encrypt(&[b'k'; 32], &context).await.unwrap_err();
        assert_eq!(refused(error), ("Encrypt", wrong.clone()));
        let error = key().decrypt(b"bbbb", &context).await.unwrap_err();
        assert_eq!(refused(error), ("Decrypt", wrong));
    }
    // Nobody knows the ARN behind an alias or an id.
    for asked in [ARN, ALIAS, "mrk-1234"] {
        let key = || KmsKey::new(client(&answer(Some(ARN))), asked).unwrap();
        let generated = key().generate_data_key(&context).await.unwrap();
        assert_eq!(*generated.secret, [b'k'; 32]);
        assert_eq!(generated.ciphertext, b"bbbb");
        let wrapped = key().encrypt(&[b'k'; 32], &context).await.unwrap();
        assert_eq!(wrapped, b"bbbb");
        let opened = key().decrypt(b"bbbb", &context).await.unwrap();
        assert_eq!(*opened, [b'k'; 32]);
    }
}

#[tokio::test]
async fn an_asymmetric_answer_of_another_key_is_refused() {
    let mine = EcPrivateKey::generate(EcCurve::P256).unwrap();
    let theirs = EcPrivateKey::generate(EcCurve::P256).unwrap();
    let (my_point, their_point) = (mine.public_key(), theirs.public_key());
    let parties = EcdhParties {
        sender: their_point.to_bytes(),
        recipient: my_point.to_bytes(),
    };
    let shared = mine.shared_secret(their_point).unwrap();
    let context = EncryptionContext::default();
    let data_key = DataKey::generate(SUITE).unwrap();
    let ciphertext = parties.wrap(EcCurve::P256, &shared, &data_key, request(&context));
    let agreed =
        EncryptedDataKey::new("aws-kms-ecdh", parties.provider_info(), ciphertext.unwrap());
    let between = |answered: &str| {
        let body = json!({ "SharedSecret": STANDARD.encode(&*shared), "KeyId": answered });
        Ecdh::discovery(client(&body), ARN, my_point.clone()).unwrap()
    };
    let opened = said(&between(ARN), agreed.clone()).await;
    assert_eq!(opened, Ok(data_key.expose().to_vec()));
    let found = said(&between(REPLICA), agreed).await;
    assert_eq!(found, Err(of_another_key("DeriveSharedSecret", REPLICA)));

    let body = json!({ "Plaintext": secret(80), "KeyId": REPLICA });
    let rsa = Rsa::new(client(&body), ARN, RsaPadding::OaepSha256).unwrap();
    let wrapped = EncryptedDataKey::new("aws-kms-rsa", ARN, [0; 256]);
    let found = said(&rsa, wrapped.clone()).await;
    assert_eq!(found, Err(of_another_key("Decrypt", REPLICA)));
    let body = json!({ "Plaintext": secret(47), "KeyId": ARN });
    let rsa = Rsa::new(client(&body), ARN, RsaPadding::OaepSha256).unwrap();
    let found = said(&rsa, wrapped).await;
    assert_eq!(found, Err("the unwrapped key is too short".to_owned()));

    let body =
        json!({ "PublicKey": STANDARD.encode(their_point.to_der().unwrap()), "KeyId": REPLICA });
    let error = Ecdh::fetch_public_key(client(&body), ARN, &[])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, KmsError::WrongKey { answered: Some(answered), .. } if answered == REPLICA),
        "{error:?}"
    );
}
