//! Managers that demand context, and what is asked of any manager.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptionMaterials, DecryptionRequest,
    EncryptOptions, EncryptedDataKey, EncryptionContext, EncryptionMaterials, EncryptionRequest,
    Error, ErrorKind, Keyring, MaterialsManager, RawAes, RequiredEncryptionContext,
    UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;

const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

fn raw(name: &str) -> RawAes {
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    RawAes::new("acme", name, key).unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::new(pairs.iter().copied()).unwrap()
}

#[test]
fn required_pairs_are_bound_and_not_stored() {
    for suite in AlgorithmSuite::ALL {
        let manager = RequiredEncryptionContext::new(raw("key"), ["secret"]).unwrap();
        let whole = context(&[("secret", "1"), ("stored", "2")]);
        let sealing = support::sealing(suite).with_context(whole.clone());
        let message = blocking::encrypt(&manager, b"text", &sealing).unwrap();
        let header = UnverifiedHeader::parse_whole(&message, &support::opening()).unwrap();
        let stored = header.claims().context();
        assert_eq!(
            (stored.get("secret"), stored.get("stored")),
            (None, Some("2"))
        );
        assert_eq!(stored.len(), 1 + usize::from(suite.is_signed()));

        let open = |manager: &dyn MaterialsManager, pairs: &[(&str, &str)]| {
            let opening = support::opening().expect_context(context(pairs));
            blocking::decrypt(manager, &message, &opening)
        };
        // With the pair, the plain keyring opens it too.
        for manager in [&manager as &dyn MaterialsManager, &raw("key")] {
            let opened = open(manager, &[("secret", "1")]).unwrap();
            assert_eq!(opened.plaintext, b"text");
            assert_eq!(opened.context.get("secret"), Some("1"));
            let wrong = open(manager, &[("secret", "2")]).unwrap_err();
            assert_eq!(wrong.kind(), ErrorKind::NotAuthentic);
        }
        assert!(matches!(
            open(&manager, &[]),
            Err(Error::RequiredContextKeyMissing { key }) if key == "secret"
        ));
        assert_eq!(open(&raw("key"), &[]).unwrap_err().kind(), ErrorKind::NoKey);
    }
}

#[test]
fn a_key_that_is_demanded_must_be_given() {
    let manager = RequiredEncryptionContext::new(raw("key"), ["a", "b"]).unwrap();
    let sealing = EncryptOptions::default().with_context(context(&[("a", "1")]));
    assert!(matches!(
        blocking::encrypt(&manager, b"", &sealing),
        Err(Error::RequiredContextKeyMissing { key }) if key == "b"
    ));
    assert!(matches!(
        RequiredEncryptionContext::new(raw("key"), [] as [&str; 0]),
        Err(Error::InvalidOption { .. })
    ));
    assert!(matches!(
        RequiredEncryptionContext::new(raw("key"), ["aws-crypto-public-key"]),
        Err(Error::ReservedContextKey { .. })
    ));
}

// Managers that break the rules

/// Asks for something else than it was asked for.
struct Meddling {
    inner: RawAes,
    suite: Option<AlgorithmSuite>,
    policy: CommitmentPolicy,
    context: Option<EncryptionContext>,
}

#[async_trait]
impl MaterialsManager for Meddling {
    async fn encryption_materials(
        &self,
        request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials, Error> {
        let request = EncryptionRequest {
            suite: self.suite.or(request.suite),
            policy: self.policy,
            context: self.context.as_ref().unwrap_or(request.context),
            ..request
        };
        self.inner.encryption_materials(request).await
    }

    async fn decryption_materials(
        &self,
        request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials, Error> {
        let request = DecryptionRequest {
            suite: self.suite.unwrap_or(request.suite),
            policy: self.policy,
            context: self.context.as_ref().unwrap_or(request.context),
            ..request
        };
        self.inner.decryption_materials(request).await
    }
}

fn meddling(suite: Option<AlgorithmSuite>, policy: CommitmentPolicy) -> Meddling {
    Meddling {
        inner: raw("key"),
        suite,
        policy,
        context: None,
    }
}

/// The reason why materials are refused.
fn inconsistent<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(error @ Error::InconsistentMaterials { reason }) => {
            assert_eq!(
                error.to_string(),
                format!("the materials are inconsistent: {reason}")
            );
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn materials_are_held_against_the_request() {
    let version_1 = AlgorithmSuite::AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    let allowing = CommitmentPolicy::RequireEncryptAllowDecrypt;
    let forbidding = CommitmentPolicy::ForbidEncryptAllowDecrypt;
    let default = EncryptOptions::default();
    let seal = |manager: &dyn MaterialsManager, options: &EncryptOptions| {
        blocking::encrypt(manager, b"text", options)
    };
    // A suite that the policy forbids, and one that was not asked for.
    let manager = meddling(Some(version_1), forbidding);
    assert!(matches!(
        seal(&manager, &default),
        Err(Error::PolicyForbidsEncrypt { suite, .. }) if suite == version_1
    ));
    let manager = meddling(Some(UNSIGNED), allowing);
    let signed = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    assert_eq!(
        inconsistent(seal(&manager, &default.clone().with_suite(signed))),
        "they are for another algorithm suite than the one asked for"
    );
    // On reading, the same two.
    let message = seal(&raw("key"), &default.clone().with_suite(UNSIGNED)).unwrap();
    let open =
        |manager: &dyn MaterialsManager, options| blocking::decrypt(manager, &message, &options);
    let strict = || envelope::DecryptOptions::default();
    let manager = meddling(Some(version_1), forbidding);
    assert!(matches!(
        open(&manager, strict()),
        Err(Error::PolicyForbidsDecrypt { suite, .. }) if suite == version_1
    ));
    assert_eq!(
        inconsistent(open(&manager, support::opening())),
        "they are for another algorithm suite than the message"
    );
    // A required key that the inner manager drops.
    let dropping = || Meddling {
        context: Some(EncryptionContext::default()),
        ..meddling(None, allowing)
    };
    let manager = RequiredEncryptionContext::new(dropping(), ["a"]).unwrap();
    let options = default.clone().with_context(context(&[("a", "1")]));
    assert_eq!(
        inconsistent(seal(&manager, &options)),
        "a required encryption-context key is missing from them"
    );
}

#[test]
fn a_keyring_without_keys_writes_nothing() {
    #[derive(Debug)]
    struct Silent(usize, usize);

    #[async_trait]
    impl Keyring for Silent {
        async fn wrap_key(
            &self,
            _: &DataKey,
            _: KeyRequest<'_>,
        ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
            Ok(vec![
                EncryptedDataKey::new("p", vec![0; self.1], []);
                self.0
            ])
        }

        async fn unwrap_key(
            &self,
            _: &[EncryptedDataKey],
            _: KeyRequest<'_>,
        ) -> Result<Unwrapped, Vec<Attempt>> {
            Err(Vec::new())
        }
    }
    let seal =
        |count, length| blocking::encrypt(&Silent(count, length), b"", &EncryptOptions::default());
    assert_eq!(
        inconsistent(seal(0, 0)),
        "a message needs at least one encrypted data key"
    );
    assert_eq!(
        inconsistent(seal(65_536, 0)),
        "a message holds at most 65535 encrypted data keys"
    );
    assert_eq!(
        inconsistent(seal(1, 65_536)),
        "a field of an encrypted data key exceeds 65535 bytes"
    );
}

#[test]
fn a_context_read_from_a_signed_message_is_not_bound_to_another() {
    let message = blocking::encrypt(
        &raw("key"),
        b"text",
        &EncryptOptions::default().with_context(context(&[("a", "1")])),
    );
    let opened = blocking::decrypt(&raw("key"), &message.unwrap(), &support::opening()).unwrap();
    for suite in AlgorithmSuite::ALL {
        let options = support::sealing(suite).with_context(opened.context.clone());
        assert!(matches!(
            blocking::encrypt(&raw("key"), b"text", &options),
            Err(Error::ReservedContextKey { key }) if key == "aws-crypto-public-key"
        ));
        let options = options.with_context(opened.context.without_reserved());
        let message = blocking::encrypt(&raw("key"), b"text", &options).unwrap();
        let expecting = support::opening().expect_context(context(&[("a", "1")]));
        blocking::decrypt(&raw("key"), &message, &expecting).unwrap();
    }
    // Nor by way of the manager alone.
    let request = EncryptionRequest {
        suite: None,
        policy: CommitmentPolicy::default(),
        context: &opened.context,
        plaintext_length: None,
    };
    let materials = block_on(raw("key").encryption_materials(request));
    assert!(matches!(materials, Err(Error::ReservedContextKey { .. })));
}

// Caching
