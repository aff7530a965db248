//! Whole objects from the tests of other clients.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope_s3::{Error, S3ec};
use envelope_store::EncryptedStore;
use futures::executor::block_on;
use object_store::ObjectStoreExt;
use serde_json::Value;

use crate::support::recorded_kms::RecordedKms;
use crate::support::stored_object::StoredObject;
use crate::support::stored_object::pairs;
use crate::support::{context_of, failure, path, reads_all, s3_error, text, variant};

pub fn check(fixture: &Value) {
    let body = fixture["ciphertext"].as_str().unwrap_or_default();
    let object = StoredObject {
        body: hex::decode(body).unwrap(),
        metadata: pairs(&fixture["metadata"]),
        ..StoredObject::default()
    };
    let kms = kms(fixture);
    let plaintext = || hex::decode(text(&fixture["plaintext"])).unwrap();
    block_on(async {
        match text(&fixture["id"]) {
            "go-GetMockV3Object" => {
                assert_eq!(object.read(S3ec::v3(), kms).await.unwrap(), plaintext());
            }
            // Go clients take GCM without a tag length. Like the Java client we do not, and that is
            // all there is to say against these two.
            "go-GetMockV2Object" => {
                let error = object.read(S3ec::v2(), kms.clone()).await.unwrap_err();
                no_tag_length(&error);
                let object = object.with("x-amz-tag-len", "128");
                assert_eq!(object.read(S3ec::v2(), kms).await.unwrap(), plaintext());
            }
            "go-GetMockV2Object_V1Interop_KMS_AESGCM" => {
                let format = || S3ec::v2().danger().read_legacy_wraps();
                let error = object.read(format(), kms.clone()).await.unwrap_err();
                no_tag_length(&error);
                let object = object.with("x-amz-tag-len", "128");
                assert_eq!(
                    object.read(format(), kms.clone()).await.unwrap(),
                    plaintext()
                );
                let error = object.read(S3ec::v2(), kms).await.unwrap_err();
                assert_eq!(variant(&error), "LegacyWrap");
            }
            "go-GetMockV3ObjectWithIncorrectKCValue" => {
                let error = object.read(S3ec::v3(), kms).await.unwrap_err();
                assert!(matches!(s3_error(&error), Error::CommitmentMismatch));
            }
            "go-GetMockV3ObjectWithInvalidKCValue" => {
                let error = object.read(S3ec::v3(), kms.clone()).await.unwrap_err();
                let found = s3_error(&error);
                assert!(
                    matches!(found, Error::InvalidValue { key: "x-amz-d", reason }
                        if reason.contains("base64")),
                    "{found}"
                );
                assert!(kms.asked().is_empty());
            }
            "go-GetMockV2Object_V1Interop_KMS_AESCBC" => {
                assert_eq!(object.read(reads_all(), kms).await.unwrap(), plaintext());
            }
            "go-GetMockV2Object_OnlyDecryptsRegisteredAlgorithms" => {
                let only_wraps = S3ec::v2().danger().read_legacy_wraps();
                let only_content = S3ec::v2().danger().read_legacy_unauthenticated();
                for (format, expected) in [
                    (S3ec::v3(), "PolicyForbidsDecrypt"),
                    (S3ec::v2(), "LegacyContent"),
                    (only_wraps, "LegacyContent"),
                    (only_content, "LegacyWrap"),
                ] {
                    let error = object.read(format, kms.clone()).await.unwrap_err();
                    assert_eq!(variant(&error), expected);
                }
                assert!(kms.asked().is_empty());
            }
            "dotnet-ses-metadata" => ses_mail(object, kms).await,
            other => panic!("nobody knows what {other} must come to"),
        }
    });
}

/// A service that has the fixture's data key.
fn kms(fixture: &Value) -> RecordedKms {
    let kms = RecordedKms::default();
    let metadata = &fixture["metadata"];
    let stored = |names: [&str; 2]| names.iter().find_map(|name| metadata[*name].as_str());
    let wrapped = BASE64_STANDARD.decode(stored(["x-amz-key-v2", "x-amz-3"]).unwrap());
    let context = serde_json::from_str(stored(["x-amz-matdesc", "x-amz-t"]).unwrap());
    // The one object without a data key is refused before anybody asks for it.
    let data_key = fixture["data_key"].as_str().unwrap_or_default();
    let data_key = hex::decode(data_key).unwrap();
    kms.record(&wrapped.unwrap(), &data_key, context_of(&context.unwrap()));
    kms
}

fn no_tag_length(error: &object_store::Error) {
    let missing = "x-amz-tag-len";
    let found = s3_error(error);
    assert!(
        matches!(found, Error::IncompleteEnvelope { missing: it } if *it == missing),
        "{found}"
    );
}

/// The mail service writes GCM under the first wrap of KMS. The mail itself was not published, so
/// another body stands for it, and its tag is the last thing that is looked at.
async fn ses_mail(object: StoredObject, kms: RecordedKms) {
    let object = StoredObject {
        body: vec![0; 3946 + 16],
        ..object
    };
    let error = object.read(S3ec::v2(), kms.clone()).await.unwrap_err();
    assert_eq!(variant(&error), "LegacyWrap");
    assert!(kms.asked().is_empty());

    let format = S3ec::v2().danger().read_legacy_wraps();
    let error = object.read(format.clone(), kms.clone()).await.unwrap_err();
    assert_eq!(failure(&error).0, "BodyNotAuthentic");
    let [asked] = &kms.asked()[..] else {
        panic!("not one call");
    };
    assert_eq!(asked.get("aws:ses:rule-name"), Some("encrypt-to-s3"));
    assert_eq!(asked.len(), 4);

    let store = EncryptedStore::builder(object.put().await)
        .format(format)
        .build(kms);
    assert_eq!(store.head(&path()).await.unwrap().size, 3946);
}
