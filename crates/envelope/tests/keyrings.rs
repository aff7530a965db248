//! Which wrapping keys open which messages.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    DataKey, DecryptOptions, EncryptOptions, EncryptedDataKey, EncryptionContext, Error, ErrorKind,
    Keyring, MaterialsManager, Multi, NotUnwrapped, RawAes, UnverifiedHeader, WrappingKey,
    blocking,
};
use futures::executor::block_on;

fn raw(name: &str, key: u8) -> RawAes {
    let key = WrappingKey::from_bytes(&mut [key; 32]).unwrap();
    RawAes::new("acme", name, key).unwrap()
}

fn seal(keyring: &dyn Keyring) -> Vec<u8> {
    blocking::encrypt(keyring, b"hello", &EncryptOptions::default()).unwrap()
}

fn opens(keyring: &dyn Keyring, message: &[u8]) -> bool {
    match blocking::decrypt(keyring, message, &DecryptOptions::default()) {
        Ok(opened) => opened.plaintext == b"hello",
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoKey);
            false
        }
    }
}

fn report(keyring: &dyn Keyring, message: &[u8]) -> NotUnwrapped {
    match blocking::decrypt(keyring, message, &DecryptOptions::default()) {
        Err(Error::NotUnwrapped(report)) => *report,
        other => panic!("{other:?}"),
    }
}

fn names(message: &[u8]) -> Vec<String> {
    let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
    let keys = header.claims().encrypted_data_keys().iter();
    keys.map(EncryptedDataKey::key_name).collect()
}

/// Neither makes nor wraps nor opens.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl Keyring for Broken {
    async fn wrap_key(
        &self,
        _data_key: &DataKey,
        _request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Err(KeyringError::new("the broken device", "no answer"))
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        _request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let attempt = |index| Attempt::skipped(index, "the broken device", "no answer");
        Err((0..keys.len()).map(attempt).collect())
    }
}

#[test]
fn raw_aes_wraps_with_every_key_length() {
    for bits in [128, 192, 256] {
        let key = WrappingKey::generate_bits(bits).unwrap();
        assert_eq!(key.expose().len() * 8, bits);
        let keyring = RawAes::new("acme", "key", key).unwrap();
        assert!(opens(&keyring, &seal(&keyring)));
    }
    for bits in [0, 64, 130, 512] {
        assert!(matches!(
            WrappingKey::generate_bits(bits),
            Err(Error::KeyLength { length, .. }) if length == bits / 8
        ));
    }
}

#[test]
fn the_namespace_of_aws_kms_is_refused() {
    let key = || WrappingKey::generate().unwrap();
    assert!(matches!(
        RawAes::new("aws-kms", "key", key()),
        Err(Error::InvalidOption {
            what: "the key namespace",
            ..
        })
    ));
    assert!(RawAes::new("aws-kms-2", "key", key()).is_ok());
}

#[test]
fn names_that_do_not_fit_their_fields_are_refused() {
    let key = || WrappingKey::generate().unwrap();
    let text = |length| "n".repeat(length);
    let longest = RawAes::new(text(65_535), text(65_515), key()).unwrap();
    assert!(opens(&longest, &seal(&longest)));
    for (namespace, name) in [(65_536, 1), (1, 65_516)] {
        assert!(matches!(
            RawAes::new(text(namespace), text(name), key()),
            Err(Error::InvalidOption { .. })
        ));
    }
}

#[test]
fn a_key_whose_name_only_begins_alike_is_skipped() {
    for (writer, reader) in [("abc", "abcd"), ("abcd", "abc"), ("", "a"), ("a", "")] {
        let report = report(&raw(reader, 1), &seal(&raw(writer, 1)));
        let [attempt] = report.attempts() else {
            panic!("{report}")
        };
        assert!(!attempt.failed());
        assert_eq!(attempt.reason(), "another key name");
        assert_eq!(attempt.keyring(), format!("raw AES acme/{reader}"));
    }
}

#[test]
fn another_namespace_is_skipped() {
    let key = WrappingKey::from_bytes(&mut [1; 32]).unwrap();
    let other = RawAes::new("other", "key", key).unwrap();
    let report = report(&other, &seal(&raw("key", 1)));
    assert!(report.attempts().iter().all(|attempt| !attempt.failed()));
    assert_eq!(report.keys(), [("acme".to_owned(), "key".to_owned())]);
}

#[test]
fn the_wrong_key_under_the_right_name_fails() {
    let report = report(&raw("key", 2), &seal(&raw("key", 1)));
    let [attempt] = report.attempts() else {
        panic!("{report}")
    };
    assert!(attempt.failed());
    assert_eq!(attempt.index(), 0);
}

#[test]
fn two_keys_of_one_name_are_both_tried() {
    let both = Multi::generate_with(raw("key", 1)).and(raw("key", 2));
    let message = seal(&both);
    assert!(opens(&raw("key", 1), &message));
    assert!(opens(&raw("key", 2), &message));
    assert!(!opens(&raw("key", 3), &message));
}

#[test]
fn every_member_of_a_multi_keyring_opens_what_it_wrote() {
    let nested = Multi::generate_with(raw("third", 3)).and(raw("fourth", 4));
    let multi = Multi::generate_with(raw("first", 1))
        .and(raw("second", 2))
        .and(nested);
    let message = seal(&multi);
    assert_eq!(names(&message), ["first", "second", "third", "fourth"]);
    for (name, key) in [("first", 1), ("second", 2), ("third", 3), ("fourth", 4)] {
        assert!(opens(&raw(name, key), &message), "{name}");
        // And the multi-keyring opens what any of its members wrote.
        assert!(opens(&multi, &seal(&raw(name, key))), "{name}");
    }
    let report = report(&raw("fifth", 5), &message);
    assert_eq!(report.attempts().len(), 4);
}

#[test]
fn a_multi_keyring_needs_all_of_its_members_to_write() {
    for multi in [
        Multi::generate_with(Broken).and(raw("key", 1)),
        Multi::generate_with(raw("key", 1)).and(Broken),
    ] {
        let error = blocking::encrypt(&multi, b"", &EncryptOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Keyring(_)));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "the broken device: no answer");
        assert!(
            opens(&multi, &seal(&raw("key", 1))),
            "reading needs only one"
        );
    }
}

#[test]
fn without_a_generator_a_multi_keyring_opens_and_wraps_but_makes_no_keys() {
    let multi = Multi::without_generator(raw("one", 1)).and(raw("two", 2));
    assert!(opens(&multi, &seal(&raw("two", 2))));
    let error = blocking::encrypt(&multi, b"", &EncryptOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(
        error.to_string(),
        "multi-keyring: has no generator, so it makes no data keys; give it one"
    );
    // As the child of another, it wraps the key that the other made.
    let message = seal(&Multi::generate_with(raw("zero", 0)).and(multi));
    assert_eq!(names(&message), ["zero", "one", "two"]);
}

#[test]
fn a_context_that_does_not_fit_its_field_is_refused() {
    let error = EncryptionContext::new([("k", "v".repeat(1 << 16))]).unwrap_err();
    assert!(
        matches!(error, Error::ContextTooLong { length: 65_543 }),
        "{error}"
    );

    // The longest legal one leaves no room for the public key of a signed message.
    let longest = EncryptionContext::new([("k", "v".repeat(65_528))]).unwrap();
    let keyring = raw("key", 1);
    let signed = EncryptOptions::default().with_context(longest);
    assert!(matches!(
        blocking::encrypt(&keyring, b"hello", &signed),
        Err(Error::ContextTooLong { .. })
    ));
    let suite = envelope::AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    let message = blocking::encrypt(&keyring, b"hello", &signed.with_suite(suite)).unwrap();
    assert!(opens(&keyring, &message));
}

#[test]
fn the_key_that_opened_a_message_is_told() {
    let named = |name: &str| RawAes::new("acme", name, WrappingKey::generate().unwrap()).unwrap();
    let (one, two, three) = (named("1"), named("2"), named("3"));
    let (one, two) = (Arc::new(one), Arc::new(two));
    let both = Multi::generate_with(Arc::clone(&one)).and(Arc::clone(&two));
    let message = seal(&both);
    let opened_by = |keyring: &dyn MaterialsManager| {
        let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
        let materials = block_on(keyring.decryption_materials(header.request()));
        materials.map(|materials| materials.opened().key_name())
    };
    assert_eq!(opened_by(&one).unwrap(), "1");
    assert_eq!(opened_by(&two).unwrap(), "2");
    assert_eq!(
        opened_by(&Multi::generate_with(three).and(two)).unwrap(),
        "2"
    );
}

/// A keyring that names a key it was not given.
#[derive(Debug)]
struct Mistaken;

#[async_trait]
impl Keyring for Mistaken {
    async fn wrap_key(
        &self,
        _: &DataKey,
        _: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Ok(vec![EncryptedDataKey::new("mistaken", "key", "wrapped")])
    }

    async fn unwrap_key(
        &self,
        _: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let data_key = DataKey::generate(request.suite).unwrap();
        Ok(Unwrapped { index: 1, data_key })
    }
}

#[test]
fn a_key_that_was_not_given_opened_nothing() {
    let opened = blocking::decrypt(&Mistaken, &seal(&Mistaken), &DecryptOptions::default());
    assert!(matches!(
        opened.unwrap_err(),
        Error::InconsistentMaterials { .. }
    ));
}
