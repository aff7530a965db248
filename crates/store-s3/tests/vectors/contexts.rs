//! The caller's encryption context against the stored one.

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
use crate::support::{GOLDEN, context, context_of, path, plaintext, reads_all, text, variant};

const BOUND: &str = "aws:x-amz-cek-alg";

/// A golden object that says this of its context, and a service that agrees.
fn stored(id: &str, name: &str, context: &EncryptionContext) -> (StoredObject, RecordedKms) {
    let objects = GOLDEN["objects"].as_array().unwrap();
    let entry = objects.iter().find(|entry| entry["id"] == id).unwrap();
    let mut object = StoredObject::of_entry(entry);
    let json: Value = context.iter().map(|(k, v)| (k, Value::from(v))).collect();
    object = object.with(name, json.to_string());
    let key = object.metadata.get("x-amz-3");
    let key = key.or(object.metadata.get("x-amz-key-v2")).unwrap();
    let kms = RecordedKms::default();
    let data_key = hex::decode(text(&entry["data_key_hex"])).unwrap();
    kms.record(
        &BASE64_STANDARD.decode(key).unwrap(),
        &data_key,
        context.clone(),
    );
    (object, kms)
}

fn v2(context: &EncryptionContext) -> (StoredObject, RecordedKms) {
    stored("py/v2/kms/noec/17", "x-amz-matdesc", context)
}

fn v3(context: &EncryptionContext) -> (StoredObject, RecordedKms) {
    stored("py/v3/kms/noec/17", "x-amz-t", context)
}

async fn read(
    (object, kms): &(StoredObject, RecordedKms),
    given: EncryptionContext,
) -> object_store::Result<Vec<u8>> {
    let mut object = object.clone();
    object.options.extensions.insert(given);
    object.read(reads_all(), kms.clone()).await
}

pub fn check(case: &Value) {
    let (stored, given) = (context_of(&case["stored"]), context_of(&case["given"]));
    let object = match stored.get(BOUND) {
        Some("115") => v3(&stored),
        _ => v2(&stored),
    };
    let read = block_on(read(&object, given.clone()));
    let asked = object.1.asked();
    if case["accept"] == true {
        assert_eq!(read.unwrap(), plaintext(17));
        // The service gets the stored context, all of it.
        assert_eq!(asked, [stored]);
        return;
    }
    let expected = match given.get(BOUND) {
        Some(_) => "ReservedContextKey",
        None => "ContextMismatch",
    };
    assert_eq!(variant(&read.unwrap_err()), expected);
    assert!(asked.is_empty());
}

pub fn on_write(case: &Value) {
    let given = context_of(&case["given"]);
    block_on(async {
        for (format, expected) in [(S3ec::v2(), "v2_sent"), (S3ec::v3(), "v3_sent")] {
            let kms = RecordedKms::default();
            let inner = InMemory::new();
            let store = EncryptedStore::builder(inner)
                .format(format)
                .build(kms.clone());
            let mut options = PutOptions::default();
            options.extensions.insert(given.clone());
            let written = store.put_opts(&path(), "abc".into(), options).await;
            if case["accept"] == false {
                assert_eq!(variant(&written.unwrap_err()), "ReservedContextKey");
                assert!(kms.asked().is_empty());
                continue;
            }
            written.unwrap();
            assert_eq!(kms.asked(), [context_of(&case[expected])]);
        }
    });
}

/// Nothing is compared there, so nothing may be given, and nothing may be relabelled.
pub fn of_the_first_kms_wrap() {
    block_on(async {
        let object = StoredObject::golden("go/v2/kms-gcm/metadata/17");
        let kms = RecordedKms::golden();
        let object = (object, kms.clone());
        assert_eq!(read(&object, context(&[])).await.unwrap(), plaintext(17));
        kms.asked();
        let error = read(&object, context(&[("a", "1")])).await.unwrap_err();
        assert_eq!(variant(&error), "ContextMismatch");

        let relabelled = StoredObject::golden("py/v2/kms/ec/17").with("x-amz-wrap-alg", "kms");
        let relabelled = (relabelled, kms.clone());
        let error = read(&relabelled, context(&[])).await.unwrap_err();
        assert_eq!(variant(&error), "BoundToAnotherCipher");
        assert!(kms.asked().is_empty());
    });
}

/// The stored context must name the cipher that the object names.
pub fn name_the_cipher() {
    let (gcm, cbc) = ("AES/GCM/NoPadding", "AES/CBC/PKCS5Padding");
    block_on(async {
        for stored in [
            v3(&context(&[(BOUND, gcm)])),
            v3(&context(&[(BOUND, "116")])),
            v3(&context(&[])),
            v2(&context(&[(BOUND, "115")])),
            v2(&context(&[(BOUND, cbc)])),
            v2(&context(&[])),
        ] {
            let error = read(&stored, context(&[])).await.unwrap_err();
            assert_eq!(variant(&error), "BoundToAnotherCipher");
            assert!(stored.1.asked().is_empty());
        }
    });
}
