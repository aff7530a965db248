//! Whatever is sealed opens again, unchanged.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::collections::BTreeMap;

use envelope::{
    AlgorithmSuite, DecryptOptions, EncryptOptions, EncryptionContext, RawAes, WrappingKey,
    blocking,
};
use proptest::prelude::*;

fn keyring() -> RawAes {
    RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap()
}

fn check(plaintext: &[u8], frame_length: u32, suite: AlgorithmSuite, context: &EncryptionContext) {
    let keyring = keyring();
    let sealing = support::sealing(suite)
        .with_frame_length(frame_length)
        .with_context(context.clone());
    let message = blocking::encrypt(&keyring, plaintext, &sealing).unwrap();
    for opening in [
        support::opening(),
        support::opening().expect_context(context.clone()),
    ] {
        let opened = blocking::decrypt(&keyring, &message, &opening).unwrap();
        assert_eq!(opened.plaintext, plaintext);
        assert_eq!(opened.suite, suite);
        let reserved = |key: &str| key == "aws-crypto-public-key";
        assert_eq!(
            opened.context.iter().any(|(k, _)| reserved(k)),
            suite.is_signed()
        );
        let stored: Vec<_> = opened
            .context
            .iter()
            .filter(|(k, _)| !reserved(k))
            .collect();
        assert_eq!(stored, context.iter().collect::<Vec<_>>());
    }
}

fn contexts() -> impl Strategy<Value = EncryptionContext> {
    let text = || any::<String>();
    prop::collection::btree_map(text(), text(), 0..5)
        .prop_filter_map("a reserved key", |pairs: BTreeMap<String, String>| {
            EncryptionContext::new(pairs).ok()
        })
}

fn plaintexts() -> impl Strategy<Value = (Vec<u8>, u32)> {
    (1_u32..300).prop_flat_map(|frame_length| {
        let longest = 3 * frame_length as usize + 2;
        (
            prop::collection::vec(any::<u8>(), 0..longest),
            Just(frame_length),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_message_opens_to_what_was_sealed(
        (plaintext, frame_length) in plaintexts(),
        suite in prop::sample::select(AlgorithmSuite::ALL.to_vec()),
        context in contexts(),
    ) {
        check(&plaintext, frame_length, suite, &context);
    }
}

#[test]
fn lengths_around_frame_boundaries_open() {
    let context = EncryptionContext::new([("straße", "東京 🗼"), ("", "")]).unwrap();
    for suite in AlgorithmSuite::ALL {
        for frame_length in [1, 2, 16, 100] {
            let l = frame_length as usize;
            for length in [0, 1, l - 1, l, l + 1, 2 * l, 3 * l] {
                check(&vec![0x5a; length], frame_length, suite, &context);
            }
        }
    }
}

#[test]
fn the_default_options_open_the_default_message() {
    let keyring = keyring();
    let plaintext = vec![7; 10_000];
    let message = blocking::encrypt(&keyring, &plaintext, &EncryptOptions::default()).unwrap();
    let opened = blocking::decrypt(&keyring, &message, &DecryptOptions::default()).unwrap();
    assert_eq!(opened.plaintext, plaintext);
    assert!(opened.suite.is_signed());
}
