//! What is refused, as what, and in which words.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::{CommitmentPolicy, EncryptionContext, Multi, RawAes, WrappingKey};
use envelope_s3::keyring::Rsa;
use envelope_s3::{Error, InstructionSuffix, METADATA_LIMIT, S3ec};
use envelope_store::{EncryptedStore, Longer, Waiting};
use object_store::memory::InMemory;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, Result,
};
use serde_json::json;
use support::recorded_kms::RecordedKms;
use support::stored_object::StoredObject;
use support::watched::Watched;
use support::{
    Class, POLICIES, context, failure, golden_aes, golden_keys, golden_rsa, golden_rsa_public_key,
    metadata, other_aes, path, reader, reads_all, s3_error, store_error, variant,
};

fn v2() -> StoredObject {
    StoredObject::golden("pyraw/v2/aes/17")
}

fn v3() -> StoredObject {
    StoredObject::golden("pyraw/v3/aes/17")
}

fn v3_in_file() -> StoredObject {
    StoredObject::golden("pyraw/v3/aes/17-instr")
}

async fn refused(object: &StoredObject, expected: (&str, Class), words: &str) {
    let error = object.read(reads_all(), golden_keys()).await.unwrap_err();
    let (variant, class) = failure(&error);
    assert_eq!((&*variant, class), expected, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

fn base64_of(length: usize) -> String {
    BASE64_STANDARD.encode(vec![7; length])
}

#[tokio::test]
async fn keys_of_two_formats() {
    let mixed = ("MixedEnvelope", Class::Security);
    let words = "belong to different formats";
    for (name, value) in &v3().metadata {
        refused(&v2().with(name, value), mixed, words).await;
    }
    for (name, value) in &v2().metadata {
        refused(&v3().with(name, value), mixed, words).await;
    }
    refused(&v2().with("x-amz-key", base64_of(48)), mixed, words).await;
    let v1 = StoredObject::golden("legacy/v1/aes-ecb/17");
    for name in ["x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-tag-len"] {
        refused(&v1.clone().with(name, "128"), mixed, words).await;
    }
    // The file of the one beside the metadata of the other.
    let file = StoredObject::golden("pyraw/v2/aes/17-instr").file;
    let foreign = StoredObject {
        file,
        ..v3_in_file()
    };
    refused(&foreign, mixed, words).await;
}

#[tokio::test]
async fn what_belongs_to_the_object_in_the_file() {
    for name in ["x-amz-c", "x-amz-d", "x-amz-i"] {
        let value = v3_in_file().metadata[name].clone();
        let in_both = v3_in_file().with_file_json(|file| file[name] = value.into());
        let expected = ("CommitmentInInstructionFile", Class::Security);
        refused(&in_both, expected, name).await;
        let moved = in_both.without(name);
        // Without it the object is not even one whose keys are in a file.
        let expected = ("IncompleteEnvelope", Class::Format);
        refused(&moved, expected, name).await;
    }
}

#[tokio::test]
async fn instruction_files_that_are_missing_or_none() {
    for (object, expected) in [
        (v3_in_file(), "InstructionFileMissing"),
        (StoredObject::golden("pyraw/v2/aes/17-instr"), "NoEnvelope"),
    ] {
        let mut missing = object.clone();
        missing.file = None;
        let error = missing.read(reads_all(), golden_keys()).await.unwrap_err();
        assert_eq!(variant(&error), expected);

        let off = reads_all().without_instruction_files();
        let error = object.read(off, golden_keys()).await.unwrap_err();
        assert_eq!(failure(&error), ("NoEnvelope".to_owned(), Class::Format));

        let not_valid = ("InstructionFileNotValid", Class::Format);
        for file in [
            "",
            "no json",
            "[]",
            "\"text\"",
            "null",
            "{",
            "{} {}",
            "{\"a\":1}",
            "{\"a\":{}}",
            "{\"a\":null}",
            "{\"a\":\"1\",\"a\":\"2\"}",
            "{\"x-amz-new\":\"1\"}",
            "\u{feff}{}",
        ] {
            let file = Some(file.as_bytes().to_vec());
            let object = StoredObject {
                file,
                ..object.clone()
            };
            refused(&object, not_valid, "the instruction file is not one").await;
        }
        let deep = [vec![b'['; 50_000], vec![b']'; 50_000]].concat();
        let long = format!("{{\"a\":\"{}\"}}", "a".repeat(100_000)).into_bytes();
        for file in [deep, long, vec![0xff; 100]] {
            let file = Some(file);
            let object = StoredObject {
                file,
                ..object.clone()
            };
            refused(&object, not_valid, "the instruction file is not one").await;
        }
    }
    let huge = StoredObject {
        file: Some(vec![b' '; 2 << 20]),
        ..v3_in_file()
    };
    let error = huge.read(reads_all(), golden_keys()).await.unwrap_err();
    assert_eq!(variant(&error), "InstructionFileTooLong");
}

#[tokio::test]
async fn values_of_metadata() {
    let invalid = ("InvalidValue", Class::Format);
    for length in ["96", "0", "", "129", "128 "] {
        let expected = match length {
            // An empty value is none.
            "" => ("IncompleteEnvelope", Class::Format),
            _ => invalid,
        };
        refused(
            &v2().with("x-amz-tag-len", length),
            expected,
            "x-amz-tag-len",
        )
        .await;
    }
    for (object, name, lengths) in [
        (v2(), "x-amz-key-v2", [59, 61, 0]),
        (v3(), "x-amz-3", [59, 61, 0]),
        (v2(), "x-amz-iv", [11, 13, 16]),
        (v3(), "x-amz-i", [27, 29, 0]),
        (v3(), "x-amz-d", [27, 29, 0]),
    ] {
        for length in lengths {
            let changed = object.clone().with(name, base64_of(length));
            refused(&changed, invalid, name).await;
        }
        for text in ["*", "AAA", "QUJD\n", " QUJD", "QUI", "QUJ=", "é"] {
            let changed = object.clone().with(name, text);
            refused(&changed, invalid, name).await;
        }
    }
    for (object, name) in [(v2(), "x-amz-matdesc"), (v3(), "x-amz-m")] {
        for text in [
            "{",
            "[]",
            "{\"a\":1}",
            "{\"a\":null}",
            "{\"a\":\"\",\"a\":\"\"}",
            "null",
        ] {
            let changed = object.clone().with(name, text);
            refused(&changed, invalid, name).await;
        }
    }
    let v1 = StoredObject::golden("legacy/v1/aes-ecb/17");
    for (name, length) in [("x-amz-iv", 12), ("x-amz-key", 47)] {
        let changed = v1.clone().with(name, base64_of(length));
        refused(&changed, invalid, name).await;
    }
    for text in ["-1", "+1", "x", "18446744073709551616"] {
        let changed = v2().with("x-amz-unencrypted-content-length", text);
        refused(&changed, invalid, "x-amz-unencrypted-content-length").await;
    }
}

#[tokio::test]
async fn algorithms_that_nobody_knows() {
    let unknown = ("UnknownAlgorithm", Class::Format);
    for (object, name, values) in [
        (
            v3(),
            "x-amz-c",
            ["114", "116", "0x73", "AES/GCM/NoPadding", ""],
        ),
        (v3(), "x-amz-w", ["01", "11", "21", "AES/GCM", "2"]),
        (
            v2(),
            "x-amz-wrap-alg",
            ["02", "AES", "RSA", "aes/gcm", "KMS"],
        ),
        (
            v2(),
            "x-amz-cek-alg",
            ["115", "AES/CTR/NoPadding", "aes/gcm/nopadding", "", "AES"],
        ),
    ] {
        for value in values {
            refused(&object.clone().with(name, value), unknown, name).await;
        }
        // Errors show the beginning of what anybody could have written.
        let long = object.clone().with(name, "z".repeat(5000));
        let error = long.read(reads_all(), golden_keys()).await.unwrap_err();
        assert_eq!(
            failure(&error),
            ("UnknownAlgorithm".to_owned(), Class::Format)
        );
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[tokio::test]
async fn parts_that_are_missing() {
    let missing = ("IncompleteEnvelope", Class::Format);
    for object in [v2(), v3()] {
        for name in object.metadata.keys() {
            match name.as_str() {
                // Without a description, as without a key, an object may be another kind of object.
                "x-amz-matdesc" | "x-amz-m" => continue,
                _ => refused(&object.clone().without(name), missing, "x-amz-").await,
            }
        }
    }
    // Of an object whose envelope is in a file, nothing else is on the object.
    let in_file = StoredObject::golden("pyraw/v2/aes/17-instr");
    for name in ["x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg"] {
        refused(&in_file.clone().with(name, "x"), missing, "x-amz-key-v2").await;
    }
    let without = v3_in_file().with_file_json(|file| {
        file.as_object_mut().unwrap().remove("x-amz-w");
    });
    refused(&without, missing, "x-amz-w").await;
    // The file of a V3 object that lost its metadata.
    let mut lost = v3_in_file();
    lost.metadata.clear();
    refused(&lost, missing, "x-amz-c").await;
}

#[tokio::test]
async fn gcm_relabelled_as_cbc() {
    let relabelled = v2()
        .with("x-amz-cek-alg", "AES/CBC/PKCS5Padding")
        .with("x-amz-iv", base64_of(16))
        .without("x-amz-tag-len");
    let expected = ("BoundToAnotherCipher", Class::Security);
    refused(&relabelled, expected, "bound to another cipher").await;
    for policy in POLICIES {
        let read = relabelled.read(reader(policy, true, false), golden_keys());
        let expected = match policy {
            CommitmentPolicy::RequireEncryptRequireDecrypt => "PolicyForbidsDecrypt",
            _ => "LegacyContent",
        };
        assert_eq!(variant(&read.await.unwrap_err()), expected);
    }
}

/// A key that V2 bound to its cipher opens nothing in V3, and the other way round.
#[tokio::test]
async fn wraps_of_the_other_format() {
    for kind in ["aes", "rsa"] {
        let v2 = StoredObject::golden(&format!("pyraw/v2/{kind}/17"));
        let v3 = StoredObject::golden(&format!("pyraw/v3/{kind}/17"));
        let (old, new) = (v2.value("x-amz-key-v2"), v3.value("x-amz-3"));
        for object in [v3.with("x-amz-3", old), v2.with("x-amz-key-v2", new)] {
            let error = object.read(reads_all(), golden_keys()).await.unwrap_err();
            assert_eq!(failure(&error), ("NotUnwrapped".to_owned(), Class::NoKey));
        }
    }
}

async fn put(format: S3ec, given: &EncryptionContext) -> Result<()> {
    let store = EncryptedStore::builder(InMemory::new())
        .format(format)
        .build(golden_aes());
    let mut options = PutOptions::default();
    options.extensions.insert(given.clone());
    store.put_opts(&path(), "abc".into(), options).await?;
    Ok(())
}

#[tokio::test]
async fn contexts_of_the_caller() {
    for key in ["aws:x-amz-cek-alg", "kms_cmk_id"] {
        for format in [S3ec::v2(), S3ec::v3()] {
            let error = put(format, &context(&[(key, "115")])).await.unwrap_err();
            let found = s3_error(&error);
            assert!(
                matches!(found, Error::ReservedContextKey { key: it } if *it == key),
                "{found}"
            );
            assert_eq!(failure(&error).1, Class::Configuration);
        }
        let mut object = v3();
        object.options.extensions.insert(context(&[(key, "115")]));
        let expected = ("ReservedContextKey", Class::Configuration);
        refused(&object, expected, "belongs to the S3 Encryption Client").await;
    }
    // Raw keys have nowhere to keep a context.
    let given = context(&[("department", "payroll")]);
    let error = put(S3ec::v3(), &given).await.unwrap_err();
    assert_eq!(
        failure(&error),
        ("Keyring".to_owned(), Class::Configuration)
    );
    assert!(
        error
            .to_string()
            .contains("raw keys store no encryption context")
    );
    let mut object = v3();
    object.options.extensions.insert(given);
    let expected = ("ContextWithRawKey", Class::Configuration);
    refused(&object, expected, "bound to no encryption context").await;
}

#[tokio::test]
async fn bodies_without_room_for_a_tag() {
    for object in [v2(), v3(), v3_in_file()] {
        for length in 0..16 {
            let mut short = object.clone();
            short.body.truncate(length);
            let words = format!("truncated: it ends after {length} bytes");
            refused(&short, ("BodyTruncated", Class::Format), &words).await;
            let store = EncryptedStore::builder(short.put().await)
                .format(reads_all())
                .build(golden_keys());
            let error = store.get_range(&path(), 0..1).await.unwrap_err();
            assert_eq!(variant(&error), "BodyTruncated");
        }
        // A tag of nothing is no tag of this object.
        let mut short = object.clone();
        short.body.truncate(16);
        let expected = ("BodyNotAuthentic", Class::Security);
        refused(&short, expected, "tampered with").await;
    }
    let v1 = StoredObject::golden("legacy/v1/aes-ecb/17");
    for length in [0, 1, 15, 17, 31] {
        let mut short = v1.clone();
        short.body.truncate(length);
        refused(&short, ("CbcNotValid", Class::Format), "does not decrypt").await;
    }
}

#[tokio::test]
async fn ranges_past_the_end() {
    let store = EncryptedStore::builder(v3().put().await)
        .format(reads_all())
        .build(golden_keys());
    for range in [17..18, 33..34, u64::MAX - 1..u64::MAX] {
        let error = store.get_range(&path(), range).await.unwrap_err();
        let found = store_error(&error);
        assert!(
            matches!(found, envelope_store::Error::Range { .. }),
            "{found}"
        );
    }
    let options = GetOptions::new().with_range(Some(GetRange::Offset(18)));
    let error = store.get_opts(&path(), options).await.unwrap_err();
    assert!(matches!(
        store_error(&error),
        envelope_store::Error::Range { .. }
    ));
}

#[tokio::test]
async fn keys_that_do_not_fit() {
    let error = v3().read(S3ec::v3(), other_aes()).await.unwrap_err();
    assert_eq!(failure(&error).1, Class::NoKey);
    assert!(matches!(
        error,
        object_store::Error::PermissionDenied { .. }
    ));
    let reason = "does not open: another wrapping key, another content algorithm, or tampered";
    assert_eq!(support::attempts(&error), [reason]);

    let error = v3().read(S3ec::v3(), golden_rsa()).await.unwrap_err();
    let reason = "wrapped with AES/GCM; use envelope_s3::keyring::Aes";
    assert_eq!(support::attempts(&error), [reason]);

    let public = Rsa::encrypt_only(golden_rsa_public_key());
    let object = StoredObject::golden("pyraw/v3/rsa/17");
    let error = object.read(S3ec::v3(), public).await.unwrap_err();
    assert_eq!(
        support::attempts(&error),
        ["the keyring has no private key"]
    );
}

/// The formats have no place for what such a keyring makes.
#[tokio::test]
async fn keyrings_of_messages() {
    let raw = || {
        let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
        RawAes::new("acme", "test", key).unwrap()
    };
    let store = EncryptedStore::builder(InMemory::new())
        .format(S3ec::v3())
        .build(raw());
    let error = store.put(&path(), "abc".into()).await.unwrap_err();
    let expected = ("ForeignKeyring".to_owned(), Class::Configuration);
    assert_eq!(failure(&error), expected);

    let twice = Multi::generate_with(golden_aes()).and(other_aes());
    let store = EncryptedStore::builder(InMemory::new())
        .format(S3ec::v3())
        .build(twice);
    let error = store.put(&path(), "abc".into()).await.unwrap_err();
    assert_eq!(
        failure(&error),
        ("NotOneKey".to_owned(), Class::Configuration)
    );
}

#[tokio::test]
async fn settings_that_contradict_each_other() {
    let waiting = Waiting {
        in_memory: 100,
        longer: Longer::Refused,
    };
    for (format, words) in [
        (
            S3ec::v3().instruction_files().without_instruction_files(),
            "must not be written by a store that does not read them",
        ),
        (
            S3ec::v3()
                .waiting(waiting)
                .danger()
                .delayed_authentication(),
            "must not be set together",
        ),
        (S3ec::v3().further_suffix(""), "must not be empty"),
        (S3ec::v3().further_suffix("/x"), "have no slash"),
    ] {
        let watched = Watched::new();
        let store = EncryptedStore::builder(watched.clone())
            .format(format)
            .build(golden_aes());
        let error = store.put(&path(), "abc".into()).await.unwrap_err();
        assert_eq!(
            failure(&error),
            ("InvalidOption".to_owned(), Class::Configuration)
        );
        assert!(error.to_string().contains(words), "{error}");
        assert!(watched.log().is_empty());
    }
}

/// What the store does not keep is refused before a byte is sent.
#[tokio::test]
async fn metadata_that_is_too_long() {
    let longest = |watched: &Watched, format: S3ec, length: usize| {
        let store = EncryptedStore::builder(watched.clone())
            .format(format)
            .build(golden_aes());
        let value = "v".repeat(length);
        async move {
            let attributes = metadata(&[("n", &value)]);
            let options = PutOptions::from(attributes.clone());
            let put = store.put_opts(&path(), "abc".into(), options).await;
            let options = PutMultipartOptions::from(attributes);
            let upload = store.put_multipart_opts(&path(), options).await;
            assert_eq!(put.is_ok(), upload.is_ok());
            put
        }
    };
    for (format, own) in [
        // Five names of 7 characters, and their values.
        (S3ec::v3(), 5 * 7 + 3 + 40 + 40 + 80 + 2),
        (S3ec::v3().instruction_files(), 3 * 7 + 3 + 40 + 40),
        (S3ec::v2().instruction_files(), 0),
    ] {
        let watched = Watched::new();
        let room = METADATA_LIMIT - own - 1;
        longest(&watched, format.clone(), room).await.unwrap();
        watched.log();
        let error = longest(&watched, format, room + 1).await.unwrap_err();
        let expected = ("MetadataTooLong".to_owned(), Class::Configuration);
        assert_eq!(failure(&error), expected);
        assert!(error.to_string().contains("instruction files"), "{error}");
        assert!(watched.log().is_empty());
    }
}

#[tokio::test]
async fn names_of_metadata_that_are_the_formats() {
    let store = EncryptedStore::builder(InMemory::new())
        .format(S3ec::v3())
        .build(golden_aes());
    for name in [
        "x-amz-key-v2",
        "X-Amz-3",
        "x-amz-crypto-instr-file",
        "x-amz-unencrypted-content-length",
    ] {
        let options = PutOptions::from(metadata(&[(name, "x")]));
        let error = store.put_opts(&path(), "abc".into(), options).await;
        let error = error.unwrap_err();
        let found = store_error(&error);
        assert!(
            matches!(found, envelope_store::Error::ReservedMetadata { .. }),
            "{found}"
        );
    }
}

/// A suffix picks the file, and no other one is looked at.
#[tokio::test]
async fn files_with_another_suffix() {
    let mut object = v3_in_file();
    object
        .options
        .extensions
        .insert(InstructionSuffix::new(".partner"));
    let error = object.read(reads_all(), golden_keys()).await.unwrap_err();
    let found = store_error(&error);
    assert!(
        matches!(found, envelope_store::Error::InstructionFileMissing { instruction_file, .. }
            if instruction_file.as_ref() == "a/object.partner"),
        "{found}"
    );
}

/// No key is asked for while a rule speaks against the object.
#[tokio::test]
async fn rules_before_keys() {
    let kms = RecordedKms::golden();
    let object = StoredObject::golden("py/v3/kms/noec/17");
    for (name, value) in [
        ("x-amz-c", "114"),
        ("x-amz-d", "AAAA"),
        ("x-amz-iv", "AAAA"),
        ("x-amz-t", "{\"aws:x-amz-cek-alg\":\"114\"}"),
        ("x-amz-t", "{\"aws:x-amz-cek-alg\":\"115\",\"a\":\"1\"}"),
    ] {
        let changed = object.clone().with(name, value);
        changed.read(reads_all(), kms.clone()).await.unwrap_err();
        assert!(kms.asked().is_empty(), "{name} {value}");
    }
    let renamed = json!({ "x-amz-3": "AAAA", "x-amz-w": "12", "x-amz-c": "115" });
    let mut in_file = StoredObject::golden("transposed/v3/noec/17");
    in_file.file = Some(renamed.to_string().into_bytes());
    in_file.read(reads_all(), kms.clone()).await.unwrap_err();
    assert!(kms.asked().is_empty());
}
