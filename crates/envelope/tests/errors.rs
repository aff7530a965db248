//! What users read when something fails, and what they must never read.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptOptions, EncryptOptions, EncryptionContext,
    Error, ErrorKind, MaterialsManager, Multi, RawAes, UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;

const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

fn raw(name: &str, key: u8) -> RawAes {
    let key = WrappingKey::from_bytes(&mut [key; 32]).unwrap();
    RawAes::new("acme", name, key).unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::new(pairs.iter().copied()).unwrap()
}

fn message() -> Vec<u8> {
    let options = EncryptOptions::default()
        .with_suite(UNSIGNED)
        .with_context(context(&[("tenant", "acme")]));
    blocking::encrypt(&raw("daily", 1), b"hello", &options).unwrap()
}

fn open(keyring: &RawAes, message: &[u8], options: &DecryptOptions) -> Error {
    blocking::decrypt(keyring, message, options).unwrap_err()
}

fn open_with_key(message: &[u8]) -> Error {
    open(&raw("daily", 1), message, &DecryptOptions::default())
}

#[track_caller]
fn check(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(error.to_string(), text);
    assert_eq!(error.kind(), kind, "{text}");
}

#[test]
fn a_missing_key_is_reported_key_by_key() {
    check(
        &open(&raw("daily", 2), &message(), &DecryptOptions::default()),
        ErrorKind::NoKey,
        "no wrapping key of the keyring opens any of the message's 1 encrypted data keys\
         \n  encrypted data key 1: provider \"acme\", key \"daily\"\
         \n    raw AES acme/daily: failed: not authentic: another wrapping key, another encryption context, or tampered",
    );
    let writer = Multi::generate_with(raw("daily", 1)).and(raw("escrow", 2));
    let message = blocking::encrypt(&writer, b"", &EncryptOptions::default()).unwrap();
    let reader = Multi::generate_with(raw("weekly", 3)).and(raw("escrow", 4));
    let error = blocking::decrypt(&reader, &message, &DecryptOptions::default()).unwrap_err();
    check(
        &error,
        ErrorKind::NoKey,
        "no wrapping key of the keyring opens any of the message's 2 encrypted data keys\
         \n  encrypted data key 1: provider \"acme\", key \"daily\"\
         \n    raw AES acme/weekly: skipped: another key name\
         \n    raw AES acme/escrow: skipped: another key name\
         \n  encrypted data key 2: provider \"acme\", key \"escrow\"\
         \n    raw AES acme/weekly: skipped: another key name\
         \n    raw AES acme/escrow: failed: not authentic: another wrapping key, another encryption context, or tampered",
    );
}

#[test]
fn a_long_report_is_cut() {
    let writer = (0..25).fold(Multi::generate_with(raw("key", 1)), |multi, _| {
        multi.and(raw("key", 1))
    });
    let message = blocking::encrypt(&writer, b"", &EncryptOptions::default()).unwrap();
    let text = open(&raw("other", 1), &message, &DecryptOptions::default()).to_string();
    assert!(text.ends_with("\n  and 6 more"), "{text}");
    assert_eq!(text.lines().count(), 1 + 2 * 20 + 1);

    // What is said of none of the listed keys is said all the same.
    let writer = writer.and(raw("other", 2)).and(raw("other", 3));
    let message = blocking::encrypt(&writer, b"", &EncryptOptions::default()).unwrap();
    let text = open(&raw("other", 1), &message, &DecryptOptions::default()).to_string();
    let end = "\n  and 8 more\n    encrypted data key 27: raw AES acme/other: failed: not authentic: \
               another wrapping key, another encryption context, or tampered";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn a_wrong_context_is_not_authentic() {
    let expecting = |pairs| DecryptOptions::default().expect_context(context(pairs));
    check(
        &open(
            &raw("daily", 1),
            &message(),
            &expecting(&[("tenant", "other")]),
        ),
        ErrorKind::NotAuthentic,
        "the message's encryption context differs from the expected one at key \"tenant\"; it may belong to something else",
    );
    check(
        &open(
            &raw("daily", 1),
            &message(),
            &expecting(&[("purpose", "backup")]),
        ),
        ErrorKind::NotAuthentic,
        "no wrapping key of the keyring opens any of the message's 1 encrypted data keys\
         \n  encrypted data key 1: provider \"acme\", key \"daily\"\
         \n    raw AES acme/daily: failed: not authentic: another wrapping key, another encryption context, or tampered\
         \n  the message does not store these keys of the expected encryption context: [\"purpose\"]",
    );
    // With no key of the right name at hand, the context is not in doubt.
    let error = open(
        &raw("weekly", 1),
        &message(),
        &expecting(&[("purpose", "backup")]),
    );
    assert_eq!(error.kind(), ErrorKind::NoKey);
}

#[test]
fn wrong_requests_say_what_to_change() {
    check(
        &EncryptionContext::new([("aws-crypto-x", "")]).unwrap_err(),
        ErrorKind::InvalidRequest,
        "the encryption-context key \"aws-crypto-x\" is reserved: keys that begin with \"aws-crypto-\" belong to the format; choose another",
    );
    check(
        &EncryptionContext::new([("k", "v".repeat(70_000))]).unwrap_err(),
        ErrorKind::InvalidRequest,
        "the encryption context takes 70007 bytes, above the limit of 65535; shorten it",
    );
    let sealing = |options: EncryptOptions| {
        blocking::encrypt(&raw("daily", 1), b"hello", &options).unwrap_err()
    };
    let forbidding = CommitmentPolicy::ForbidEncryptAllowDecrypt;
    check(
        &sealing(
            EncryptOptions::default()
                .with_policy(forbidding)
                .with_suite(UNSIGNED),
        ),
        ErrorKind::InvalidRequest,
        "the commitment policy forbid-encrypt-allow-decrypt forbids encrypting under suite 0478 (AES_256_GCM_HKDF_SHA512_COMMIT_KEY)",
    );
    let version_1 = AlgorithmSuite::AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    check(
        &sealing(EncryptOptions::default().with_suite(version_1)),
        ErrorKind::InvalidRequest,
        "the commitment policy require-encrypt-require-decrypt forbids encrypting under suite 0178 (AES_256_GCM_IV12_TAG16_HKDF_SHA256)",
    );
    check(
        &sealing(EncryptOptions::default().with_frame_length(0)),
        ErrorKind::InvalidRequest,
        "the frame length must be from 1 to 4294967295 bytes",
    );
    check(
        &sealing(EncryptOptions::default().with_maximum_encrypted_data_keys(0)),
        ErrorKind::InvalidRequest,
        "the maximum of encrypted data keys must be at least 1",
    );
    check(
        &sealing(EncryptOptions::default().with_plaintext_length_bound(4)),
        ErrorKind::InvalidRequest,
        "the plaintext is longer than the 4 bytes announced",
    );
    check(
        &WrappingKey::from_bytes(&mut [0; 31]).unwrap_err(),
        ErrorKind::InvalidRequest,
        "a key of 31 bytes does not fit; legal is 16, 24 or 32 bytes",
    );
    check(
        &DataKey::from_bytes(vec![0; 16], UNSIGNED).unwrap_err(),
        ErrorKind::InvalidRequest,
        "a key of 16 bytes does not fit; legal is the length that the algorithm suite has",
    );
    check(
        &RawAes::new("aws-kms", "key", WrappingKey::generate().unwrap()).unwrap_err(),
        ErrorKind::InvalidRequest,
        "the key namespace must not be \"aws-kms\", which is reserved for AWS KMS keys",
    );
    check(
        &"0015".parse::<AlgorithmSuite>().unwrap_err(),
        ErrorKind::InvalidRequest,
        "the algorithm suite must be one of 0014, 0046, 0078, 0114, 0146, 0178, 0214, 0346, 0378, 0478 and 0578, or its name",
    );
    check(
        &"strict".parse::<CommitmentPolicy>().unwrap_err(),
        ErrorKind::InvalidRequest,
        "the commitment policy must be forbid-encrypt-allow-decrypt, require-encrypt-allow-decrypt or require-encrypt-require-decrypt",
    );
    let header = UnverifiedHeader::parse_whole(&message(), &DecryptOptions::default()).unwrap();
    let layout = header.claims().layout().unwrap();
    let length = layout.ciphertext_len(5).unwrap();
    check(
        &layout.plan(3..6, length).unwrap_err(),
        ErrorKind::InvalidRequest,
        "the range 3..6 lies outside the plaintext of 5 bytes",
    );
}

#[test]
fn what_is_not_a_message_says_so() {
    let text = STANDARD.encode(message());
    check(
        &open_with_key(text.as_bytes()),
        ErrorKind::NotAuthentic,
        "the input looks like the base64 text of a message; decode it to bytes first",
    );
    check(
        &open_with_key(&[0x03, 0x80, 0x01, 0x78]),
        ErrorKind::NotAuthentic,
        "message format version 0x03 is not supported; supported are 1 and 2",
    );
    check(
        &open_with_key(&[0x01, 0x81, 0x01, 0x78]),
        ErrorKind::NotAuthentic,
        "message type 0x81 is not supported; supported is encrypted data (0x80)",
    );
    check(
        &open_with_key(&[0x02, 0x01, 0x78]),
        ErrorKind::NotAuthentic,
        "algorithm suite 0x0178 is not supported in a message",
    );
    check(
        &open_with_key(b""),
        ErrorKind::NotAuthentic,
        "the message is truncated: it ends inside the version at byte 0; fetch the whole message",
    );
}

#[test]
fn a_damaged_message_says_where() {
    let message = message();
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let end = header.length();
    let changed = |index: usize| {
        let mut changed = message.clone();
        *changed.get_mut(index).unwrap() ^= 0x40;
        open_with_key(&changed)
    };
    for (index, text) in [
        (
            end - 1,
            "the message header is not authentic; it was tampered with, or the encryption context given is not the one it was written with",
        ),
        (
            end - 17,
            "the data key does not match the message's key commitment; the message or its encrypted data keys were tampered with",
        ),
        (
            message.len() - 1,
            "frame 1 is not authentic; the message was tampered with",
        ),
        (
            end + 7,
            "frame 1 carries sequence number 65; frames were reordered or dropped",
        ),
        (
            end + 20,
            "the final frame claims 1073741829 bytes of content, above the frame length of 4096",
        ),
        (
            end - 16 - 32 - 5,
            "content type 0x42 is not supported; supported are non-framed (0x01) and framed (0x02)",
        ),
    ] {
        check(&changed(index), ErrorKind::NotAuthentic, text);
    }
    let cut = message.split_last().unwrap().1;
    check(
        &open_with_key(cut),
        ErrorKind::NotAuthentic,
        &format!(
            "the message is truncated: it ends inside a frame at byte {}; fetch the whole message",
            cut.len()
        ),
    );
    check(
        &open_with_key(&[message.as_slice(), b"!"].concat()),
        ErrorKind::NotAuthentic,
        "bytes follow the end of the message; a message must stand alone: discard everything read from it",
    );
}

#[test]
fn limits_say_what_to_raise() {
    let open = |options: DecryptOptions| open(&raw("daily", 1), &message(), &options);
    check(
        &open(DecryptOptions::default().with_maximum_header_length(50)),
        ErrorKind::NotAuthentic,
        "the header is longer than the 50 bytes allowed; raise the maximum header length if the message is trusted",
    );
    check(
        &open(DecryptOptions::default().with_maximum_frame_length(4)),
        ErrorKind::NotAuthentic,
        "a frame or non-framed body of 5 bytes is above the 4 bytes allowed; raise the maximum frame length if the message is trusted",
    );
}

#[test]
fn signed_messages_say_what_to_do() {
    let keyring = raw("daily", 1);
    let message = blocking::encrypt(&keyring, b"hello", &EncryptOptions::default()).unwrap();
    check(
        &open(
            &keyring,
            &message,
            &DecryptOptions::default().fail_on_signed(),
        ),
        ErrorKind::NotAuthentic,
        "the message is signed (suite 0578 (AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384)) and only unsigned messages are accepted; accept signed ones or write with an unsigned suite",
    );
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let materials = block_on(keyring.decryption_materials(header.request())).unwrap();
    check(
        &header.verify(materials).unwrap_err(),
        ErrorKind::NotAuthentic,
        "the message is signed (suite 0578 (AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384)): its signature can be checked only after the last byte; decrypt it whole, or allow plaintext with an unverified signature by name",
    );
    // A footer of no bytes.
    let footer = message.len() - 2 - usize::from(signature_length(&message));
    let unsigned = [message.get(..footer).unwrap(), &[0, 0]].concat();
    check(
        &open(&keyring, &unsigned, &DecryptOptions::default()),
        ErrorKind::NotAuthentic,
        "the signature of the message does not verify; discard everything read from it",
    );
}

/// The message has one final frame of five bytes.
fn signature_length(message: &[u8]) -> u16 {
    let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
    let footer = message.get(header.length() + 45..).unwrap();
    u16::from_be_bytes(*footer.first_chunk().unwrap())
}

#[test]
fn no_text_holds_a_key_or_a_plaintext() {
    let key: Vec<u8> = (0xa0..0xc0).collect();
    let keyring = |name| {
        let key = WrappingKey::from_bytes(&mut key.clone()).unwrap();
        RawAes::new("acme", name, key).unwrap()
    };
    let plaintext = b"a plaintext that is nobody's business";
    let sealing = EncryptOptions::default();
    let multi = Multi::generate_with(keyring("daily")).and(keyring("escrow"));
    let sealed = block_on(multi.encryption_materials(sealing.request().unwrap())).unwrap();
    let message = blocking::encrypt(&multi, plaintext, &sealing).unwrap();
    let opening = DecryptOptions::default().expect_context(context(&[("a", "b")]));
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let opened = block_on(multi.decryption_materials(header.request())).unwrap();
    let wrong = blocking::decrypt(&multi, &message, &opening).unwrap_err();
    let none = open(&raw("other", 1), &message, &DecryptOptions::default());
    let length = DataKey::from_bytes([key.as_slice(), &[1]].concat(), UNSIGNED).unwrap_err();
    let texts = [
        format!("{multi:?} {multi:#?}"),
        format!("{sealing:?} {opening:?} {header:?}"),
        format!("{sealed:?} {sealed:#?} {opened:?} {opened:#?}"),
        format!("{wrong} {wrong:?} {none} {none:?} {length} {length:?}"),
        format!("{:?}", WrappingKey::from_bytes(&mut key.clone()).unwrap()),
        format!("{:?}", DataKey::from_bytes(key.clone(), UNSIGNED).unwrap()),
        format!("{:?}", envelope::Encryptor::new(sealed, &sealing).unwrap()),
        format!(
            "{:?}",
            blocking::decrypt(&multi, &message, &DecryptOptions::default()).unwrap()
        ),
    ];
    for secret in [key.as_slice(), plaintext] {
        // Eight bytes are enough to recognise; base64 of three times as many does not depend on
        // what follows.
        let part = secret.get(..8).unwrap();
        let hex = hex::encode(part);
        let list = format!("{part:?}");
        let list = list.trim_matches(['[', ']']).to_owned();
        let long_list = list.replace(", ", ",\n");
        let base64 = STANDARD.encode(secret.get(..24).unwrap());
        let escaped = part.escape_ascii().to_string();
        for text in &texts {
            let joined = text.replace(' ', "");
            for form in [&hex, &hex.to_uppercase(), &list, &base64, &escaped] {
                assert!(!text.contains(form.as_str()), "{form} in {text}");
            }
            assert!(!joined.contains(&long_list), "{long_list} in {text}");
        }
    }
}
