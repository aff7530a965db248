//! The KMS in memory is as KMS is: seen through clients of the SDK.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::collections::HashMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    DataKeySpec, EncryptionAlgorithmSpec, KeyAgreementAlgorithmSpec, KeySpec, KeyState,
    KeyUsageType,
};
use envelope_aws_kms::KmsError;
use envelope_aws_kms::test_util::InMemoryKms;
use support::{OTHER_REGION, REGION, symmetric};

const OAEP: EncryptionAlgorithmSpec = EncryptionAlgorithmSpec::RsaesOaepSha256;

fn context(tenant: &str) -> Option<HashMap<String, String>> {
    Some(HashMap::from([("tenant".to_owned(), tenant.to_owned())]))
}

/// KMS's code of a refusal.
fn code<T, E, R>(result: Result<T, SdkError<E, R>>) -> String
where
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let Err(error) = result else {
        panic!("it was not refused")
    };
    error.code().unwrap().to_owned()
}

async fn encrypt(client: &Client, key_id: &str, tenant: &str) -> Blob {
    let request = client
        .encrypt()
        .key_id(key_id)
        .plaintext(Blob::new("hello"));
    let answer = request.set_encryption_context(context(tenant)).send().await;
    answer.unwrap().ciphertext_blob.unwrap()
}

async fn decrypt(
    client: &Client,
    key_id: Option<&str>,
    blob: &Blob,
    tenant: &str,
) -> Result<(String, Vec<u8>), String> {
    let answer = client
        .decrypt()
        .set_key_id(key_id.map(str::to_owned))
        .ciphertext_blob(blob.clone())
        .set_encryption_context(context(tenant))
        .send()
        .await;
    match answer {
        Ok(answer) => Ok((
            answer.key_id.unwrap(),
            answer.plaintext.unwrap().into_inner(),
        )),
        error => Err(code(error)),
    }
}

#[tokio::test]
async fn ciphertexts_are_bound_to_key_and_context() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let (key, other) = (symmetric(&kms).to_string(), symmetric(&kms).to_string());
    let blob = encrypt(&client, &key, "a").await;
    let opened = Ok((key.clone(), b"hello".to_vec()));
    assert_eq!(decrypt(&client, Some(&key), &blob, "a").await, opened);
    // A symmetric ciphertext names its key.
    assert_eq!(decrypt(&client, None, &blob, "a").await, opened);
    let refused = |code: &str| Err(code.to_owned());
    let invalid = refused("InvalidCiphertextException");
    assert_eq!(decrypt(&client, Some(&key), &blob, "b").await, invalid);
    let found = decrypt(&client, Some(&other), &blob, "a").await;
    assert_eq!(found, refused("IncorrectKeyException"));
    for index in 0..blob.as_ref().len() {
        let mut changed = blob.clone().into_inner();
        changed[index] ^= 1;
        let found = decrypt(&client, Some(&key), &Blob::new(changed), "a").await;
        assert_eq!(found, invalid, "byte {index}");
    }
    let elsewhere = kms.client(OTHER_REGION);
    assert_eq!(decrypt(&elsewhere, None, &blob, "a").await, invalid);
    let found = decrypt(&elsewhere, Some(&key), &blob, "a").await;
    assert_eq!(found, refused("NotFoundException"));
    let short = Blob::new(&blob.as_ref()[..20]);
    assert_eq!(decrypt(&client, Some(&key), &short, "a").await, invalid);
}

#[tokio::test]
async fn every_name_of_a_key_names_it() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let (first, second) = (symmetric(&kms), symmetric(&kms));
    let alias = kms.create_alias("alias/a", &first).unwrap();
    let blob = encrypt(&client, "alias/a", "a").await;
    for key_id in [
        first.id(),
        &*first.to_string(),
        "alias/a",
        &*alias.to_string(),
    ] {
        let opened = decrypt(&client, Some(key_id), &blob, "a").await.unwrap();
        assert_eq!(opened.0, first.to_string(), "{key_id}");
    }
    kms.create_alias("alias/a", &second).unwrap();
    let found = decrypt(&client, Some("alias/a"), &blob, "a").await;
    assert_eq!(found, Err("IncorrectKeyException".to_owned()));
    for key_id in [
        "alias/b",
        "1234",
        "arn:aws:kms:eu-west-1:1:key/1234",
        "arn:",
        " ",
    ] {
        let found = decrypt(&client, Some(key_id), &blob, "a").await;
        assert_eq!(found, Err("NotFoundException".to_owned()), "{key_id}");
    }
    // Aliases and ids are of one's own account.
    let theirs = kms.in_account("444455556666").client(REGION);
    let found = decrypt(&theirs, Some("alias/a"), &blob, "a").await;
    assert_eq!(found, Err("NotFoundException".to_owned()));
    assert!(
        decrypt(&theirs, Some(&first.to_string()), &blob, "a")
            .await
            .is_ok()
    );
    let error = kms.create_alias("key/a", &first).unwrap_err();
    assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{error:?}");
}

#[tokio::test]
async fn replicas_are_one_key() {
    let kms = InMemoryKms::new();
    let here = kms.create_multi_region_key(REGION, KeySpec::SymmetricDefault);
    let here = here.unwrap();
    let there = kms.replicate(&here, OTHER_REGION).unwrap();
    let blob = encrypt(&kms.client(REGION), &here.to_string(), "a").await;
    let opened = decrypt(&kms.client(OTHER_REGION), None, &blob, "a").await;
    assert_eq!(opened, Ok((there.to_string(), b"hello".to_vec())));
    // They are disabled one by one.
    kms.set_key_state(&here, KeyState::Disabled).unwrap();
    let found = decrypt(&kms.client(REGION), None, &blob, "a").await;
    assert_eq!(found, Err("DisabledException".to_owned()));
    assert!(
        decrypt(&kms.client(OTHER_REGION), None, &blob, "a")
            .await
            .is_ok()
    );
    let single = symmetric(&kms);
    let error = kms.replicate(&single, OTHER_REGION).unwrap_err();
    assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{error:?}");
    let nowhere = here.in_region("ap-south-1");
    let error = kms.set_key_state(&nowhere, KeyState::Enabled).unwrap_err();
    assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{error:?}");
}

#[tokio::test]
async fn clients_make_keys_and_replicas() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let created = client.create_key().multi_region(true).send().await.unwrap();
    let primary = created.key_metadata.unwrap();
    assert_eq!(primary.multi_region, Some(true));
    let request = client.replicate_key().key_id(primary.key_id);
    let request = request.replica_region(OTHER_REGION);
    let replica = request.clone().send().await.unwrap();
    assert_eq!(code(request.send().await), "AlreadyExistsException");
    let replica = replica.replica_key_metadata.unwrap().arn.unwrap();
    let primary = primary.arn.unwrap();
    assert_eq!(replica, primary.replace(REGION, OTHER_REGION));
    let blob = encrypt(&client, &primary, "a").await;
    let opened = decrypt(&kms.client(OTHER_REGION), Some(&replica), &blob, "a").await;
    assert_eq!(opened, Ok((replica, b"hello".to_vec())));

    let agreement = client.create_key().key_spec(KeySpec::EccNistP384);
    let agreement = agreement.key_usage(KeyUsageType::KeyAgreement).send().await;
    let metadata = agreement.unwrap().key_metadata.unwrap();
    assert_eq!(metadata.key_usage, Some(KeyUsageType::KeyAgreement));
    for refused in [
        client.create_key().key_spec(KeySpec::EccNistP384),
        client.create_key().key_usage(KeyUsageType::KeyAgreement),
        client.create_key().key_spec(KeySpec::Sm2),
    ] {
        assert_eq!(code(refused.send().await), "ValidationException");
    }
    let single = client.replicate_key().key_id(metadata.key_id);
    let single = single.replica_region(OTHER_REGION).send().await;
    assert_eq!(code(single), "UnsupportedOperationException");
}

#[tokio::test]
async fn limits_are_those_of_kms() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let key = symmetric(&kms).to_string();
    let encrypt = |length| {
        client
            .encrypt()
            .key_id(&key)
            .plaintext(Blob::new(vec![0; length]))
    };
    assert!(encrypt(4096).send().await.is_ok());
    for length in [0, 4097] {
        assert_eq!(code(encrypt(length).send().await), "ValidationException");
    }
    let tokens = |count| Some(vec!["token".to_owned(); count]);
    assert!(encrypt(1).set_grant_tokens(tokens(10)).send().await.is_ok());
    let refused = encrypt(1).set_grant_tokens(tokens(11)).send().await;
    assert_eq!(code(refused), "ValidationException");
    // {"tenant":"…"} has 13 bytes around the value.
    let bound = |length| encrypt(1).set_encryption_context(context(&"v".repeat(length)));
    assert!(bound(8192 - 13).send().await.is_ok());
    assert_eq!(code(bound(8193 - 13).send().await), "ValidationException");
    let generate = || client.generate_data_key().key_id(&key);
    for length in [1, 32, 1024] {
        let answer = generate().number_of_bytes(length).send().await.unwrap();
        let plaintext = answer.plaintext.unwrap().into_inner();
        assert_eq!(plaintext.len(), usize::try_from(length).unwrap());
    }
    let spec = DataKeySpec::Aes256;
    for request in [
        generate(),
        generate().number_of_bytes(1025),
        generate().number_of_bytes(0),
        generate().number_of_bytes(32).key_spec(spec),
    ] {
        assert_eq!(code(request.send().await), "ValidationException");
    }
}

#[tokio::test]
async fn data_keys_without_plaintext_are_wrapped_anew_under_another_context() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let (from, to) = (symmetric(&kms).to_string(), symmetric(&kms).to_string());
    let generated = client
        .generate_data_key_without_plaintext()
        .key_id(&from)
        .number_of_bytes(32)
        .set_encryption_context(context("a"))
        .send()
        .await
        .unwrap();
    let blob = generated.ciphertext_blob.unwrap();
    let re_encrypt = |tenant: &str| {
        client
            .re_encrypt()
            .ciphertext_blob(blob.clone())
            .set_source_encryption_context(context(tenant))
            .destination_key_id(&to)
            .set_destination_encryption_context(context("b"))
    };
    let answer = re_encrypt("a").source_key_id(&from).send().await.unwrap();
    assert_eq!(answer.source_key_id.as_deref(), Some(&*from));
    assert_eq!(answer.key_id.as_deref(), Some(&*to));
    let (_, secret) = decrypt(&client, Some(&from), &blob, "a").await.unwrap();
    assert_eq!(secret.len(), 32);
    let moved = answer.ciphertext_blob.unwrap();
    let opened = decrypt(&client, None, &moved, "b").await;
    assert_eq!(opened, Ok((to.clone(), secret)));
    let refused = re_encrypt("b").send().await;
    assert_eq!(code(refused), "InvalidCiphertextException");
    let refused = re_encrypt("a").source_key_id(&to).send().await;
    assert_eq!(code(refused), "IncorrectKeyException");
}

#[tokio::test]
async fn rsa_keys_encrypt_in_kms_too() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let key = kms
        .create_key(REGION, KeySpec::Rsa2048)
        .unwrap()
        .to_string();
    let encrypt = |length| {
        let request = client.encrypt().key_id(&key).encryption_algorithm(OAEP);
        request.plaintext(Blob::new(vec![7; length]))
    };
    let blob = encrypt(190).send().await.unwrap().ciphertext_blob.unwrap();
    assert_eq!(code(encrypt(191).send().await), "ValidationException");
    let decrypt = || client.decrypt().ciphertext_blob(blob.clone());
    let answer = decrypt()
        .key_id(&key)
        .encryption_algorithm(OAEP)
        .send()
        .await;
    assert_eq!(answer.unwrap().plaintext.unwrap().into_inner(), [7; 190]);
    let refused = decrypt().encryption_algorithm(OAEP).send().await;
    assert_eq!(code(refused), "ValidationException");
    let refused = decrypt().key_id(&key).send().await;
    assert_eq!(code(refused), "InvalidKeyUsageException");
    let refused = encrypt(1).set_encryption_context(context("a")).send().await;
    assert_eq!(code(refused), "ValidationException");
    let refused = client.generate_data_key().key_id(&key).number_of_bytes(32);
    assert_eq!(code(refused.send().await), "InvalidKeyUsageException");
}

#[tokio::test]
async fn keys_on_a_curve_agree() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let specs = [
        KeySpec::EccNistP256,
        KeySpec::EccNistP384,
        KeySpec::EccNistP521,
    ];
    for spec in specs {
        let keys = [(); 2].map(|()| kms.create_key(REGION, spec.clone()).unwrap().to_string());
        let mut points = Vec::new();
        for key in &keys {
            let answer = client.get_public_key().key_id(key).send().await.unwrap();
            points.push(answer.public_key.unwrap());
        }
        let agree = |key: &str, point: Blob| {
            let request = client.derive_shared_secret().key_id(key).public_key(point);
            request.key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh)
        };
        let ours = agree(&keys[0], points[1].clone()).send().await.unwrap();
        let theirs = agree(&keys[1], points[0].clone()).send().await.unwrap();
        assert!(ours.shared_secret.is_some());
        assert_eq!(ours.shared_secret, theirs.shared_secret);
        let refused = agree(&keys[0], Blob::new([1])).send().await;
        assert_eq!(code(refused), "ValidationException");
        let symmetric = symmetric(&kms).to_string();
        let refused = agree(&symmetric, points[0].clone()).send().await;
        assert_eq!(code(refused), "InvalidKeyUsageException");
        let refused = client.encrypt().key_id(&keys[0]).plaintext(Blob::new("a"));
        assert_eq!(code(refused.send().await), "InvalidKeyUsageException");
    }
    let error = kms.create_key(REGION, KeySpec::Hmac256).unwrap_err();
    assert!(matches!(
        error,
        KmsError::InvalidOption {
            what: "the key spec",
            ..
        }
    ));
}

#[tokio::test]
async fn keys_are_described_in_every_state() {
    let kms = InMemoryKms::new();
    let client = kms.client(REGION);
    let key = kms
        .create_multi_region_key(REGION, KeySpec::EccNistP384)
        .unwrap();
    for state in [
        KeyState::Enabled,
        KeyState::Disabled,
        KeyState::PendingDeletion,
    ] {
        kms.set_key_state(&key, state.clone()).unwrap();
        let answer = client
            .describe_key()
            .key_id(key.to_string())
            .send()
            .await
            .unwrap();
        let found = answer.key_metadata.unwrap();
        assert_eq!(found.enabled, state == KeyState::Enabled);
        assert_eq!(found.key_state, Some(state));
        assert_eq!(found.key_spec, Some(KeySpec::EccNistP384));
        assert_eq!(found.key_usage.unwrap().as_str(), "KEY_AGREEMENT");
        assert_eq!(found.arn, Some(key.to_string()));
        assert_eq!(found.key_id, key.id());
        assert_eq!(found.aws_account_id.as_deref(), Some("111122223333"));
        assert_eq!(found.multi_region, Some(true));
    }
    let refused = client.get_public_key().key_id(key.to_string()).send().await;
    assert_eq!(code(refused), "KMSInvalidStateException");
}

#[tokio::test]
async fn the_endpoint_does_not_matter_and_requests_are_told_apart() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms).to_string();
    for config in [
        kms.config(REGION)
            .endpoint_url("https://vpce-1.example.com:8443/kms"),
        kms.config(REGION).use_fips(true),
        kms.config(REGION).use_dual_stack(true),
    ] {
        let client = Client::from_conf(config.build());
        let blob = encrypt(&client, &key, "a").await;
        assert!(decrypt(&client, None, &blob, "a").await.is_ok());
    }
    assert_eq!((kms.calls("Encrypt"), kms.calls("Decrypt")), (3, 3));
    let answer = kms.client(REGION).describe_key().key_id(&key).send().await;
    assert_eq!(answer.unwrap().request_id(), Some("in-memory-7"));
    let refused = kms.client(REGION).list_keys().send().await;
    assert_eq!(code(refused), "UnknownOperationException");
    assert_eq!(kms.total_calls(), 8);
}
