//! The canonical form of a context is sorted by bytes, whatever the order of its pairs, and a
//! message gives back what was put in.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use envelope::{DecryptOptions, EncryptOptions, EncryptionContext, Error, RawAes, WrappingKey};
use envelope::{UnverifiedHeader, blocking};
use libfuzzer_sys::fuzz_target;

static KEYRING: LazyLock<RawAes> = LazyLock::new(|| {
    let key = WrappingKey::from_bytes(&mut [7; 32]).expect("32 bytes");
    RawAes::new("fuzz", "key", key).expect("short names")
});

fuzz_target!(|pairs: Vec<(String, String)>| {
    let expected: BTreeMap<&str, &str> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
    let context = match EncryptionContext::new(pairs.clone()) {
        Ok(context) => context,
        Err(Error::ReservedContextKey { key }) => {
            assert!(key.starts_with("aws-crypto-") && expected.contains_key(&*key));
            return;
        }
        Err(error) => {
            assert!(matches!(error, Error::ContextTooLong { length } if length > 65_535));
            return;
        }
    };
    // BTreeMap sorts text by its bytes.
    assert!(context.iter().eq(expected.iter().map(|(k, v)| (*k, *v))));
    let reversed: Vec<_> = expected.iter().rev().map(|(k, v)| (*k, *v)).collect();
    let again = EncryptionContext::new(reversed).expect("the same pairs");
    assert_eq!(again.to_bytes(), context.to_bytes());

    let options = EncryptOptions::default().with_context(context.clone());
    let message = match blocking::encrypt(&*KEYRING, b"text", &options) {
        Ok(message) => message,
        // The public key needs room too.
        Err(error) => return assert!(matches!(error, Error::ContextTooLong { .. })),
    };
    let options = DecryptOptions::default().expect_context(context.clone());
    let header = UnverifiedHeader::parse_whole(&message, &options).expect("our own header");
    for (key, value) in context.iter() {
        assert_eq!(header.claims().context().get(key), Some(value));
    }
    blocking::decrypt(&*KEYRING, &message, &options).expect("our own message");
});
