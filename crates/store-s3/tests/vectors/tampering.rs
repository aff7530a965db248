//! Recipes of changes, and what each must come to.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::{CommitmentPolicy, RsaPadding};
use envelope_s3::S3ec;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::recorded_kms::RecordedKms;
use crate::support::stored_object::StoredObject;
use crate::support::{
    Class, POLICIES, failure, golden_keys, golden_rsa_public_key, keys_with, plaintext, reader,
    reads_all, text,
};

const ON_OBJECT: [&str; 3] = ["x-amz-c", "x-amz-d", "x-amz-i"];

/// The same with one bit of the value's text changed.
pub fn flip_bit_of_text(object: &StoredObject, name: &str, bit: usize) -> StoredObject {
    let mut bytes = object.metadata[name].clone().into_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    object.clone().with(name, String::from_utf8(bytes).unwrap())
}

/// The same with one bit changed of what the value encodes.
pub fn flip_bit_of_bytes(object: &StoredObject, name: &str, bit: usize) -> StoredObject {
    let mut bytes = BASE64_STANDARD.decode(&object.metadata[name]).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    object.clone().with(name, BASE64_STANDARD.encode(bytes))
}

/// The same with this many bytes of what the value encodes, or with zeros behind them.
pub fn resized(object: &StoredObject, name: &str, length: usize) -> StoredObject {
    let mut bytes = BASE64_STANDARD.decode(&object.metadata[name]).unwrap();
    bytes.resize(length, 0);
    object.clone().with(name, BASE64_STANDARD.encode(bytes))
}

async fn fails(object: &StoredObject, format: S3ec, expected: (&str, Class)) {
    let error = object.read(format, golden_keys()).await.unwrap_err();
    let (variant, class) = failure(&error);
    assert_eq!((&*variant, class), expected);
}

async fn opens(object: &StoredObject, format: S3ec) {
    let read = object.read(format, golden_keys()).await.unwrap();
    assert_eq!(read, plaintext(17));
}

const IN_FILES: [&str; 3] = [
    "transposed/v3/noec/17",
    "pyraw/v3/aes/17-instr",
    "pyraw/v3/rsa/17-instr",
];

pub fn check(recipe: &Value) {
    let v3 = || StoredObject::golden("pyraw/v3/aes/17");
    let in_file = || StoredObject::golden("pyraw/v3/aes/17-instr");
    block_on(async {
        match text(&recipe["id"]) {
            "header-spoof" => {
                let spoofed = StoredObject::golden("py/v2/kms/noec/17")
                    .with("x-amz-c", "115")
                    .with("x-amz-w", "12");
                for policy in POLICIES {
                    let format = reader(policy, true, true);
                    fails(&spoofed, format, ("MixedEnvelope", Class::Security)).await;
                }
            }
            "header-spoof-control" => {
                opens(&StoredObject::golden("py/v2/kms/noec/17"), S3ec::v2()).await;
            }
            "cdi-in-both" => commitment_in_file(false).await,
            "cdi-only-in-file" => commitment_in_file(true).await,
            "instr-junk" => {
                let junk = in_file().with_file_json(|file| *file = json!({ "invalid": "json" }));
                let expected = ("IncompleteEnvelope", Class::Format);
                fails(&junk, S3ec::v3(), expected).await;
            }
            "instr-key-renamed" => {
                let renamed =
                    StoredObject::golden("pyraw/v2/aes/17-instr").with_file_json(|file| {
                        let key = file.as_object_mut().unwrap().remove("x-amz-key-v2");
                        file["x-amz-key-v2-tampered"] = key.unwrap();
                    });
                let expected = ("InstructionFileNotValid", Class::Format);
                fails(&renamed, S3ec::v2(), expected).await;
            }
            "instr-deleted" => {
                let mut deleted = in_file();
                deleted.file = None;
                let expected = ("InstructionFileMissing", Class::Other);
                fails(&deleted, S3ec::v3(), expected).await;
                // Nothing says that this one ever was the client's.
                let mut deleted = StoredObject::golden("pyraw/v2/aes/17-instr");
                deleted.file = None;
                fails(&deleted, S3ec::v2(), ("NoEnvelope", Class::Format)).await;
            }
            "metadata-object-read-by-instr-client" => {
                opens(&v3(), S3ec::v3().instruction_files()).await;
            }
            "bit-flip-c" => {
                for bit in 0..3 * 8 {
                    // Metadata is text; a byte above ASCII alone is none.
                    if bit % 8 == 7 {
                        continue;
                    }
                    let flipped = flip_bit_of_text(&v3(), "x-amz-c", bit);
                    let expected = ("UnknownAlgorithm", Class::Format);
                    fails(&flipped, S3ec::v3(), expected).await;
                }
            }
            "bit-flip-d" => every_bit(&v3(), "x-amz-d").await,
            "bit-flip-i" => every_bit(&v3(), "x-amz-i").await,
            "d-short" => {
                let short = resized(&v3(), "x-amz-d", 20);
                fails(&short, S3ec::v3(), ("InvalidValue", Class::Format)).await;
            }
            "d-long" => {
                let long = resized(&v3(), "x-amz-d", 40);
                fails(&long, S3ec::v3(), ("InvalidValue", Class::Format)).await;
            }
            "bleichenbacher" => bleichenbacher().await,
            "v1-rsa-legacy-on" => {
                for id in ["ruby/v1/rsa/metadata/17", "ruby/v1/rsa/instruction_file/17"] {
                    opens(&StoredObject::golden(id), reads_all()).await;
                }
            }
            "cbc-under-require-decrypt" => {
                let kms = RecordedKms::golden();
                let object = StoredObject::golden("go/v2/kms-cbc/metadata/17");
                let policy = CommitmentPolicy::RequireEncryptRequireDecrypt;
                let format = reader(policy, true, true);
                let error = object.read(format, keys_with(&kms)).await.unwrap_err();
                assert_eq!(failure(&error).0, "PolicyForbidsDecrypt");
                assert!(kms.asked().is_empty());
            }
            other => panic!("nobody knows what {other} must come to"),
        }
    });
}

async fn commitment_in_file(only: bool) {
    for id in IN_FILES {
        let object = StoredObject::golden(id);
        let metadata = object.metadata.clone();
        let mut changed = object.with_file_json(|file| {
            for name in ON_OBJECT {
                file[name] = metadata[name].clone().into();
            }
        });
        if only {
            for name in ON_OBJECT {
                changed = changed.without(name);
            }
        }
        for policy in POLICIES {
            let expected = ("CommitmentInInstructionFile", Class::Security);
            fails(&changed, reader(policy, true, true), expected).await;
        }
    }
}

async fn every_bit(object: &StoredObject, name: &str) {
    for bit in 0..28 * 8 {
        let flipped = flip_bit_of_bytes(object, name, bit);
        let expected = ("CommitmentMismatch", Class::Security);
        fails(&flipped, S3ec::v3(), expected).await;
    }
}

/// Who can ask about the padding of a ciphertext often enough learns what is in it.
async fn bleichenbacher() {
    let public_key = golden_rsa_public_key();
    let good = public_key.encrypt(RsaPadding::Pkcs1, &[0; 32]).unwrap();
    let envelope = |key: &[u8]| {
        [
            ("x-amz-key", BASE64_STANDARD.encode(key)),
            ("x-amz-iv", BASE64_STANDARD.encode([0; 16])),
            ("x-amz-matdesc", "{}".to_owned()),
        ]
    };
    for id in ["pyraw/v2/rsa/17", "pyraw/v3/rsa/17"] {
        let original = StoredObject::golden(id);
        let relabelled = |key: &[u8], in_file: bool| {
            let pairs = envelope(key).map(|(name, value)| (name.to_owned(), value));
            let mut object = original.clone();
            object.metadata.clear();
            match in_file {
                true => {
                    let json: Value = pairs
                        .into_iter()
                        .map(|(k, v)| (k, Value::from(v)))
                        .collect();
                    object.file = Some(json.to_string().into_bytes());
                }
                false => object.metadata.extend(pairs),
            }
            object
        };
        for in_file in [false, true] {
            let (bad, good) = (relabelled(&[0; 256], in_file), relabelled(&good, in_file));
            for policy in POLICIES {
                for unauthenticated in [false, true] {
                    let format = reader(policy, false, unauthenticated);
                    let bad = bad.read(format.clone(), golden_keys()).await.unwrap_err();
                    let good = good.read(format, golden_keys()).await.unwrap_err();
                    assert_eq!(bad.to_string(), good.to_string());
                    let required = policy == CommitmentPolicy::RequireEncryptRequireDecrypt;
                    let expected = match (required, unauthenticated) {
                        (true, _) => "PolicyForbidsDecrypt",
                        (false, false) => "LegacyContent",
                        (false, true) => "LegacyWrap",
                    };
                    assert_eq!(failure(&bad).0, expected);
                }
            }
        }
    }
}
