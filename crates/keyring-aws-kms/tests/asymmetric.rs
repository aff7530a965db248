//! Keyrings of RSA keys and of key agreement in KMS. No emulator does both, so the KMS in memory does.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use aws_sdk_kms::types::{KeySpec, KeyState};
use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, EcCurve, EcPrivateKey, EncryptedDataKey, EncryptionContext, ErrorKind, Keyring,
    RawEcdh, RsaPadding, encrypt,
};
use envelope_aws_kms::test_util::InMemoryKms;
use envelope_aws_kms::{Arn, Ecdh, KmsError, Rsa};
use support::{
    OTHER_REGION, REGION, UNSIGNED, attempt, context, failed, opens, refused_to_seal, seal,
    sealing, skipped, symmetric,
};

const PADDINGS: [RsaPadding; 2] = [RsaPadding::OaepSha1, RsaPadding::OaepSha256];
const CURVES: [KeySpec; 3] = [
    KeySpec::EccNistP256,
    KeySpec::EccNistP384,
    KeySpec::EccNistP521,
];

async fn rsa(kms: &InMemoryKms, arn: &Arn, padding: RsaPadding) -> Rsa {
    let client = || kms.client(arn.region());
    let public_key = Rsa::fetch_public_key(client(), arn.to_string(), &[]).await;
    let keyring = Rsa::new(client(), arn.to_string(), padding).unwrap();
    keyring.with_public_key(public_key.unwrap())
}

/// A keyring between two keys of KMS, as the first sees it.
async fn agreed(kms: &InMemoryKms, mine: &Arn, theirs: &Arn) -> Ecdh {
    let client = || kms.client(mine.region());
    let my_point = Ecdh::fetch_public_key(client(), mine.to_string(), &[]).await;
    let their_point =
        Ecdh::fetch_public_key(kms.client(theirs.region()), theirs.to_string(), &[]).await;
    Ecdh::between(
        client(),
        mine.to_string(),
        my_point.unwrap(),
        their_point.unwrap(),
    )
    .unwrap()
}

async fn discovery(kms: &InMemoryKms, mine: &Arn) -> Ecdh {
    let client = || kms.client(mine.region());
    let point = Ecdh::fetch_public_key(client(), mine.to_string(), &[]).await;
    Ecdh::discovery(client(), mine.to_string(), point.unwrap()).unwrap()
}

/// One data key, wrapped, and what the keyring says to `change` of it.
async fn said_to_changed(
    keyring: &dyn Keyring,
    change: impl Fn(&EncryptedDataKey) -> EncryptedDataKey,
) -> (bool, String) {
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let (_, keys) = keyring.generate_key(request).await.unwrap();
    let changed = [change(&keys[0])];
    let attempts = keyring.unwrap_key(&changed, request).await.unwrap_err();
    (attempts[0].failed(), attempts[0].reason().to_owned())
}

fn with_last_byte_changed(key: &EncryptedDataKey) -> EncryptedDataKey {
    let mut ciphertext = key.ciphertext().to_vec();
    *ciphertext.last_mut().unwrap() ^= 1;
    EncryptedDataKey::new(key.provider_id(), key.provider_info(), ciphertext)
}

#[tokio::test]
async fn rsa_opens_every_suite_without_a_signature() {
    let kms = InMemoryKms::new();
    let arn = kms.create_key(REGION, KeySpec::Rsa2048).unwrap();
    for padding in PADDINGS {
        let keyring = rsa(&kms, &arn, padding).await;
        let public_key = Rsa::fetch_public_key(kms.client(REGION), arn.to_string(), &[]).await;
        let calls = kms.total_calls();
        let writer = Rsa::encrypt_only(arn.to_string(), public_key.unwrap(), padding).unwrap();
        let unsigned = AlgorithmSuite::ALL
            .into_iter()
            .filter(|suite| !suite.is_signed());
        let mut messages = Vec::new();
        for suite in unsigned {
            messages.push(seal(&writer, suite).await);
        }
        // Encrypting is local work.
        assert_eq!(kms.total_calls(), calls);
        for message in &messages {
            opens(&keyring, message).await;
        }
        assert_eq!(kms.total_calls(), calls + messages.len() as u64);
        let found = attempt(&writer, &messages[0]).await;
        assert_eq!(found, skipped("the keyring only encrypts"));
        // The other padding does not fit.
        let other = PADDINGS
            .into_iter()
            .find(|other| *other != padding)
            .unwrap();
        let (was_tried, reason) = attempt(&rsa(&kms, &arn, other).await, &messages[0]).await;
        assert!(
            was_tried && reason.contains("InvalidCiphertextException"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn rsa_refuses_suites_with_a_signature() {
    let kms = InMemoryKms::new();
    let arn = kms.create_key(REGION, KeySpec::Rsa2048).unwrap();
    let keyring = rsa(&kms, &arn, RsaPadding::OaepSha256).await;
    let calls = kms.total_calls();
    for suite in AlgorithmSuite::ALL
        .into_iter()
        .filter(|suite| suite.is_signed())
    {
        let error = encrypt(&keyring, b"hello", &sealing(suite))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().contains("ask for 0478"), "{error}");
        let (context, key) = (&context(), arn.to_string());
        let request = KeyRequest { suite, context };
        let keys = [EncryptedDataKey::new("aws-kms-rsa", key, [0; 256])];
        let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
        assert!(attempts[0].failed() && attempts[0].reason().contains("ask for 0478"));
    }
    assert_eq!(kms.total_calls(), calls);
}

#[tokio::test]
async fn rsa_binds_the_context() {
    let kms = InMemoryKms::new();
    let arn = kms.create_key(REGION, KeySpec::Rsa3072).unwrap();
    let keyring = rsa(&kms, &arn, RsaPadding::OaepSha256).await;
    let (suite, bound) = (UNSIGNED, &context());
    let request = KeyRequest {
        suite,
        context: bound,
    };
    let (data_key, keys) = keyring.generate_key(request).await.unwrap();
    let opened = keyring.unwrap_key(&keys, request).await.unwrap();
    assert_eq!(opened.data_key.expose(), data_key.expose());
    let other = &EncryptionContext::new([("tenant", "other")]).unwrap();
    for context in [other, &EncryptionContext::default()] {
        let request = KeyRequest { suite, context };
        let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
        assert!(attempts[0].failed());
        assert_eq!(
            attempts[0].reason(),
            "wrapped under another encryption context"
        );
    }
    // A data key of another length than the suite's.
    let suite = AlgorithmSuite::AES_128_GCM_IV12_TAG16_HKDF_SHA256;
    let request = KeyRequest {
        suite,
        context: bound,
    };
    let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
    assert!(attempts[0].reason().contains("the wrong length"));
}

#[tokio::test]
async fn rsa_opens_only_what_is_its_own() {
    let kms = InMemoryKms::new();
    let spec = KeySpec::Rsa2048;
    let here = kms.create_multi_region_key(REGION, spec.clone()).unwrap();
    let there = kms.replicate(&here, OTHER_REGION).unwrap();
    let other = kms.create_key(REGION, spec).unwrap();
    let padding = RsaPadding::OaepSha256;
    let message = seal(&rsa(&kms, &here, padding).await, UNSIGNED).await;
    opens(&rsa(&kms, &there, padding).await, &message).await;
    let found = attempt(&rsa(&kms, &other, padding).await, &message).await;
    assert_eq!(found, skipped("another key"));
    let keyring = rsa(&kms, &here, padding).await;
    let said = said_to_changed(&keyring, |key| {
        EncryptedDataKey::new("aws-kms", key.provider_info(), key.ciphertext())
    });
    assert_eq!(said.await, skipped("another provider"));
    let (was_tried, reason) = said_to_changed(&keyring, with_last_byte_changed).await;
    assert!(
        was_tried && reason.contains("InvalidCiphertextException"),
        "{reason}"
    );
    let (was_tried, reason) = said_to_changed(&keyring, |key| {
        EncryptedDataKey::new(key.provider_id(), "alias/a", key.ciphertext())
    })
    .await;
    assert!(
        was_tried && reason.starts_with("the KMS key id"),
        "{reason}"
    );
    kms.set_key_state(&here, KeyState::PendingDeletion).unwrap();
    let (was_tried, reason) = attempt(&keyring, &message).await;
    let expected = format!("kms:Decrypt with key {here} in eu-west-1: KMSInvalidStateException");
    assert!(was_tried && reason.starts_with(&expected), "{reason}");
}

#[tokio::test]
async fn rsa_is_made_only_of_what_fits() {
    let kms = InMemoryKms::new();
    let client = || kms.client(REGION);
    let arn = symmetric(&kms).to_string();
    for padding in RsaPadding::ALL {
        match Rsa::new(client(), &*arn, padding) {
            Ok(_) => assert!(PADDINGS.contains(&padding)),
            Err(KmsError::InvalidOption { what, .. }) => {
                assert_eq!(what, "the RSA padding");
                assert!(!PADDINGS.contains(&padding));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    for key_id in ["alias/a", "arn:aws:kms:eu-west-1:1:alias/a"] {
        let error = Rsa::new(client(), key_id, RsaPadding::OaepSha256).unwrap_err();
        assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{error:?}");
        let error = Rsa::fetch_public_key(client(), key_id, &[])
            .await
            .unwrap_err();
        assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{error:?}");
    }
    let keyring = Rsa::new(client(), &*arn, RsaPadding::OaepSha256).unwrap();
    let text = refused_to_seal(&keyring).await;
    assert!(text.contains("there is no public key"), "{text}");
    let error = Rsa::fetch_public_key(client(), &arn, &[])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, KmsError::Refused { code: Some(code), .. } if code == "UnsupportedOperationException"),
        "{error:?}"
    );
    let curve = kms.create_key(REGION, KeySpec::EccNistP256).unwrap();
    let error = Rsa::fetch_public_key(client(), curve.to_string(), &[])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key cannot be used: it is no RSA key"
    );
    kms.deny("GetPublicKey");
    let error = Rsa::fetch_public_key(client(), curve.to_string(), &[])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("allow kms:GetPublicKey to the caller"),
        "{error}"
    );
}

#[tokio::test]
async fn both_sides_of_an_agreement_open_every_suite() {
    let kms = InMemoryKms::new();
    for spec in CURVES {
        let mine = kms.create_key(REGION, spec.clone()).unwrap();
        let theirs = kms.create_key(OTHER_REGION, spec).unwrap();
        let (ours, peers) = (
            agreed(&kms, &mine, &theirs).await,
            agreed(&kms, &theirs, &mine).await,
        );
        let discovering = discovery(&kms, &theirs).await;
        for suite in AlgorithmSuite::ALL {
            let calls = kms.calls("DeriveSharedSecret");
            let message = seal(&ours, suite).await;
            opens(&peers, &message).await;
            opens(&ours, &message).await;
            opens(&discovering, &message).await;
            assert_eq!(kms.calls("DeriveSharedSecret"), calls + 4);
            // To whom it was sent is not who sent it.
            let message = seal(&peers, suite).await;
            let found = attempt(&discovering, &message).await;
            assert_eq!(found, skipped("to another key"));
        }
    }
}

#[tokio::test]
async fn keys_at_hand_and_keys_in_kms_agree() {
    let kms = InMemoryKms::new();
    for (spec, curve) in CURVES.into_iter().zip(EcCurve::ALL) {
        let arn = kms.create_key(REGION, spec).unwrap();
        let client = || kms.client(REGION);
        let point = Ecdh::fetch_public_key(client(), arn.to_string(), &[])
            .await
            .unwrap();
        let raw = EcPrivateKey::generate(curve).unwrap();
        let raw_point = raw.public_key().clone();
        let in_kms = Ecdh::between(client(), arn.to_string(), point.clone(), raw_point).unwrap();
        let at_hand = RawEcdh::between(raw, point.clone()).unwrap();
        let ephemeral = RawEcdh::ephemeral_to(point);
        opens(&at_hand, &seal(&in_kms, UNSIGNED).await).await;
        opens(&in_kms, &seal(&at_hand, UNSIGNED).await).await;
        let discovering = discovery(&kms, &arn).await;
        opens(&discovering, &seal(&at_hand, UNSIGNED).await).await;
        opens(&discovering, &seal(&ephemeral, UNSIGNED).await).await;
        let found = attempt(&in_kms, &seal(&ephemeral, UNSIGNED).await).await;
        assert_eq!(found, skipped("between other keys"));
    }
}

#[tokio::test]
async fn every_field_of_an_agreed_key_counts() {
    let kms = InMemoryKms::new();
    let mine = kms.create_key(REGION, KeySpec::EccNistP384).unwrap();
    let theirs = kms.create_key(REGION, KeySpec::EccNistP384).unwrap();
    let keyring = agreed(&kms, &mine, &theirs).await;
    let found = said_to_changed(&keyring, |key| {
        EncryptedDataKey::new("aws-kms", key.provider_info(), key.ciphertext())
    });
    assert_eq!(found.await, skipped("another provider"));
    let found = said_to_changed(&keyring, |key| {
        EncryptedDataKey::new(key.provider_id(), [1], key.ciphertext())
    });
    assert_eq!(found.await, skipped("between other keys"));
    let found = said_to_changed(&keyring, with_last_byte_changed).await;
    assert_eq!(found, failed("not authentic: tampered"));
    let found = said_to_changed(&keyring, |key| {
        let mut ciphertext = key.ciphertext().to_vec();
        ciphertext[0] ^= 1;
        EncryptedDataKey::new(key.provider_id(), key.provider_info(), ciphertext)
    });
    let differs =
        "the key commitment differs: another key, another encryption context, or tampered";
    assert_eq!(found.await, failed(differs));
    let (suite, bound) = (UNSIGNED, &context());
    let request = KeyRequest {
        suite,
        context: bound,
    };
    let (_, keys) = keyring.generate_key(request).await.unwrap();
    let context = &EncryptionContext::default();
    let request = KeyRequest { suite, context };
    let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
    assert_eq!(attempts[0].reason(), differs);
}

#[tokio::test]
async fn agreements_that_kms_refuses_say_so() {
    let kms = InMemoryKms::new();
    let mine = kms.create_key(REGION, KeySpec::EccNistP256).unwrap();
    let theirs = kms.create_key(REGION, KeySpec::EccNistP256).unwrap();
    let keyring = agreed(&kms, &mine, &theirs).await;
    let message = seal(&keyring, UNSIGNED).await;
    kms.set_key_state(&mine, KeyState::Disabled).unwrap();
    let expected =
        format!("kms:DeriveSharedSecret with key {mine} in eu-west-1: DisabledException");
    let (was_tried, reason) = attempt(&keyring, &message).await;
    assert!(was_tried && reason.starts_with(&expected), "{reason}");
    let text = refused_to_seal(&keyring).await;
    assert!(text.contains(&expected), "{text}");
    kms.set_key_state(&mine, KeyState::Enabled).unwrap();
    kms.deny("DeriveSharedSecret");
    let (_, reason) = attempt(&keyring, &message).await;
    assert!(
        reason.contains("allow kms:DeriveSharedSecret to the caller"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_agreement_is_made_only_of_what_fits() {
    let kms = InMemoryKms::new();
    let client = || kms.client(REGION);
    let arn = kms.create_key(REGION, KeySpec::EccNistP256).unwrap();
    let mine = Ecdh::fetch_public_key(client(), arn.to_string(), &[])
        .await
        .unwrap();
    let other = EcPrivateKey::generate(EcCurve::P384).unwrap();
    let theirs = other.public_key().clone();
    let error = Ecdh::between(client(), arn.to_string(), mine.clone(), theirs).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is on another curve than the key of KMS"),
        "{error}"
    );
    let error = Ecdh::discovery(client(), "alias/a", mine.clone()).unwrap_err();
    assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{error:?}");
    let keyring = Ecdh::discovery(client(), arn.to_string(), mine).unwrap();
    let text = refused_to_seal(&keyring).await;
    assert!(
        text.contains("a discovery keyring encrypts nothing"),
        "{text}"
    );
    // A point that is none is not sent to KMS.
    let me = Ecdh::fetch_public_key(client(), arn.to_string(), &[])
        .await
        .unwrap();
    let no_point = [[2; 1].as_slice(), &[0xff; 32]].concat();
    let parties = envelope::keyring::EcdhParties {
        sender: &no_point,
        recipient: me.to_bytes(),
    };
    let key = EncryptedDataKey::new("aws-kms-ecdh", parties.provider_info(), [0; 112]);
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let attempts = keyring.unwrap_key(&[key], request).await.unwrap_err();
    assert_eq!(
        attempts[0].reason(),
        "the sender's key is no point on the curve"
    );
    assert_eq!(kms.calls("DeriveSharedSecret"), 0);
    // Nor does an RSA key agree.
    let rsa = kms.create_key(REGION, KeySpec::Rsa2048).unwrap();
    let error = Ecdh::fetch_public_key(client(), rsa.to_string(), &[])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key cannot be used: it is no elliptic-curve key"
    );
}
