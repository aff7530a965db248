//! What is bad is refused with its reason, in one call or none, and no text holds a secret.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::num::NonZeroUsize;

use aws_sdk_kms::types::KeyState;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::{Attempt, KeyRequest};
use envelope::{DataKey, EncryptedDataKey, EncryptionContext, Keyring};
use envelope_aws_kms::test_util::InMemoryKms;
use envelope_aws_kms::{
    Arn, Discovery, KmsError, KmsKey, MultiRegion, MultiRegionDiscovery, Strict,
};
use support::{
    OTHER_REGION, REGION, UNSIGNED, context, discovery, multi_region, multi_region_discovery,
    strict, symmetric,
};

/// A KMS with a key, and a data key that it wrapped.
struct Wrapped {
    kms: InMemoryKms,
    arn: Arn,
    data_key: DataKey,
    key: EncryptedDataKey,
}

impl Wrapped {
    async fn new() -> Self {
        let kms = InMemoryKms::new();
        let arn = symmetric(&kms);
        let (suite, context) = (UNSIGNED, &context());
        let request = KeyRequest { suite, context };
        let generated = strict(&kms, &arn).generate_key(request).await;
        let (data_key, mut keys) = generated.unwrap();
        Self {
            kms,
            arn,
            data_key,
            key: keys.remove(0),
        }
    }

    /// Every keyring that would open it.
    fn keyrings(&self) -> [Box<dyn Keyring>; 4] {
        let Self { kms, arn, .. } = self;
        [
            Box::new(strict(kms, arn)),
            Box::new(multi_region(kms, arn)),
            Box::new(discovery(kms, REGION)),
            Box::new(multi_region_discovery(kms, REGION)),
        ]
    }

    fn with_ciphertext(&self, ciphertext: Vec<u8>) -> EncryptedDataKey {
        EncryptedDataKey::new(self.key.provider_id(), self.key.provider_info(), ciphertext)
    }

    fn holds_no_secret(&self, text: &str) {
        let secret = self.data_key.expose();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{secret:?}").replace(['[', ']'], "");
        for secret in [STANDARD.encode(secret), hex, list] {
            assert!(!text.contains(&secret), "{text}");
        }
    }

    /// The keyring tries the key once, and fails for this reason.
    async fn fails(
        &self,
        keyring: &dyn Keyring,
        key: EncryptedDataKey,
        context: &EncryptionContext,
        reason: &str,
    ) {
        let suite = UNSIGNED;
        let request = KeyRequest { suite, context };
        let calls = self.kms.total_calls();
        let attempts = keyring.unwrap_key(&[key], request).await.unwrap_err();
        assert_eq!(self.kms.total_calls(), calls + 1);
        assert_eq!(attempts.len(), 1);
        let attempt = &attempts[0];
        assert!(attempt.failed(), "{attempt:?}");
        let text = attempt.reason();
        assert!(text.starts_with("kms:Decrypt with key "), "{text}");
        assert!(text.contains(reason), "{text}");
        self.holds_no_secret(&format!("{attempt:?} {text} {keyring:?}"));
    }
}

#[tokio::test]
async fn ciphertexts_that_are_no_wrapped_keys_of_the_key() {
    let wrapped = Wrapped::new().await;
    let other = Wrapped::new().await;
    let second = symmetric(&wrapped.kms);
    let of_second = {
        let (suite, context) = (UNSIGNED, &context());
        let request = KeyRequest { suite, context };
        let keyring = strict(&wrapped.kms, &second);
        let keys = keyring.wrap_key(&wrapped.data_key, request).await.unwrap();
        keys[0].ciphertext().to_vec()
    };
    let mut changed = wrapped.key.ciphertext().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let invalid = "InvalidCiphertextException: wrapped under another encryption context or by no";
    for (ciphertext, reason) in [
        (of_second, "IncorrectKeyException: wrapped by another key"),
        // Of another KMS, for one that no key of this one wrapped.
        (other.key.ciphertext().to_vec(), invalid),
        (changed, invalid),
        (wrapped.key.ciphertext()[..20].to_vec(), invalid),
        (vec![0; 6144], invalid),
        (
            vec![0; 6145],
            "ValidationException: KMS takes no such value",
        ),
        (Vec::new(), "ValidationException: KMS takes no such value"),
    ] {
        for keyring in wrapped.keyrings() {
            let key = wrapped.with_ciphertext(ciphertext.clone());
            wrapped.fails(&*keyring, key, &context(), reason).await;
        }
        let key = KmsKey::new(wrapped.kms.client(REGION), wrapped.arn.to_string()).unwrap();
        let error = key.decrypt(&ciphertext, &context()).await.unwrap_err();
        let (code, _) = reason.split_once(':').unwrap();
        assert!(
            matches!(&error, KmsError::Refused { code: Some(found), .. } if found == code),
            "{error:?}"
        );
        wrapped.holds_no_secret(&format!("{error} {error:?}"));
    }
}

#[tokio::test]
async fn contexts_that_kms_does_not_take() {
    let wrapped = Wrapped::new().await;
    // {"k":"…"} has 8 bytes around the value.
    let fits = EncryptionContext::new([("k", "v".repeat(8192 - 8))]).unwrap();
    let too_long = EncryptionContext::new([("k", "v".repeat(8193 - 8))]).unwrap();
    let invalid = "ValidationException: KMS takes no such value, as more than 10 grant tokens or a \
                   context of over 8192 bytes";
    for keyring in wrapped.keyrings() {
        let key = wrapped.key.clone();
        wrapped.fails(&*keyring, key, &too_long, invalid).await;
        let key = wrapped.key.clone();
        let another = "InvalidCiphertextException: wrapped under another encryption context";
        wrapped.fails(&*keyring, key, &fits, another).await;
    }
    for keyring in wrapped.keyrings().into_iter().take(2) {
        let (suite, context) = (UNSIGNED, &too_long);
        let request = KeyRequest { suite, context };
        let calls = wrapped.kms.total_calls();
        let generated = keyring.generate_key(request).await.unwrap_err();
        let wrapping = keyring.wrap_key(&wrapped.data_key, request).await;
        assert_eq!(wrapped.kms.total_calls(), calls + 2);
        for error in [generated, wrapping.unwrap_err()] {
            let text = format!("{error} {error:?}");
            assert!(text.contains(invalid) && !text.contains("vvv"), "{text}");
            wrapped.holds_no_secret(&text);
        }
        let context = &fits;
        let request = KeyRequest { suite, context };
        let (_, keys) = keyring.generate_key(request).await.unwrap();
        assert!(keyring.unwrap_key(&keys, request).await.is_ok());
    }
}

#[tokio::test]
async fn keys_of_another_region_or_account() {
    let wrapped = Wrapped::new().await;
    let (arn, kms) = (&wrapped.arn, &wrapped.kms);
    // The message names the key as its own, in a place where there is none.
    let elsewhere = arn.in_region(OTHER_REGION);
    let stranger = arn.to_string().replace(arn.account(), "999999999999");
    let client = || kms.client(REGION);
    let missing = "NotFoundException: there is no such key or alias in this account and region";
    for (region, name) in [
        (OTHER_REGION, arn.to_string()),
        (OTHER_REGION, elsewhere.to_string()),
        (REGION, stranger),
    ] {
        let client = || kms.client(region);
        for keyring in [
            Box::new(Strict::new(client(), &*name).unwrap()) as Box<dyn Keyring>,
            Box::new(MultiRegion::new(client(), &*name).unwrap()),
        ] {
            let key = EncryptedDataKey::new("aws-kms", &*name, wrapped.key.ciphertext());
            let there = format!(" in {region}: {missing}");
            wrapped.fails(&*keyring, key, &context(), &there).await;
            let (suite, context) = (UNSIGNED, &context());
            let request = KeyRequest { suite, context };
            let calls = kms.total_calls();
            let error = keyring.generate_key(request).await.unwrap_err();
            assert_eq!(kms.total_calls(), calls + 1);
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
    // Without a filter a stranger's key is asked for, and once only.
    let stranger = arn.to_string().replace(arn.account(), "999999999999");
    for keyring in [
        Box::new(Discovery::new(client())) as Box<dyn Keyring>,
        Box::new(MultiRegionDiscovery::new(client()).unwrap()),
    ] {
        let key = EncryptedDataKey::new("aws-kms", &*stranger, wrapped.key.ciphertext());
        wrapped.fails(&*keyring, key, &context(), missing).await;
    }
    // With one it is not asked for at all.
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let calls = kms.total_calls();
    let key = EncryptedDataKey::new("aws-kms", &*stranger, wrapped.key.ciphertext());
    for keyring in [
        Box::new(discovery(kms, REGION)) as Box<dyn Keyring>,
        Box::new(multi_region_discovery(kms, REGION)),
    ] {
        let keys = [key.clone()];
        let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
        assert!(!attempts[0].failed(), "{attempts:?}");
        assert_eq!(
            attempts[0].reason(),
            "its account is outside the discovery filter"
        );
    }
    assert_eq!(kms.total_calls(), calls);
}

const LIMIT: &str = "the keyring tried as many others as it may before";

#[tokio::test]
async fn a_hostile_message_costs_twenty_calls_at_most() {
    let wrapped = Wrapped::new().await;
    let mut changed = wrapped.key.ciphertext().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let keys = vec![wrapped.with_ciphertext(changed); 50];
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    for keyring in wrapped.keyrings() {
        let calls = wrapped.kms.total_calls();
        let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
        assert_eq!(wrapped.kms.total_calls(), calls + 20);
        let (tried, skipped) = attempts.split_at(20);
        assert!(tried.iter().all(Attempt::failed));
        assert_eq!(skipped.len(), 30);
        for attempt in skipped {
            assert!(!attempt.failed());
            assert_eq!(attempt.reason(), LIMIT);
        }
    }
    // The good one is found behind nineteen.
    let mut keys = keys[..19].to_vec();
    keys.push(wrapped.key.clone());
    let keyring = strict(&wrapped.kms, &wrapped.arn);
    let opened = keyring.unwrap_key(&keys, request).await.unwrap();
    assert_eq!(opened.index, 19);
    assert_eq!(opened.data_key.expose(), wrapped.data_key.expose());
}

#[tokio::test]
async fn a_message_for_more_accounts_opens_where_more_are_tried() {
    let kms = InMemoryKms::new();
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let data_key = DataKey::generate(suite).unwrap();
    let mut keys = Vec::new();
    for account in 0..24 {
        let account = kms.in_account(format!("{account:012}"));
        let arn = symmetric(&account);
        let wrapped = strict(&kms, &arn).wrap_key(&data_key, request).await;
        keys.extend(wrapped.unwrap());
        // The reader may use the last one alone.
        if keys.len() < 24 {
            kms.set_key_state(&arn, KeyState::Disabled).unwrap();
        }
    }
    let tries = |number| NonZeroUsize::new(number).unwrap();
    let one = || Discovery::new(kms.client(REGION));
    let replicas = || MultiRegionDiscovery::new(kms.client(REGION)).unwrap();
    let by_default: [Box<dyn Keyring>; 2] = [Box::new(one()), Box::new(replicas())];
    for keyring in by_default {
        let calls = kms.calls("Decrypt");
        let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
        assert_eq!(kms.calls("Decrypt"), calls + 20);
        assert_eq!(attempts.len(), 24);
        let (tried, skipped) = attempts.split_at(20);
        assert!(tried.iter().all(Attempt::failed));
        for attempt in skipped {
            assert!(!attempt.failed());
            assert_eq!(attempt.reason(), LIMIT);
        }
    }
    let with_more: [Box<dyn Keyring>; 2] = [
        Box::new(one().with_maximum_tries(tries(24))),
        Box::new(replicas().with_maximum_tries(tries(24))),
    ];
    for keyring in with_more {
        let calls = kms.calls("Decrypt");
        let opened = keyring.unwrap_key(&keys, request).await.unwrap();
        assert_eq!(kms.calls("Decrypt"), calls + 24);
        assert_eq!(opened.index, 23);
        assert_eq!(opened.data_key.expose(), data_key.expose());
    }
    // As many as are allowed, and no more.
    let almost = one().with_maximum_tries(tries(23));
    let attempts = almost.unwrap_key(&keys, request).await.unwrap_err();
    assert_eq!(
        attempts.iter().filter(|attempt| attempt.failed()).count(),
        23
    );
    assert_eq!(attempts[23].reason(), LIMIT);
}
