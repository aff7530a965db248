//! The hierarchical keyring: which branch key it uses, and at what cost.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptionRequest, EncryptedDataKey,
    EncryptionContext, ErrorKind, Keyring, MaterialsManager, encrypt,
};
use envelope_aws_kms::{BranchKeyIdSupplier, Hierarchical};
use support::branch_keys::{
    ACTIVE, ID, LIFETIME, Services, cost, keyring_of, started, text, version_of,
};
use support::{
    UNSIGNED, attempt, context, failed, opens, refused_to_seal, seal, sealing, skipped, strict,
    wrapped,
};

#[tokio::test]
async fn every_suite_is_written_and_read() {
    let (services, keyring, _) = started().await;
    let version = services.store().active(ID).await.unwrap();
    for suite in AlgorithmSuite::ALL {
        let message = seal(&keyring, suite).await;
        assert_eq!(version_of(&message), version.version());
        opens(&keyring, &message).await;
        // The version alone opens it too.
        opens(version.keyring(), &message).await;
    }
}

#[tokio::test]
async fn older_versions_still_open_and_the_newest_wraps() {
    let (services, keyring, clock) = started().await;
    let first = seal(&keyring, UNSIGNED).await;
    let version = services.store().create_version(ID).await.unwrap();
    // What is kept is used until its lifetime ends.
    let second = seal(&keyring, UNSIGNED).await;
    assert_eq!(version_of(&second), version_of(&first));
    clock.set(600);
    let third = seal(&keyring, UNSIGNED).await;
    assert_eq!(version_of(&third), version);
    assert_ne!(version_of(&third), version_of(&first));
    for message in [&first, &second, &third] {
        opens(&keyring, message).await;
        opens(&keyring_of(services.store(), ID).0, message).await;
    }
}

#[tokio::test]
async fn the_context_chooses_the_branch_key() {
    let (services, fixed, _) = started().await;
    let supplier = BranchKeyIdSupplier::value_of("tenant");
    let keyring = Hierarchical::new(services.store(), supplier, LIFETIME).unwrap();
    let rule = BranchKeyIdSupplier::from_fn(|context| match context.get("tenant") {
        Some("nobody") => Err("nobody has no branch key".to_owned()),
        Some("acme") => Ok("acme".to_owned()),
        _ => Ok("other".to_owned()),
    });
    let by_rule = Hierarchical::new(services.store(), rule, LIFETIME).unwrap();
    let message_of = async |keyring: &Hierarchical, tenant: &str| {
        let context = EncryptionContext::new([("tenant", tenant)]).unwrap();
        let options = sealing(UNSIGNED).with_context(context);
        encrypt(keyring, b"hello", &options).await
    };
    for tenant in ["acme", "other"] {
        let message = message_of(&keyring, tenant).await.unwrap();
        assert_eq!(wrapped(&message)[0].provider_info(), tenant.as_bytes());
        opens(&keyring, &message).await;
        opens(&by_rule, &message).await;
        let message = message_of(&by_rule, tenant).await.unwrap();
        opens(&keyring, &message).await;
    }
    // Another tenant's is not even tried.
    let message = message_of(&keyring, "other").await.unwrap();
    let said = cost(&services, async {
        let said = attempt(&fixed, &message).await;
        assert_eq!(said, skipped("another branch key"));
    });
    assert_eq!(said.await, (0, 0));
    // Whoever moves another tenant's wrapped key into its own context does not open it.
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let attempts = keyring.unwrap_key(&wrapped(&message), request).await;
    assert_eq!(attempts.unwrap_err()[0].reason(), "another branch key");

    // A context that names no id that there could be is the message's fault, not the caller's.
    let key = EncryptedDataKey::new("aws-kms-hierarchy", "", [0; 92].to_vec());
    let context = &EncryptionContext::new([("tenant", "")]).unwrap();
    let request = DecryptionRequest {
        suite,
        policy: CommitmentPolicy::default(),
        encrypted_data_keys: &[key],
        context,
        expected_context: &EncryptionContext::default(),
    };
    let calls = services.calls();
    let error = keyring.decryption_materials(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoKey, "{error}");
    assert_eq!(services.calls(), calls);

    let none = "the encryption context has no \"tenant\", which names the branch key";
    let options = sealing(UNSIGNED).with_context(EncryptionContext::default());
    let error = encrypt(&keyring, b"hello", &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains(none), "{error}");
    let message = encrypt(&fixed, b"hello", &options).await.unwrap();
    assert_eq!(attempt(&keyring, &message).await, failed(none));
    let error = message_of(&by_rule, "nobody").await.unwrap_err();
    assert!(
        error.to_string().contains("nobody has no branch key"),
        "{error}"
    );
    let error = message_of(&keyring, "unknown").await.unwrap_err();
    let expected = "branch key \"unknown\" has no item \"branch:ACTIVE\" in table table-1";
    assert!(error.to_string().contains(expected), "{error}");
    let error = message_of(&keyring, "").await.unwrap_err();
    let expected = "the branch key id must have 1 to 2048 bytes";
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn contexts_and_ids_may_be_any_text() {
    let services = Services::start().await;
    let id = "Mandant Ü 𝄢 | \u{0}/:";
    services.create(id).await;
    let (keyring, _) = keyring_of(services.store(), id);
    let context = EncryptionContext::new([("Schlüssel", "Wert 𝄢"), ("ﾉ", ""), ("", "ü")]);
    let options = sealing(UNSIGNED).with_context(context.unwrap());
    let message = encrypt(&keyring, b"hello", &options).await.unwrap();
    assert_eq!(wrapped(&message)[0].provider_info(), id.as_bytes());
    opens(&keyring, &message).await;
}

#[tokio::test]
async fn what_does_not_open_is_named() {
    let (services, keyring, _) = started().await;
    let message = seal(&strict(&services.kms, &services.key), UNSIGNED).await;
    assert_eq!(
        attempt(&keyring, &message).await,
        skipped("another provider")
    );

    let (suite, own) = (UNSIGNED, &context());
    let request = KeyRequest {
        suite,
        context: own,
    };
    let (_, keys) = keyring.generate_key(request).await.unwrap();
    let sound = keys[0].ciphertext().to_vec();
    assert_eq!(sound.len(), 92);
    let said = async |ciphertext: &[u8], context: &EncryptionContext| {
        let key = EncryptedDataKey::new("aws-kms-hierarchy", ID, ciphertext);
        let request = KeyRequest { suite, context };
        let attempts = keyring.unwrap_key(&[key], request).await.unwrap_err();
        assert_eq!(attempts[0].keyring(), "AWS KMS hierarchy, branch key acme");
        (attempts[0].failed(), attempts[0].reason().to_owned())
    };
    let short = cost(&services, async {
        for length in [0, 16, 28, 43] {
            let said = said(&sound[..length], own).await;
            assert_eq!(said, failed("the wrapped key is too short"));
        }
    });
    assert_eq!(short.await, (0, 0));
    let forged =
        failed("not authentic: another branch key, another encryption context, or tampered");
    for place in [0, 16, 44, 91] {
        let mut altered = sound.clone();
        altered[place] ^= 1;
        assert_eq!(said(&altered, own).await, forged, "byte {place}");
    }
    let other = EncryptionContext::new([("tenant", "acme")]).unwrap();
    assert_eq!(said(&sound, &other).await, forged);
    let length = failed("the wrapped key has the wrong length for the algorithm suite");
    assert_eq!(said(&sound[..91], own).await, length);
    let mut unknown = sound.clone();
    unknown[28..44].copy_from_slice(&[0xab; 16]);
    let unasked = cost(&services, async {
        let said = said(&unknown, own).await;
        let expected = "branch key \"acme\" has no item \
             \"branch:version:abababab-abab-abab-abab-abababababab\" in table table-1; it was \
             deleted, or never made";
        assert_eq!(said, failed(expected));
    });
    assert_eq!(unasked.await, (1, 0));
    let opened = keyring.unwrap_key(&keys, request).await;
    assert_eq!(opened.unwrap().index, 0);
}

#[tokio::test]
async fn an_altered_item_opens_nothing() {
    let (services, keyring, _) = started().await;
    let mut item = services.item(ID, ACTIVE);
    item.insert(
        "create-time".to_owned(),
        text("2026-01-01T00:00:00.000000Z"),
    );
    services.put(item);
    let error = refused_to_seal(&keyring).await;
    let expected = "branch key \"acme\", item \"branch:ACTIVE\": kms:Decrypt with key ";
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("InvalidCiphertextException"), "{error}");
}

#[tokio::test]
async fn signed_messages_cost_no_more() {
    let (services, keyring, _) = started().await;
    // Each has a public key in its context, which makes each context another one.
    let calls = cost(&services, async {
        for _ in 0..10 {
            let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
            opens(&keyring, &seal(&keyring, suite).await).await;
        }
    });
    // The active version, and the same by its name.
    assert_eq!(calls.await, (2, 2));
    let calls = services.kms.total_calls() - services.kms.calls("Decrypt");
    assert_eq!(calls, 6, "making two branch keys");
}

#[tokio::test]
async fn a_data_key_is_wrapped_anew_for_each_message() {
    let (_, keyring, _) = started().await;
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let data_key = DataKey::generate(suite).unwrap();
    let one = keyring.wrap_key(&data_key, request).await.unwrap();
    let two = keyring.wrap_key(&data_key, request).await.unwrap();
    // Salt and initialisation vector are random.
    assert_ne!(one[0].ciphertext()[..28], two[0].ciphertext()[..28]);
    assert_ne!(one[0].ciphertext()[44..], two[0].ciphertext()[44..]);
    for keys in [one, two] {
        let opened = keyring.unwrap_key(&keys, request).await.unwrap();
        assert_eq!(opened.data_key.expose(), data_key.expose());
    }
}
