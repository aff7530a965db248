//! The tables of what may be configured, read and written.

use envelope::CommitmentPolicy;
use envelope_s3::S3ec;
use envelope_store::{EncryptedStore, Opened};
use futures::executor::block_on;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;

use super::golden::Kind;
use crate::support::recorded_kms::RecordedKms;
use crate::support::stored_object::StoredObject;
use crate::support::{
    GOLDEN, file_path, golden_aes, golden_keys, golden_rsa, keys_with, path, plaintext, reader,
    reads_all, text, variant,
};

const PLAINTEXT_17: usize = 17;

pub fn label(_: usize, entry: &Value) -> String {
    let fields = entry.as_object().unwrap();
    let fields = [
        "policy",
        "algorithm",
        "suite",
        "format",
        "wrap",
        "enable_legacy_unauthenticated_modes",
    ]
    .into_iter()
    .filter_map(|name| fields.get(name));
    let words: Vec<_> = fields
        .map(|value| value.to_string().replace('"', ""))
        .collect();
    words.join(" ")
}

fn policy(entry: &Value) -> CommitmentPolicy {
    match text(&entry["policy"]) {
        "FORBID_ENCRYPT_ALLOW_DECRYPT" => CommitmentPolicy::ForbidEncryptAllowDecrypt,
        "REQUIRE_ENCRYPT_ALLOW_DECRYPT" => CommitmentPolicy::RequireEncryptAllowDecrypt,
        "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" => CommitmentPolicy::RequireEncryptRequireDecrypt,
        other => panic!("no policy {other}"),
    }
}

/// The suite's id, and whether what it encrypts is read in parts only.
fn suite(name: &str) -> (u16, bool) {
    match name {
        "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY" => (115, false),
        "ALG_AES_256_CTR_HKDF_SHA512_COMMIT_KEY" => (116, true),
        "ALG_AES_256_GCM_IV12_TAG16_NO_KDF" => (114, false),
        "ALG_AES_256_CTR_IV16_TAG16_NO_KDF" => (113, true),
        "ALG_AES_256_CBC_IV16_NO_KDF" => (112, false),
        other => panic!("no suite {other}"),
    }
}

/// A client that may not be built is a format that nobody can ask for, or one that refuses to do
/// anything.
pub fn client(entry: &Value) {
    let (id, _) = suite(text(&entry["algorithm"]));
    let mut formats = [S3ec::v2(), S3ec::v3()].into_iter();
    let Some(format) = formats.find(|format| format.suite().id() == id) else {
        assert_eq!(entry["error"], "legacy algorithm");
        return;
    };
    let format = format.policy(policy(entry));
    let object = StoredObject::golden("pyraw/v3/aes/17");
    block_on(async {
        let store = EncryptedStore::builder(object.put().await)
            .format(format)
            .build(golden_aes());
        let written = store.put(&"new".into(), "abc".into()).await;
        let read = store.get(&path()).await;
        if entry["client_builds"] == true {
            written.unwrap();
            read.unwrap();
            return;
        }
        let conflict = "algorithm conflicts with the commitment policy";
        assert_eq!(entry["error"], conflict);
        assert_eq!(variant(&written.unwrap_err()), "PolicyForbidsEncrypt");
        // It does not read either, as there is no such client.
        assert_eq!(variant(&read.unwrap_err()), "PolicyForbidsEncrypt");
    });
}

/// A suite of CTR stands for reading a part of what its GCM suite encrypted.
pub fn read(entry: &Value) {
    let (id, part) = suite(text(&entry["suite"]));
    let object = StoredObject::golden(match id {
        115 | 116 => "pyraw/v3/aes/17",
        114 | 113 => "pyraw/v2/aes/17",
        _ => "ruby/v1/aes/metadata/17",
    });
    let unauthenticated = entry["enable_legacy_unauthenticated_modes"] == true;
    block_on(async {
        let store = EncryptedStore::builder(object.put().await)
            .format(reader(policy(entry), true, unauthenticated))
            .build(golden_aes());
        let range = part.then_some(1..16);
        let options = object.options.clone().with_range(range.clone());
        let read = store.get_opts(&path(), options).await;
        if entry["read_allowed"] == true {
            let expected = plaintext(PLAINTEXT_17);
            let expected = if part {
                &expected[1..16]
            } else {
                &expected[..]
            };
            assert_eq!(read.unwrap().bytes().await.unwrap(), expected);
            return;
        }
        let required = policy(entry) == CommitmentPolicy::RequireEncryptRequireDecrypt;
        let expected = match (id, part) {
            (_, true) if !unauthenticated => "RangeNotAuthenticated",
            (112..=114, _) if required => "PolicyForbidsDecrypt",
            (112, _) => "LegacyContent",
            other => panic!("{other:?} must be read"),
        };
        assert_eq!(variant(&read.unwrap_err()), expected);
    });
}

pub fn wrap(entry: &Value) {
    let wrap = text(&entry["wrap"]);
    // V1 stores no name.
    let wrap = match wrap.strip_prefix("(none) ") {
        Some("AES/ECB/PKCS5Padding") => "AES",
        Some("RSA/ECB/PKCS1Padding") => "RSA",
        None => wrap,
        Some(other) => panic!("nobody knows {other}"),
    };
    block_on(async {
        match entry["write"] == true {
            true => written_wrap(entry, wrap).await,
            false => read_wrap(entry, wrap).await,
        }
    });
}

async fn written_wrap(entry: &Value, wrap: &str) {
    assert_eq!(entry["legacy"], false);
    let (format, field) = match text(&entry["format"]) {
        "v2" => (S3ec::v2(), "x-amz-wrap-alg"),
        _ => (S3ec::v3(), "x-amz-w"),
    };
    let kms = RecordedKms::default();
    let object = match text(&entry["keyring"]) {
        "kms" => StoredObject::written(format.clone(), kms.clone(), b"abc").await,
        "aes" => StoredObject::written(format.clone(), golden_aes(), b"abc").await,
        _ => StoredObject::written(format.clone(), golden_rsa(), b"abc").await,
    };
    assert_eq!(object.value(field), wrap);
    // No switch is needed for it.
    let read = object.read(format, keys_with(&kms)).await.unwrap();
    assert_eq!(read, b"abc");
}

/// Only golden objects have it, and only by the switch are they read.
async fn read_wrap(entry: &Value, wrap: &str) {
    assert_eq!(entry["legacy"], true);
    let objects = GOLDEN["objects"].as_array().unwrap().iter();
    let mut wrapped = objects.filter(|object| {
        object["wrap_alg"] == wrap
            && object["format"] == entry["format"]
            && object["keyring"] == entry["keyring"]
    });
    let found = wrapped.next().unwrap();
    assert!(Kind::of_entry(found).legacy_wrap);
    let object = StoredObject::of_entry(found);
    let policy = CommitmentPolicy::RequireEncryptAllowDecrypt;
    let error = object
        .read(reader(policy, false, true), golden_keys())
        .await;
    assert_eq!(variant(&error.unwrap_err()), "LegacyWrap");
    let read = object.read(reader(policy, true, true), golden_keys()).await;
    let expected = hex::decode(text(&found["plaintext_hex"])).unwrap();
    assert_eq!(read.unwrap(), expected);
}

/// What `S3ec::v3()` does when nothing else is said.
pub fn default(entry: &Value) {
    let (name, value) = (text(&entry[0]), &entry[1]);
    block_on(async {
        let plain = S3ec::v3();
        match name {
            "policy" => {
                assert_eq!(value, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT");
                let object = StoredObject::golden("pyraw/v2/aes/17");
                let error = object.read(plain, golden_aes()).await.unwrap_err();
                assert_eq!(variant(&error), "PolicyForbidsDecrypt");
            }
            "algorithm" => assert_eq!(plain.suite().id(), suite(text(value)).0),
            "enable_legacy_wrapping_algorithms" => {
                assert_eq!(*value, false);
                let object = StoredObject::golden("legacy/v2/aeswrap/17");
                let error = object.read(S3ec::v2(), golden_aes()).await.unwrap_err();
                assert_eq!(variant(&error), "LegacyWrap");
            }
            "enable_legacy_unauthenticated_modes" => {
                assert_eq!(*value, false);
                let object = StoredObject::golden("ruby/v1/aes/metadata/17");
                let error = object.read(S3ec::v2(), golden_aes()).await.unwrap_err();
                assert_eq!(variant(&error), "LegacyContent");
            }
            "enable_delayed_authentication" => {
                assert_eq!(*value, false);
                let object = StoredObject::golden("pyraw/v3/aes/17");
                let store = EncryptedStore::builder(object.put().await)
                    .format(plain)
                    .build(golden_aes());
                let read = store.get(&path()).await.unwrap();
                assert!(read.extensions.get::<Opened>().unwrap().is_verified());
            }
            "instruction_file_put" => {
                assert_eq!(*value, false);
                let object = StoredObject::written(plain, golden_aes(), b"abc").await;
                assert_eq!(object.file, None, "{}", file_path());
            }
            "instruction_file_get" => {
                assert_eq!(*value, true);
                let object = StoredObject::golden("pyraw/v3/aes/17-instr");
                let read = object.read(plain, golden_aes()).await.unwrap();
                assert_eq!(read, plaintext(PLAINTEXT_17));
                let off = reads_all().without_instruction_files();
                let error = object.read(off, golden_aes()).await.unwrap_err();
                assert_eq!(variant(&error), "NoEnvelope");
            }
            other => panic!("nobody knows the default {other}"),
        }
    });
}
