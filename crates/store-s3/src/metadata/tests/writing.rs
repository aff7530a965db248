use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn the_clients_names_are_reserved() {
    let names = names::V1_OR_V2.into_iter().chain(names::V3);
    let others = [
        PLAINTEXT_LENGTH,
        INSTRUCTION_FILE_MARKER,
        "x-amz-unencrypted-content-md5",
    ];
    for name in names.chain(others) {
        assert!(is_reserved(name), "{name}");
        assert!(is_reserved(&name.to_ascii_uppercase()), "{name}");
    }
    for name in ["x-amz-", "x-amz-key-v3", "color", "", " x-amz-c"] {
        assert!(!is_reserved(name), "{name}");
    }
}

#[test]
fn a_current_wrap_is_bound_to_gcm() {
    for (object, version, bound_to_another) in [
        (v1(), 1, false),
        (v2(), 2, false),
        (v2_cbc(), 2, true),
        (v3(), 3, false),
    ] {
        let envelope = read(&object, None).unwrap();
        assert_eq!(envelope.content.version(), version);
        assert_eq!(envelope.is_bound_to_another_cipher(), bound_to_another);
    }
    let mut legacy = v2_cbc();
    set(&mut legacy, WRAP, "kms");
    assert!(!read(&legacy, None).unwrap().is_bound_to_another_cipher());
}

#[test]
fn a_format_writes_only_its_own_wraps() {
    let refused = |object: Pairs, wrap| {
        let mut envelope = read(&object, None).unwrap();
        envelope.wrap = wrap;
        for result in [envelope.to_pairs().map(drop), envelope.split().map(drop)] {
            let error = result.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Configuration);
            let version = envelope.content.version();
            assert!(
                matches!(error, Error::WrapNotInFormat { wrap: name, version: v }
                    if name == wrap.name() && v == version)
            );
        }
    };
    refused(v1(), WrapAlgorithm::AesGcm);
    refused(v1(), WrapAlgorithm::AesKeyWrap);
    refused(v2(), WrapAlgorithm::V1Aes);
    refused(v2(), WrapAlgorithm::V1Rsa);
    for wrap in [
        WrapAlgorithm::Kms,
        WrapAlgorithm::AesKeyWrap,
        WrapAlgorithm::RsaOaepSha256,
        WrapAlgorithm::V1Aes,
        WrapAlgorithm::V1Rsa,
    ] {
        assert!(wrap.is_legacy());
        refused(v3(), wrap);
    }
}

#[test]
fn pairs_are_written_where_each_format_has_them() {
    let names = |pairs: &[(&'static str, String)]| -> Vec<&'static str> {
        pairs.iter().map(|(name, _)| *name).collect()
    };
    let mut envelope = read(&v2(), None).unwrap();
    envelope.plaintext_length = Some(5);
    let (object, file) = envelope.split().unwrap();
    assert_eq!(names(&object), [PLAINTEXT_LENGTH]);
    let key = of_length(60);
    let iv = of_length(12);
    assert_eq!(
        serde_json::from_slice::<Value>(&file).unwrap(),
        json!({
            "x-amz-key-v2": key, "x-amz-iv": iv, "x-amz-cek-alg": "AES/GCM/NoPadding",
            "x-amz-wrap-alg": "AES/GCM", "x-amz-matdesc": "{\"a\":\"b\"}", "x-amz-tag-len": "128",
        })
    );

    let mut envelope = read(&v3(), None).unwrap();
    let (object, file) = envelope.split().unwrap();
    assert_eq!(names(&object), [SUITE_V3, COMMITMENT_V3, MESSAGE_ID_V3]);
    assert_eq!(
        serde_json::from_slice::<Value>(&file).unwrap(),
        json!({ "x-amz-3": key, "x-amz-w": "02", "x-amz-m": "{\"a\":\"b\"}" })
    );
    envelope.description.clear();
    let written = names(&envelope.to_pairs().unwrap());
    assert!(!written.contains(&DESCRIPTION_V3));
    envelope.wrap = WrapAlgorithm::KmsContext;
    let written = envelope.to_pairs().unwrap();
    assert!(written.contains(&(CONTEXT_V3, "{}".to_owned())));
}

#[test]
fn descriptions_are_written_in_ascii() {
    for (text, written) in [
        ("å", r#"{"k":"\u00e5"}"#),
        ("水", r#"{"k":"\u6c34"}"#),
        ("🔒", r#"{"k":"\ud83d\udd12"}"#),
        ("\u{7f}\n", r#"{"k":"\u007f\n"}"#),
        ("\"\\", r#"{"k":"\"\\"}"#),
        ("=?UTF-8?Q?a?=", r#"{"k":"=\u003fUTF-8?Q?a?="}"#),
        ("a=b?", r#"{"k":"a=b?"}"#),
    ] {
        assert_eq!(json::to_ascii([("k", text)]), written);
    }
    assert_eq!(json::to_ascii([]), "{}");
}

fn any_text() -> impl Strategy<Value = String> {
    let characters = prop_oneof![
        any::<char>(),
        prop::char::range(' ', '~'),
        prop::char::range('\u{80}', '\u{ff}'),
    ];
    prop_oneof![
        prop::collection::vec(characters, 0..12).prop_map(String::from_iter),
        Just("=?UTF-8?B?w4PCqQ==?=".to_owned()),
    ]
}

fn any_envelope() -> impl Strategy<Value = Envelope> {
    let content = prop_oneof![
        any::<[u8; 16]>().prop_map(|iv| Content::V1Cbc { iv }),
        any::<[u8; 16]>().prop_map(|iv| Content::V2Cbc { iv }),
        any::<[u8; 12]>().prop_map(|iv| Content::V2Gcm { iv }),
        any::<([u8; 28], [u8; 28])>().prop_map(|(message_id, commitment)| Content::V3 {
            message_id,
            commitment
        }),
    ];
    let description = prop::collection::btree_map(any_text(), any_text(), 0..4);
    let key = prop::collection::vec(any::<u8>(), 49..600);
    let choice = any::<prop::sample::Index>();
    (content, choice, key, description, any::<Option<u64>>()).prop_map(
        |(content, choice, mut key, description, length)| {
            let all = [
                WrapAlgorithm::KmsContext,
                WrapAlgorithm::AesGcm,
                WrapAlgorithm::RsaOaepSha1,
                WrapAlgorithm::Kms,
                WrapAlgorithm::AesKeyWrap,
                WrapAlgorithm::RsaOaepSha256,
            ];
            let wrap = match content.version() {
                1 => *choice.get(&[WrapAlgorithm::V1Aes, WrapAlgorithm::V1Rsa]),
                2 => *choice.get(&all),
                _ => *choice.get(&all[..3]),
            };
            if let Some(lengths) = wrap.key_lengths() {
                key.resize(*choice.get(lengths), 7);
            }
            Envelope {
                plaintext_length: length.filter(|_| content.version() < 3),
                content,
                wrap,
                encrypted_data_key: key,
                description,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(envelope in any_envelope()) {
        let written: Pairs = to_owned(envelope.to_pairs().unwrap());
        for (name, value) in &written {
            let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            prop_assert!(printable && is_reserved(name), "{} {}", name, value);
        }
        prop_assert_eq!(parse_pairs(&written).unwrap(), Found::Envelope(envelope.clone()));

        let (object, file) = envelope.split().unwrap();
        prop_assert!(file.is_ascii());
        prop_assert_eq!(read(&to_owned(object), Some(&file)).unwrap(), envelope);
    }
}

fn to_owned(pairs: Vec<(&'static str, String)>) -> Pairs {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
