//! Keyrings of symmetric keys of KMS: what they write and open, and what they refuse.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use aws_sdk_kms::types::KeyState;
use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, DataKey, DecryptOptions, EncryptedDataKey, EncryptionContext, ErrorKind,
    Keyring, Multi, encrypt,
};
use envelope_aws_kms::test_util::InMemoryKms;
use envelope_aws_kms::{
    Discovery, DiscoveryFilter, KmsError, MultiRegion, MultiRegionDiscovery, Strict,
};
use support::{
    ACCOUNT, OTHER_REGION, REGION, UNSIGNED, attempt, attempts, attempts_with, context, discovery,
    failed, filter, multi_region, multi_region_discovery, opens, refused_to_seal, replicas, seal,
    sealing, skipped, strict, supplier, symmetric, wrapped,
};

/// What the keyring says to one encrypted data key.
async fn said(keyring: &dyn Keyring, key: EncryptedDataKey) -> (bool, String) {
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let attempts = keyring.unwrap_key(&[key], request).await.unwrap_err();
    assert_eq!(attempts.len(), 1);
    (attempts[0].failed(), attempts[0].reason().to_owned())
}

#[tokio::test]
async fn every_keyring_opens_every_suite_that_it_may() {
    let kms = InMemoryKms::new();
    let (primary, _) = replicas(&kms);
    let key = symmetric(&kms);
    for suite in AlgorithmSuite::ALL {
        let message = seal(&strict(&kms, &key), suite).await;
        let keys = wrapped(&message);
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].provider_id(), "aws-kms");
        assert_eq!(keys[0].provider_info(), key.to_string().as_bytes());
        opens(&strict(&kms, &key), &message).await;
        opens(&multi_region(&kms, &key), &message).await;
        opens(&discovery(&kms, REGION), &message).await;
        opens(&multi_region_discovery(&kms, REGION), &message).await;
        // One that exists already is wrapped with `Encrypt`.
        let both = Multi::generate_with(strict(&kms, &key)).and(multi_region(&kms, &primary));
        let message = seal(&both, suite).await;
        assert_eq!(wrapped(&message).len(), 2);
        opens(&strict(&kms, &key), &message).await;
        opens(&multi_region(&kms, &primary), &message).await;
    }
    let suites = AlgorithmSuite::ALL.len() as u64;
    assert_eq!(kms.calls("GenerateDataKey"), 2 * suites);
    assert_eq!(kms.calls("Encrypt"), suites);
    assert_eq!(kms.calls("Decrypt"), 6 * suites);
}

#[tokio::test]
async fn the_context_is_bound_to_the_key() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms);
    let keyring = strict(&kms, &key);
    let options = sealing(UNSIGNED);
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
            format!(
                "kms:Decrypt with key {key} in eu-west-1: InvalidCiphertextException: wrapped under \
                 another encryption context or by no key of KMS, or tampered with \
                 (request in-memory-{})",
                kms.total_calls()
            )
        );
        assert_eq!(attempts[0].keyring(), format!("AWS KMS {key}"));
    }
    // Through the whole message, where the reader knows what was never stored.
    let message = encrypt(&keyring, b"hello", &options).await.unwrap();
    let more = EncryptionContext::new([("never", "written")]).unwrap();
    let options = DecryptOptions::default().expect_context(more);
    let attempts = attempts_with(&keyring, &message, &options).await;
    assert!(attempts[0].reason().contains("InvalidCiphertextException"));
}

#[tokio::test]
async fn aliases_and_ids_encrypt_and_never_decrypt() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms);
    let alias = kms.create_alias("alias/invoices", &key).unwrap();
    for key_id in [&*alias.to_string(), "alias/invoices", key.id()] {
        let keyring = Strict::new(kms.client(REGION), key_id).unwrap();
        let message = seal(&keyring, UNSIGNED).await;
        // The message names the key, not the alias.
        assert_eq!(
            wrapped(&message)[0].provider_info(),
            key.to_string().as_bytes()
        );
        opens(&strict(&kms, &key), &message).await;
        let calls = kms.calls("Decrypt");
        let (was_tried, reason) = attempt(&keyring, &message).await;
        assert!(
            !was_tried && reason.contains("name the key by its ARN"),
            "{reason}"
        );
        let keyring = MultiRegion::new(kms.client(REGION), key_id).unwrap();
        let (was_tried, reason) = attempt(&keyring, &message).await;
        assert!(
            !was_tried && reason.contains("name the key by its ARN"),
            "{reason}"
        );
        assert_eq!(kms.calls("Decrypt"), calls);
    }
}

#[tokio::test]
async fn malformed_key_ids_are_refused_when_the_keyring_is_made() {
    let kms = InMemoryKms::new();
    let error = Strict::new(kms.client(REGION), " ").unwrap_err();
    assert!(matches!(error, KmsError::EmptyKeyId), "{error:?}");
    for key_id in ["arn:aws:kms:eu-west-1:1:key", "key/1234", "alias/", "a b"] {
        for error in [
            Strict::new(kms.client(REGION), key_id).unwrap_err(),
            MultiRegion::new(kms.client(REGION), key_id).unwrap_err(),
        ] {
            assert!(
                matches!(&error, KmsError::InvalidKeyId { key_id: found, .. } if found == key_id),
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_the_keys_own_is_skipped_without_a_call() {
    let kms = InMemoryKms::new();
    let (key, other) = (symmetric(&kms), symmetric(&kms));
    let message = seal(&strict(&kms, &other), UNSIGNED).await;
    let calls = kms.total_calls();
    assert_eq!(
        attempt(&strict(&kms, &key), &message).await,
        skipped("another key")
    );
    let raw = EncryptedDataKey::new("acme", "2026-11", [0; 60]);
    for keyring in [
        Box::new(strict(&kms, &key)) as Box<dyn Keyring>,
        Box::new(multi_region(&kms, &key)),
        Box::new(discovery(&kms, REGION)),
        Box::new(multi_region_discovery(&kms, REGION)),
    ] {
        assert_eq!(
            said(&*keyring, raw.clone()).await,
            skipped("another provider")
        );
        // What names no key is an error, not another key.
        for info in [
            "alias/invoices",
            "arn:aws:kms:eu-west-1:1:alias/a",
            "\n",
            "",
        ] {
            let key = EncryptedDataKey::new("aws-kms", info, [0; 60]);
            let (was_tried, reason) = said(&*keyring, key).await;
            assert!(
                was_tried && reason.starts_with("the KMS key id "),
                "{reason}"
            );
            assert!(!reason.contains('\n'), "{reason:?}");
        }
        let key = EncryptedDataKey::new("aws-kms", [0xff], [0; 60]);
        let reason = failed("its provider info is no text");
        assert_eq!(said(&*keyring, key).await, reason);
    }
    assert_eq!(kms.total_calls(), calls);
}

#[tokio::test]
async fn another_keys_ciphertext_is_refused() {
    let kms = InMemoryKms::new();
    let (key, other) = (symmetric(&kms), symmetric(&kms));
    let message = seal(&strict(&kms, &other), UNSIGNED).await;
    let ciphertext = wrapped(&message)[0].ciphertext().to_vec();
    let lying = EncryptedDataKey::new("aws-kms", key.to_string(), ciphertext);
    for keyring in [
        Box::new(strict(&kms, &key)) as Box<dyn Keyring>,
        Box::new(discovery(&kms, REGION)),
    ] {
        let (was_tried, reason) = said(&*keyring, lying.clone()).await;
        assert!(was_tried);
        assert!(
            reason.contains("IncorrectKeyException: wrapped by another key"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn keys_that_may_not_be_used_say_so() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms);
    let keyring = strict(&kms, &key);
    let message = seal(&keyring, UNSIGNED).await;
    for (state, code) in [
        (
            KeyState::Disabled,
            "DisabledException: the key is disabled; enable it",
        ),
        (
            KeyState::PendingDeletion,
            "KMSInvalidStateException: the key's state does not allow it, as while it waits for its deletion",
        ),
    ] {
        kms.set_key_state(&key, state).unwrap();
        let calls = kms.total_calls();
        let (was_tried, reason) = attempt(&keyring, &message).await;
        let expected = format!("kms:Decrypt with key {key} in eu-west-1: {code} (request ");
        assert!(was_tried && reason.starts_with(&expected), "{reason}");
        let reason = refused_to_seal(&keyring).await;
        let expected = format!("kms:GenerateDataKey with key {key} in eu-west-1: {code}");
        assert!(reason.contains(&expected), "{reason}");
        // Trying again cannot help, so each was one request.
        assert_eq!(kms.total_calls(), calls + 2);
    }
    kms.set_key_state(&key, KeyState::Enabled).unwrap();
    opens(&keyring, &message).await;
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms);
    let keyring = strict(&kms, &key);
    let message = seal(&keyring, UNSIGNED).await;
    for operation in ["GenerateDataKey", "Encrypt", "Decrypt"] {
        kms.deny(operation);
    }
    let denied = |operation: &str| {
        format!(
            "kms:{operation} with key {key} in eu-west-1: AccessDeniedException: allow \
             kms:{operation} to the caller"
        )
    };
    let (_, reason) = attempt(&keyring, &message).await;
    assert!(reason.starts_with(&denied("Decrypt")), "{reason}");
    let reason = refused_to_seal(&keyring).await;
    assert!(reason.contains(&denied("GenerateDataKey")), "{reason}");
    let data_key = DataKey::generate(UNSIGNED).unwrap();
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let error = keyring.wrap_key(&data_key, request).await.unwrap_err();
    assert!(error.to_string().contains(&denied("Encrypt")), "{error}");
}

#[tokio::test]
async fn a_context_beyond_kms_is_refused() {
    let kms = InMemoryKms::new();
    let keyring = strict(&kms, &symmetric(&kms));
    let large = EncryptionContext::new([("k", "v".repeat(8192))]).unwrap();
    let options = sealing(UNSIGNED).with_context(large);
    let error = encrypt(&keyring, b"hello", &options).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("ValidationException: KMS takes no such value"),
        "{text}"
    );
    assert!(!text.contains("vvv"), "{text}");
    assert_eq!(kms.total_calls(), 1);
    let tokens = (0..11).map(|number| number.to_string());
    let keyring = keyring.with_grant_tokens(tokens);
    let text = refused_to_seal(&keyring).await;
    assert!(text.contains("ValidationException"), "{text}");
}

#[tokio::test]
async fn a_client_of_another_region_does_not_find_the_key() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms);
    let message = seal(&strict(&kms, &key), UNSIGNED).await;
    let elsewhere = Strict::new(kms.client(OTHER_REGION), key.to_string()).unwrap();
    let (was_tried, reason) = attempt(&elsewhere, &message).await;
    let expected =
        format!("kms:Decrypt with key {key} in us-east-1: NotFoundException: there is no");
    assert!(was_tried && reason.starts_with(&expected), "{reason}");
    let calls = kms.total_calls();
    let found = attempt(&discovery(&kms, OTHER_REGION), &message).await;
    assert_eq!(found, skipped("another region"));
    let found = attempt(&multi_region_discovery(&kms, OTHER_REGION), &message).await;
    assert_eq!(found, skipped("another region, and no multi-region key"));
    assert_eq!(kms.total_calls(), calls);
}

#[tokio::test]
async fn a_filter_keeps_discovery_to_its_accounts() {
    let kms = InMemoryKms::new();
    let theirs = symmetric(&kms.in_account("444455556666"));
    let message = seal(&strict(&kms, &theirs), UNSIGNED).await;
    let calls = kms.total_calls();
    let china = DiscoveryFilter::new("aws-cn", ["444455556666"]).unwrap();
    let clients = || {
        (
            kms.client(REGION),
            MultiRegionDiscovery::new(kms.client(REGION)),
        )
    };
    for (filter, reason) in [
        (filter(), "its account is outside the discovery filter"),
        (china, "its partition is outside the discovery filter"),
    ] {
        let (client, multi_region) = clients();
        let keyring = Discovery::new(client).with_filter(filter.clone());
        assert_eq!(attempt(&keyring, &message).await, skipped(reason));
        let keyring = multi_region.unwrap().with_filter(filter);
        assert_eq!(attempt(&keyring, &message).await, skipped(reason));
    }
    assert_eq!(kms.total_calls(), calls);
    let both = DiscoveryFilter::new("aws", [ACCOUNT, "444455556666"]).unwrap();
    let (client, multi_region) = clients();
    opens(&Discovery::new(client.clone()), &message).await;
    opens(&Discovery::new(client).with_filter(both), &message).await;
    opens(&multi_region.unwrap(), &message).await;
    for (partition, accounts) in [("", vec!["1"]), ("aws", vec![]), ("aws", vec!["1", ""])] {
        let error = DiscoveryFilter::new(partition, accounts).unwrap_err();
        assert!(matches!(
            error,
            KmsError::InvalidOption {
                what: "the discovery filter",
                ..
            }
        ));
    }
}

#[tokio::test]
async fn discovery_encrypts_nothing() {
    let kms = InMemoryKms::new();
    for keyring in [
        Box::new(discovery(&kms, REGION)) as Box<dyn Keyring>,
        Box::new(multi_region_discovery(&kms, REGION)),
    ] {
        let sealed = encrypt(&*keyring, b"hello", &sealing(UNSIGNED)).await;
        let error = sealed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().contains("encrypts nothing"), "{error}");
    }
    assert_eq!(kms.total_calls(), 0);
}

#[tokio::test]
async fn every_encrypted_data_key_has_its_reason() {
    let kms = InMemoryKms::new();
    let (key, other) = (symmetric(&kms), symmetric(&kms));
    let both = Strict::multi(&supplier(&kms), key.to_string(), [other.to_string()]).unwrap();
    let message = seal(&both, UNSIGNED).await;
    kms.set_key_state(&key, KeyState::Disabled).unwrap();
    kms.set_key_state(&other, KeyState::PendingDeletion)
        .unwrap();
    let found = attempts(&discovery(&kms, REGION), &message).await;
    let found: Vec<_> = found
        .iter()
        .map(|attempt| (attempt.index(), attempt.failed(), attempt.reason()))
        .collect();
    assert_eq!(found.len(), 2);
    assert!(
        matches!(&found[0], (0, true, reason) if reason.contains(&key.to_string())
        && reason.contains("DisabledException"))
    );
    assert!(
        matches!(&found[1], (1, true, reason) if reason.contains(&other.to_string())
        && reason.contains("KMSInvalidStateException"))
    );
    kms.set_key_state(&key, KeyState::Enabled).unwrap();
    opens(&discovery(&kms, REGION), &message).await;
}
