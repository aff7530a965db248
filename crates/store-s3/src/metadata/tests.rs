use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::names::{
    COMMITMENT_V3, CONTENT_CIPHER, CONTEXT_V3, DESCRIPTION, DESCRIPTION_V3, IV, KEY_V1, KEY_V2,
    KEY_V3, MESSAGE_ID_V3, PLAINTEXT_LENGTH, SUITE_V3, TAG_LENGTH, WRAP, WRAP_V3,
};
use super::*;
use crate::error::{Error, ErrorClass};

type Pairs = Vec<(String, String)>;

fn vectors(file: &str, list: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/s3ec");
    let text = std::fs::read(folder.join(file)).expect(file);
    let data: Value = serde_json::from_slice(&text).expect(file);
    data[list].as_array().unwrap().clone()
}

fn pairs(object: &Value) -> Pairs {
    let members = object.as_object().unwrap().iter();
    members
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

fn parse_pairs(pairs: &[(String, String)]) -> Result<Found, Error> {
    parse(pairs.iter().map(|(name, value)| (&**name, &**value)))
}

/// Reads an object with the file beside it, as a store would.
fn read(pairs: &[(String, String)], file: Option<&[u8]>) -> Result<Envelope, Error> {
    match (parse_pairs(pairs)?, file) {
        (Found::Envelope(envelope), _) => Ok(envelope),
        (Found::InFile(object), Some(file)) => parse_instruction_file(&object, file),
        (Found::InFile(_), None) => Err(Error::NoEnvelope),
    }
}

fn of_length(length: usize) -> String {
    STANDARD.encode(vec![7; length])
}

/// What an outcome is called in the tables below.
fn outcome(result: &Result<Envelope, Error>) -> String {
    match result {
        Ok(envelope) => format!("v{}", envelope.content.version()),
        Err(Error::NoEnvelope) => "no envelope".to_owned(),
        Err(Error::InstructionFileNotValid { .. }) => "file not valid".to_owned(),
        Err(Error::IncompleteEnvelope { missing }) => format!("missing {missing}"),
        Err(Error::UnknownAlgorithm { key, value }) => format!("unknown {key} {value}"),
        Err(Error::InvalidValue { key, .. }) => format!("invalid {key}"),
        Err(Error::MixedEnvelope { one, other }) => format!("mixed {one} {other}"),
        Err(Error::CommitmentInInstructionFile { key }) => format!("in file {key}"),
        Err(other) => format!("{other:?}"),
    }
}

// Published cases

const CLASSIFICATION: [(&str, &str); 44] = [
    ("plain v1", "v1"),
    ("v1 with extra user keys", "v1"),
    ("v1 without matdesc", "missing x-amz-matdesc"),
    ("plain v2", "v2"),
    ("v2 without matdesc", "v2"),
    ("v2 with unencrypted length", "v2"),
    ("v2 cbc", "v2"),
    ("v2 without cek-alg", "missing x-amz-cek-alg"),
    ("v2 without wrap-alg", "missing x-amz-wrap-alg"),
    ("v2 without iv", "missing x-amz-iv"),
    ("v2 gcm without tag-len", "missing x-amz-tag-len"),
    ("v2 gcm with tag-len 96", "invalid x-amz-tag-len"),
    ("plain v3 kms", "v3"),
    ("v3 without t", "v3"),
    ("v3 raw aes", "v3"),
    ("v3 raw rsa without m", "v3"),
    ("v3 without c", "missing x-amz-c"),
    ("v3 without w", "missing x-amz-w"),
    ("v3 without d", "missing x-amz-d"),
    ("v3 without i", "missing x-amz-i"),
    ("v3 w uncompressed", "unknown x-amz-w kms+context"),
    ("v3 w=01", "unknown x-amz-w 01"),
    ("v3 w=11", "unknown x-amz-w 11"),
    ("v3 c=0x0073", "unknown x-amz-c 0x0073"),
    ("v3 c=116", "unknown x-amz-c 116"),
    (
        "v3 c=AES/GCM/NoPadding",
        "unknown x-amz-c AES/GCM/NoPadding",
    ),
    ("v1+v2 keys", "mixed x-amz-key x-amz-key-v2"),
    ("v1+v3 keys", "mixed x-amz-key x-amz-3"),
    ("v2+v3 keys", "mixed x-amz-key-v2 x-amz-3"),
    ("v2 with spoofed c and w", "mixed x-amz-key-v2 x-amz-c"),
    ("empty, no instruction file", "no envelope"),
    ("only user keys", "no envelope"),
    ("v1 in instruction file", "v1"),
    ("v2 in instruction file", "v2"),
    ("v2 in instruction file, length header on object", "v2"),
    ("v3 split", "v3"),
    ("v3 split, c repeated in file", "in file x-amz-c"),
    ("v3 wholly in file", "in file x-amz-c"),
    ("v3 split, v2 keys in file", "mixed x-amz-c x-amz-key-v2"),
    (
        "v3 split, file is {\"invalid\":\"json\"}",
        "missing x-amz-3",
    ),
    ("v3 split, no file", "no envelope"),
    ("v2 file beside v2 iv on object", "missing x-amz-key-v2"),
    ("v2 file with key renamed", "file not valid"),
    (
        "v3 in object metadata and a stale instruction file present",
        "v3",
    ),
];

/// The case's pairs with values of the right lengths in the places of its letters.
fn filled(pairs: Pairs) -> Pairs {
    let has = |value: &str| pairs.iter().any(|(_, found)| found == value);
    let v1 = pairs.iter().any(|(name, _)| name == KEY_V1);
    let key = match () {
        () if v1 => 48,
        () if has("02") => 60,
        () => 256,
    };
    let iv = if v1 || has("AES/CBC/PKCS5Padding") {
        16
    } else {
        12
    };
    let fill = |value: String| match &*value {
        "K" => of_length(key),
        "I" => of_length(iv),
        "D" | "M" => of_length(28),
        _ => value,
    };
    let pairs = pairs.clone().into_iter();
    pairs.map(|(name, value)| (name, fill(value))).collect()
}

#[test]
fn published_cases_are_told_apart() {
    let cases = vectors("metadata_classification.json", "cases");
    assert_eq!(cases.len(), CLASSIFICATION.len());
    let mut wrong = Vec::new();
    for (case, (name, expected)) in cases.iter().zip(CLASSIFICATION) {
        assert_eq!(case["name"], name);
        let file = &case["instruction_file"];
        let file = file.is_object().then(|| {
            let pairs = filled(pairs(file));
            let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
            json::to_ascii(pairs).into_bytes()
        });
        let result = read(&filled(pairs(&case["object_metadata"])), file.as_deref());
        let published = if result.is_ok() { expected } else { "error" };
        let found = outcome(&result);
        if found != expected || case["result"] != published {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn objects_of_other_clients_are_read() {
    let objects = vectors("golden_objects.json", "objects");
    assert_eq!(objects.len(), 126);
    let mut wrong = Vec::new();
    for object in objects {
        let file = object["instruction_json"].as_str();
        let result = read(&pairs(&object["metadata"]), file.map(str::as_bytes));
        let envelope = match result {
            Ok(envelope) => envelope,
            Err(error) => {
                wrong.push(format!("{}: {error}", object["id"]));
                continue;
            }
        };
        let mut description = object["encryption_context"].clone();
        if object["keyring"] != "kms" {
            description = object["materials_description"].clone();
        }
        let mut stored = envelope.description.clone();
        stored.remove("aws:x-amz-cek-alg");
        stored.remove("kms_cmk_id");
        let right = outcome(&Ok(envelope.clone())) == object["format"]
            && envelope.content.name() == object["content_alg"]
            && envelope.wrap.name() == object["wrap_alg"]
            && json!(stored) == description
            && envelope
                .plaintext_length
                .is_none_or(|n| object["plaintext_len"] == n);
        if !right {
            wrong.push(format!("{}: {envelope:?}", object["id"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn published_messages_are_read_or_refused() {
    let expected = [
        ("go-GetMockV2Object", "missing x-amz-tag-len"),
        ("go-GetMockV3Object", "v3"),
        ("go-GetMockV3ObjectWithIncorrectKCValue", "v3"),
        ("go-GetMockV3ObjectWithInvalidKCValue", "invalid x-amz-d"),
        ("go-GetMockV2Object_V1Interop_KMS_AESCBC", "v2"),
        (
            "go-GetMockV2Object_V1Interop_KMS_AESGCM",
            "missing x-amz-tag-len",
        ),
        ("go-GetMockV2Object_OnlyDecryptsRegisteredAlgorithms", "v2"),
        ("dotnet-ses-metadata", "v2"),
    ];
    let fixtures = vectors("message_fixtures.json", "fixtures");
    let found = fixtures.iter().map(|fixture| {
        let result = read(&pairs(&fixture["metadata"]), None);
        (fixture["id"].as_str().unwrap(), outcome(&result))
    });
    let expected = expected.map(|(id, outcome)| (id, outcome.to_owned()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn text_that_s3_encoded_twice_is_decoded() {
    let cases = vectors("s3_double_encoding.json", "cases");
    assert_eq!(cases.len(), 5);
    for case in cases {
        let original = case["original"].as_str().unwrap();
        for form in ["returned_b", "returned_q", "returned_two_words"] {
            let mut object = v2();
            set(&mut object, DESCRIPTION, case[form].as_str().unwrap());
            let envelope = read(&object, None).unwrap();
            let expected = json::parse_strings(original).unwrap();
            assert_eq!(envelope.description, expected, "{form} of {original}");
        }
    }
}

// Bad input

fn owned(pairs: &[(&str, &str)]) -> Pairs {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn v1() -> Pairs {
    owned(&[
        (KEY_V1, &of_length(48)),
        (IV, &of_length(16)),
        (DESCRIPTION, "{}"),
    ])
}

fn v2() -> Pairs {
    owned(&[
        (KEY_V2, &of_length(60)),
        (IV, &of_length(12)),
        (CONTENT_CIPHER, "AES/GCM/NoPadding"),
        (WRAP, "AES/GCM"),
        (DESCRIPTION, "{\"a\":\"b\"}"),
        (TAG_LENGTH, "128"),
    ])
}

fn v2_cbc() -> Pairs {
    let mut object = v2();
    set(&mut object, CONTENT_CIPHER, "AES/CBC/PKCS5Padding");
    set(&mut object, IV, &of_length(16));
    set(&mut object, TAG_LENGTH, "");
    object
}

fn v3() -> Pairs {
    let mut object = v3_object();
    object.extend(v3_file());
    object
}

fn v3_object() -> Pairs {
    owned(&[
        (SUITE_V3, "115"),
        (COMMITMENT_V3, &of_length(28)),
        (MESSAGE_ID_V3, &of_length(28)),
    ])
}

fn v3_file() -> Pairs {
    owned(&[
        (KEY_V3, &of_length(60)),
        (WRAP_V3, "02"),
        (DESCRIPTION_V3, "{\"a\":\"b\"}"),
    ])
}

fn set(pairs: &mut Pairs, name: &str, value: &str) {
    pairs.retain(|(found, _)| found != name);
    pairs.push((name.to_owned(), value.to_owned()));
}

/// An object with one value of it changed or added.
fn with(mut pairs: Pairs, name: &str, value: &str) -> String {
    set(&mut pairs, name, value);
    outcome(&read(&pairs, None))
}

/// The file as text, with members at its end.
fn file(pairs: &Pairs, more: &str) -> String {
    let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
    let text = json::to_ascii(pairs);
    format!("{}{more}}}", text.strip_suffix('}').unwrap())
}

fn with_file(object: &Pairs, file: &str) -> String {
    outcome(&read(object, Some(file.as_bytes())))
}

#[test]
fn values_of_wrong_lengths_are_refused() {
    for (object, name, wrong) in [
        (v2(), IV, vec![0, 11, 13, 16]),
        (v2_cbc(), IV, vec![0, 12, 15, 17]),
        (v1(), IV, vec![0, 12, 15, 17]),
        (v3(), COMMITMENT_V3, vec![0, 20, 27, 29, 40]),
        (v3(), MESSAGE_ID_V3, vec![0, 27, 29, 32]),
        (v2(), KEY_V2, vec![0, 32, 59, 61, 256]),
        (v3(), KEY_V3, vec![0, 32, 59, 61, 256]),
        (v1(), KEY_V1, vec![0, 16, 31, 40, 47]),
    ] {
        for length in wrong {
            let outcome = with(object.clone(), name, &of_length(length));
            assert_eq!(outcome, format!("invalid {name}"), "{length}");
        }
    }
    for (wrap, right, wrong) in [
        ("AESWrap", vec![24, 32, 40], vec![0, 16, 39, 41, 60]),
        ("kms", vec![1, 184], vec![0]),
        ("kms+context", vec![1, 184], vec![0]),
        ("RSA-OAEP-SHA1", vec![128, 256, 512], vec![0]),
        (
            "RSA/ECB/OAEPWithSHA-256AndMGF1Padding",
            vec![128, 256, 512],
            vec![0],
        ),
    ] {
        let mut object = v2();
        set(&mut object, WRAP, wrap);
        for length in right {
            let outcome = with(object.clone(), KEY_V2, &of_length(length));
            assert_eq!(outcome, "v2", "{wrap} {length}");
        }
        for length in wrong {
            let outcome = with(object.clone(), KEY_V2, &of_length(length));
            assert_eq!(outcome, "invalid x-amz-key-v2", "{wrap} {length}");
        }
    }
}

#[test]
fn v1_is_rsa_when_its_key_is_long() {
    for (length, wrap) in [
        (32, WrapAlgorithm::V1Aes),
        (48, WrapAlgorithm::V1Aes),
        (49, WrapAlgorithm::V1Rsa),
        (256, WrapAlgorithm::V1Rsa),
    ] {
        let mut object = v1();
        set(&mut object, KEY_V1, &of_length(length));
        assert_eq!(read(&object, None).unwrap().wrap, wrap, "{length}");
    }
}

#[test]
fn base64_is_strict() {
    let id = of_length(28);
    for wrong in [
        id.trim_end_matches('=').to_owned(),
        format!("{id}\n"),
        format!(" {id}"),
        format!("{}\n{}", &id[..4], &id[4..]),
        id.replace("Bw==", "Bx=="),
        "_".repeat(40),
        "notvalidbase64".to_owned(),
    ] {
        let mut object = v3();
        set(&mut object, MESSAGE_ID_V3, &wrong);
        let error = read(&object, None).unwrap_err();
        let Error::InvalidValue { key, reason } = &error else {
            panic!("{wrong}: {error}");
        };
        assert_eq!((*key, reason.contains("base64")), (MESSAGE_ID_V3, true));
    }
}

#[test]
fn unknown_algorithms_are_named() {
    assert_eq!(with(v2(), WRAP, "AES"), "unknown x-amz-wrap-alg AES");
    assert_eq!(with(v2(), WRAP, "KMS"), "unknown x-amz-wrap-alg KMS");
    assert_eq!(with(v2(), WRAP, ""), "unknown x-amz-wrap-alg ");
    let cipher = "AES/CTR/NoPadding";
    assert_eq!(
        with(v2(), CONTENT_CIPHER, cipher),
        "unknown x-amz-cek-alg AES/CTR/NoPadding"
    );
    for code in ["2", "21", "022", " 02", "AES/GCM"] {
        let outcome = with(v3(), WRAP_V3, code);
        assert_eq!(outcome, format!("unknown x-amz-w {code}"));
    }
    for suite in ["114", "0115", "115 ", ""] {
        let outcome = with(v3(), SUITE_V3, suite);
        assert_eq!(outcome, format!("unknown x-amz-c {suite}"));
    }
    let long = "ä".repeat(1000);
    let outcome = with(v2(), WRAP, &long);
    assert_eq!(
        outcome,
        format!("unknown x-amz-wrap-alg {}", "ä".repeat(64))
    );
}

#[test]
fn a_tag_length_says_128_or_nothing() {
    for wrong in ["96", "0", "1280", "128 ", "0128", "+128"] {
        assert_eq!(with(v2(), TAG_LENGTH, wrong), "invalid x-amz-tag-len");
    }
    assert_eq!(with(v2(), TAG_LENGTH, ""), "missing x-amz-tag-len");
    assert_eq!(with(v2_cbc(), TAG_LENGTH, ""), "v2");
    assert_eq!(with(v2_cbc(), TAG_LENGTH, "0"), "v2");
    assert_eq!(with(v2_cbc(), TAG_LENGTH, "128"), "invalid x-amz-tag-len");
    let pkcs7 = "AES/CBC/PKCS7Padding";
    assert_eq!(with(v2_cbc(), CONTENT_CIPHER, pkcs7), "v2");
}

#[test]
fn keys_of_two_formats_are_refused() {
    for (object, one) in [(v1(), KEY_V1), (v2(), KEY_V2)] {
        for other in names::V3 {
            let outcome = with(object.clone(), other, "x");
            assert_eq!(outcome, format!("mixed {one} {other}"));
        }
    }
    for one in names::V1_OR_V2 {
        let outcome = with(v3(), one, "x");
        let other = if names::KEYS.contains(&one) {
            KEY_V3
        } else {
            SUITE_V3
        };
        assert_eq!(outcome, format!("mixed {one} {other}"));
    }
    for other in names::V2_ONLY {
        let outcome = with(v1(), other, "x");
        assert_eq!(outcome, format!("mixed x-amz-key {other}"));
    }
    // Whatever the case of the letters.
    assert_eq!(with(v2(), "X-Amz-C", "115"), "mixed x-amz-key-v2 x-amz-c");
    assert_eq!(with(v2(), "X-AMZ-IV", &of_length(12)), "invalid x-amz-iv");
}

#[test]
fn keys_are_compared_without_case() {
    for object in [v1(), v2(), v2_cbc(), v3()] {
        let plain = read(&object, None).unwrap();
        let object: Pairs = object
            .into_iter()
            .map(|(name, value)| (name.to_ascii_uppercase(), value))
            .collect();
        assert_eq!(read(&object, None).unwrap(), plain);
    }
}

#[test]
fn empty_optional_values_are_absent() {
    for (object, name) in [
        (v2(), DESCRIPTION),
        (v2(), PLAINTEXT_LENGTH),
        (v2(), CONTEXT_V3),
        (v3(), CONTEXT_V3),
        (v3(), DESCRIPTION_V3),
        (v3(), PLAINTEXT_LENGTH),
        (v3(), DESCRIPTION),
        (v3(), TAG_LENGTH),
    ] {
        let mut emptied = object.clone();
        set(&mut emptied, name, "");
        let mut without = object;
        without.retain(|(found, _)| found != name);
        assert_eq!(
            read(&emptied, None).unwrap(),
            read(&without, None).unwrap(),
            "{name}"
        );
    }
    assert_eq!(with(v1(), DESCRIPTION, ""), "missing x-amz-matdesc");
    // One that is needed is not absent, it is wrong.
    assert_eq!(with(v2(), SUITE_V3, ""), "mixed x-amz-key-v2 x-amz-c");
}

#[test]
fn a_description_is_an_object_of_strings() {
    for wrong in [
        "null",
        "[]",
        "\"a\"",
        "{",
        "{}x",
        "\u{feff}{}",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":[\"b\"]}",
        "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"a\":\"b\",\"\\u0061\":\"c\"}",
        "{\"a\":\"\\ud800\"}",
        "=?UTF-8?Q?=E9?=",
    ] {
        assert_eq!(with(v1(), DESCRIPTION, wrong), "invalid x-amz-matdesc");
        assert_eq!(with(v2(), DESCRIPTION, wrong), "invalid x-amz-matdesc");
        assert_eq!(with(v3(), DESCRIPTION_V3, wrong), "invalid x-amz-m");
    }
    let deep = "[".repeat(60_000);
    assert_eq!(with(v2(), DESCRIPTION, &deep), "invalid x-amz-matdesc");
    let deep = format!("{{\"a\":{deep}");
    assert_eq!(with(v2(), DESCRIPTION, &deep), "invalid x-amz-matdesc");
    let long = format!("{{\"a\":\"{}\"}}", "b".repeat(MAXIMUM_LENGTH - 8));
    assert_eq!(with(v2(), DESCRIPTION, &long), "v2");
    let long = format!(" {long}");
    assert_eq!(with(v2(), DESCRIPTION, &long), "invalid x-amz-matdesc");
}

#[test]
fn v3_reads_the_description_of_its_wrap() {
    let (context, description) = ("{\"t\":\"1\"}", "{\"m\":\"1\"}");
    for (code, length, kept) in [("12", 184, "t"), ("02", 60, "m"), ("22", 256, "m")] {
        let mut object = v3();
        set(&mut object, WRAP_V3, code);
        set(&mut object, KEY_V3, &of_length(length));
        set(&mut object, CONTEXT_V3, context);
        set(&mut object, DESCRIPTION_V3, description);
        let envelope = read(&object, None).unwrap();
        let expected = BTreeMap::from([(kept.to_owned(), "1".to_owned())]);
        assert_eq!(envelope.description, expected);
    }
}

#[test]
fn a_claimed_length_is_a_number() {
    for (text, length) in [("0", 0), ("18446744073709551615", u64::MAX)] {
        let mut object = v2();
        set(&mut object, PLAINTEXT_LENGTH, text);
        assert_eq!(read(&object, None).unwrap().plaintext_length, Some(length));
    }
    for wrong in ["-1", "+1", "1.0", "18446744073709551616", "x", " 1"] {
        let outcome = with(v2(), PLAINTEXT_LENGTH, wrong);
        assert_eq!(outcome, format!("invalid {PLAINTEXT_LENGTH}"));
    }
    // V3 has none, whatever is there.
    let mut object = v3();
    set(&mut object, PLAINTEXT_LENGTH, "5");
    assert_eq!(read(&object, None).unwrap().plaintext_length, None);
}

#[test]
fn an_object_is_whole_or_its_keys_are_elsewhere() {
    for name in [KEY_V3, COMMITMENT_V3, MESSAGE_ID_V3, SUITE_V3, WRAP_V3] {
        let mut object = v3();
        object.retain(|(found, _)| found != name);
        assert_eq!(outcome(&read(&object, None)), format!("missing {name}"));
    }
    for (missing, pairs) in [
        (SUITE_V3, vec![(COMMITMENT_V3, "x")]),
        (COMMITMENT_V3, vec![(SUITE_V3, "115")]),
        (SUITE_V3, vec![(CONTEXT_V3, "{}")]),
        (KEY_V2, vec![(IV, "x")]),
        (KEY_V2, vec![(WRAP, "x")]),
        (KEY_V2, vec![(CONTENT_CIPHER, "x")]),
        (KEY_V2, vec![(DESCRIPTION, "{}")]),
    ] {
        let outcome = with_file(&owned(&pairs), "{}");
        assert_eq!(outcome, format!("missing {missing}"));
    }
    for name in [KEY_V2, IV, CONTENT_CIPHER, WRAP] {
        let mut file = v2();
        file.retain(|(found, _)| found != name);
        let text = self::file(&file, "");
        assert_eq!(with_file(&Vec::new(), &text), format!("missing {name}"));
    }
    for name in [KEY_V3, WRAP_V3] {
        let mut file = v3_file();
        file.retain(|(found, _)| found != name);
        let text = self::file(&file, "");
        assert_eq!(with_file(&v3_object(), &text), format!("missing {name}"));
    }
}

#[test]
fn an_instruction_file_is_an_object_of_strings() {
    for wrong in [
        "",
        "not JSON",
        "null",
        "[]",
        "\u{feff}{}",
        "{}{}",
        "{\"a\":{}}",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":true}",
        "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"x-amz-key-v2\":1}",
        "{\"x-amz-key-v2\":null}",
        "{\"x-amz-tag-len\":-1}",
        "{\"x-amz-tag-len\":1.5}",
        "{\"x-amz-new\":\"b\"}",
        "{\"X-Amz-New\":\"b\"}",
    ] {
        assert_eq!(with_file(&Vec::new(), wrong), "file not valid", "{wrong}");
        assert_eq!(with_file(&v3_object(), wrong), "file not valid", "{wrong}");
    }
    let nested = format!("{{\"a\":{}", "[".repeat(60_000));
    assert_eq!(with_file(&Vec::new(), &nested), "file not valid");

    let text = file(&v2(), "");
    let padding = " ".repeat(MAXIMUM_LENGTH - text.len());
    assert_eq!(with_file(&Vec::new(), &format!("{text}{padding}")), "v2");
    let long = format!("{text}{padding} ");
    assert_eq!(with_file(&Vec::new(), &long), "file not valid");
}

#[test]
fn what_old_clients_wrote_into_files_is_read() {
    for (more, length) in [
        (",\"color\":\"blue\"", None),
        (",\"x-amz-unencrypted-content-length\":\"5\"", Some(5)),
        (",\"x-amz-unencrypted-content-length\":5", Some(5)),
        (",\"x-amz-crypto-instr-file\":\"\"", None),
        (",\"x-amz-unencrypted-content-md5\":\"x\"", None),
        (",\"x-amz-m\":null", None),
    ] {
        let text = file(&v2(), more);
        let envelope = read(&Vec::new(), Some(text.as_bytes())).unwrap();
        assert_eq!(envelope.plaintext_length, length, "{more}");
    }
    let text = file(&v2(), "").replace("\"128\"", "128");
    assert_eq!(with_file(&Vec::new(), &text), "v2");
    let text = file(&v2(), "").replace("\"128\"", "96");
    assert_eq!(with_file(&Vec::new(), &text), "invalid x-amz-tag-len");
    let text = file(&v2_cbc(), "").replace("\"x-amz-tag-len\":\"\"", "\"x-amz-tag-len\":0");
    assert_eq!(with_file(&Vec::new(), &text), "v2");

    let mut file_of_v3 = v3_file();
    file_of_v3.retain(|(name, _)| name != DESCRIPTION_V3);
    let text = file(&file_of_v3, ",\"x-amz-m\":null");
    assert_eq!(with_file(&v3_object(), &text), "v3");
    // The object's claim counts when the file has none.
    let object = owned(&[(PLAINTEXT_LENGTH, "6")]);
    let text = file(&v2(), "");
    let envelope = read(&object, Some(text.as_bytes())).unwrap();
    assert_eq!(envelope.plaintext_length, Some(6));
}

#[test]
fn text_in_files_is_not_encoded_twice() {
    let mut pairs = v2();
    set(&mut pairs, DESCRIPTION, "{\"a\":\"Ã©\"}");
    let envelope = read(&Vec::new(), Some(file(&pairs, "").as_bytes())).unwrap();
    assert_eq!(envelope.description["a"], "Ã©");
    assert_eq!(read(&pairs, None).unwrap().description["a"], "é");
}

#[test]
fn a_file_of_another_format_is_refused() {
    for key in names::V3_ON_OBJECT {
        let more = format!(",\"{key}\":\"x\"");
        for (object, pairs) in [(v3_object(), v3_file()), (Vec::new(), v2())] {
            let text = file(&pairs, &more);
            assert_eq!(with_file(&object, &text), format!("in file {key}"));
        }
    }
    for key in names::V1_OR_V2 {
        let text = format!("{{\"{key}\":\"x\"}}");
        let outcome = with_file(&v3_object(), &text);
        assert_eq!(outcome, format!("mixed x-amz-c {key}"));
    }
    let text = file(&v1(), "");
    assert_eq!(with_file(&v3_object(), &text), "mixed x-amz-c x-amz-key");
    let text = file(&v3_file(), "");
    assert_eq!(with_file(&Vec::new(), &text), "missing x-amz-c");
    let text = file(&v2(), ",\"x-amz-w\":\"02\"");
    assert_eq!(with_file(&Vec::new(), &text), "mixed x-amz-key-v2 x-amz-w");
    let text = file(&v2(), ",\"x-amz-key\":\"x\"");
    let expected = "mixed x-amz-key x-amz-key-v2";
    assert_eq!(with_file(&Vec::new(), &text), expected);
}

#[test]
fn errors_have_classes_and_show_no_keys() {
    for (error, class) in [
        (with_error(v2(), SUITE_V3, "115"), ErrorClass::Security),
        (with_error(v2(), WRAP, "AES"), ErrorClass::Format),
        (with_error(v2(), KEY_V2, &of_length(59)), ErrorClass::Format),
        (with_error(v2(), KEY_V2, "BwcHBw"), ErrorClass::Format),
    ] {
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains("BwcH"), "{error}");
    }
    let text = file(&v3_file(), ",\"x-amz-d\":\"BwcHBw==\"");
    let error = read(&v3_object(), Some(text.as_bytes())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Security);
    let text = file(&v2(), "").replace(':', ";");
    let error = read(&Vec::new(), Some(text.as_bytes())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Format);
    assert!(!error.to_string().contains("BwcH"), "{error}");
}

fn with_error(mut pairs: Pairs, name: &str, value: &str) -> Error {
    set(&mut pairs, name, value);
    read(&pairs, None).unwrap_err()
}

// Rules of the codec

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
fn a_wrap_binds_to_what_it_encrypts() {
    for (object, version, binding, bound_to_another) in [
        (v1(), 1, "AES/GCM/NoPadding", false),
        (v2(), 2, "AES/GCM/NoPadding", false),
        (v2_cbc(), 2, "AES/GCM/NoPadding", true),
        (v3(), 3, "115", false),
    ] {
        let envelope = read(&object, None).unwrap();
        assert_eq!(envelope.content.version(), version);
        assert_eq!(envelope.content.binding(), binding);
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
        prop_assert!(written.iter().all(|(name, value)| {
            is_reserved(name) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        }));
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
