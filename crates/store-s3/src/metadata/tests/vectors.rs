use std::path::Path;

use serde_json::{Value, json};

use super::*;

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
