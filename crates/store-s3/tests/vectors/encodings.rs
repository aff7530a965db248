//! Texts outside ASCII, as S3 returns them in headers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::EncryptionContext;
use envelope_s3::S3ec;
use envelope_store::EncryptedStore;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::{ObjectStore, PutOptions};
use serde_json::Value;

use crate::support::recorded_kms::RecordedKms;
use crate::support::stored_object::StoredObject;
use crate::support::{
    attempts, context, context_of, described, golden_aes, path, plaintext, text, with_context,
};

/// Only a description that was decoded right picks the key.
pub fn check(case: &Value) {
    let original: Value = serde_json::from_str(text(&case["original"])).unwrap();
    let description = [("ec-key", text(&original["ec-key"]))];
    block_on(async {
        for returned in ["returned_b", "returned_q", "returned_two_words", "original"] {
            let value = text(&case[returned]);
            for (id, name, format) in [
                ("pyraw/v2/aes/17", "x-amz-matdesc", S3ec::v2()),
                ("pyraw/v3/aes/17", "x-amz-m", S3ec::v3()),
            ] {
                let object = StoredObject::golden(id).with(name, value);
                let right = golden_aes().described(described(&description));
                let read = object.read(format.clone(), right).await;
                assert_eq!(read.unwrap(), plaintext(17), "{value}");

                let wrong = golden_aes().described(described(&[("ec-key", "x")]));
                let error = object.read(format, wrong).await.unwrap_err();
                let reason = "the object has another material description than this key";
                assert_eq!(attempts(&error), [reason]);
            }
        }
    });
}

/// What S3 makes of a header: it takes the bytes of UTF-8 for Latin-1.
fn returned(stored: &str) -> String {
    let twice: String = stored.bytes().map(char::from).collect();
    format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(twice))
}

pub fn of_a_kms_context() {
    let given = context(&[("Käse", "水 🔒")]);
    let kms = RecordedKms::default();
    block_on(async {
        for (format, name) in [(S3ec::v2(), "x-amz-matdesc"), (S3ec::v3(), "x-amz-t")] {
            let object = written(format.clone(), &kms, &given).await;
            let pairs: Value = serde_json::from_str(&object.value(name)).unwrap();
            // As a client writes it that does not escape.
            let unescaped = pairs.to_string();
            assert!(!unescaped.is_ascii());
            kms.asked();
            let mut object = object.with(name, returned(&unescaped));
            object.options = with_context(given.clone());
            assert_eq!(object.read(format, kms.clone()).await.unwrap(), b"abc");
            assert_eq!(kms.asked(), [context_of(&pairs)]);
        }
    });
}

/// So there is nothing that a server could encode twice.
pub fn of_ours_are_ascii() {
    let given = context(&[("Käse", "水 🔒 =?UTF-8?Q?=41?=")]);
    let kms = RecordedKms::default();
    block_on(async {
        for format in [S3ec::v2(), S3ec::v3(), S3ec::v3().instruction_files()] {
            let mut object = written(format.clone(), &kms, &given).await;
            assert!(object.metadata.values().all(|value| value.is_ascii()));
            assert!(object.file.iter().all(|file| file.is_ascii()));
            object.options = with_context(given.clone());
            assert_eq!(object.read(format, kms.clone()).await.unwrap(), b"abc");
        }
    });
}

async fn written(format: S3ec, kms: &RecordedKms, context: &EncryptionContext) -> StoredObject {
    let inner = std::sync::Arc::new(InMemory::new());
    let store = EncryptedStore::builder(inner.clone())
        .format(format)
        .build(kms.clone());
    let mut options = PutOptions::default();
    options.extensions.insert(context.clone());
    let put = store.put_opts(&path(), "abc".into(), options).await;
    put.unwrap();
    StoredObject::stored(&inner).await
}
