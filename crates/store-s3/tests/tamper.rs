//! Every single bit of one object of each format.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;

use envelope_s3::S3ec;
use envelope_s3::keyring::{Aes, Keys};
use envelope_store::EncryptedStore;
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, Result};
use support::stored_object::StoredObject;
use support::{Class, described, failure, golden_aes, golden_rsa, path, plaintext, reads_all};

const LENGTH: usize = 17;

/// Keys that open what has exactly their description.
fn keys() -> Keys {
    let aes = golden_aes().described(described(&[("kid", "aes 1")]));
    Keys::new(aes).and(golden_rsa().described(described(&[("kid", "rsa 1")])))
}

fn aes() -> Aes {
    golden_aes().described(described(&[("kid", "aes 1")]))
}

async fn rsa_object(format: S3ec) -> StoredObject {
    let keys = golden_rsa().described(described(&[("kid", "rsa 1")]));
    StoredObject::written(format, keys, &plaintext(LENGTH)).await
}

async fn aes_object(format: S3ec) -> StoredObject {
    StoredObject::written(format, aes(), &plaintext(LENGTH)).await
}

async fn v1_object() -> StoredObject {
    let keys = aes().wrapping_for_v1_without_integrity();
    StoredObject::written(S3ec::legacy_v1(), keys, &plaintext(LENGTH)).await
}

/// One place for all reads, so that keys are made once.
struct Reader {
    inner: Arc<InMemory>,
    store: EncryptedStore<Arc<InMemory>>,
}

impl Reader {
    fn new() -> Self {
        let inner = Arc::new(InMemory::new());
        let store = EncryptedStore::builder(Arc::clone(&inner))
            .format(reads_all())
            .build(keys());
        Self { inner, store }
    }

    async fn read(&self, object: &StoredObject) -> Result<Vec<u8>> {
        object.put_into(&self.inner).await;
        Ok(self.store.get(&path()).await?.bytes().await?.to_vec())
    }
}

/// The bytes with each bit flipped in turn.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// The object with each bit of each value of its metadata flipped in turn. Metadata is text, so a
/// byte above ASCII is the character that a header makes of it.
fn metadata_flips(object: &StoredObject) -> Vec<StoredObject> {
    let values = object.metadata.iter().flat_map(|(name, value)| {
        let flips = flips(value.as_bytes());
        flips.map(|flipped| {
            let value: String = flipped.into_iter().map(char::from).collect();
            object.clone().with(name, value)
        })
    });
    values.collect()
}

/// Nothing else may be said of what was changed.
fn check_error(error: &object_store::Error) {
    let (variant, class) = failure(error);
    assert!(
        matches!(class, Class::Format | Class::Security | Class::NoKey),
        "{variant}: {class:?}"
    );
}

/// Nothing of it is ever read as something else, whatever bit is changed.
async fn nothing_passes(object: StoredObject) {
    let reader = Reader::new();
    assert_eq!(reader.read(&object).await.unwrap(), plaintext(LENGTH));

    for body in flips(&object.body) {
        let flipped = StoredObject {
            body,
            ..object.clone()
        };
        let error = reader.read(&flipped).await.unwrap_err();
        assert_eq!(
            failure(&error),
            ("BodyNotAuthentic".to_owned(), Class::Security)
        );
    }
    for flipped in metadata_flips(&object) {
        check_error(&reader.read(&flipped).await.unwrap_err());
    }
    let file = object.file.clone().unwrap_or_default();
    for flipped in flips(&file) {
        let same_but_for_case = flipped.eq_ignore_ascii_case(&file);
        let flipped = StoredObject {
            file: Some(flipped),
            ..object.clone()
        };
        match reader.read(&flipped).await {
            Err(error) => check_error(&error),
            // Names of pairs may be written in upper case.
            Ok(read) => {
                assert!(same_but_for_case);
                assert_eq!(read, plaintext(LENGTH));
            }
        }
    }
}

#[tokio::test]
async fn v2_aes() {
    nothing_passes(aes_object(S3ec::v2()).await).await;
}

#[tokio::test]
async fn v2_rsa() {
    nothing_passes(rsa_object(S3ec::v2()).await).await;
}

#[tokio::test]
async fn v2_instruction_file() {
    nothing_passes(aes_object(S3ec::v2().instruction_files()).await).await;
}

#[tokio::test]
async fn v3_aes() {
    nothing_passes(aes_object(S3ec::v3()).await).await;
}

#[tokio::test]
async fn v3_rsa() {
    nothing_passes(rsa_object(S3ec::v3()).await).await;
}

#[tokio::test]
async fn v3_instruction_file() {
    nothing_passes(aes_object(S3ec::v3().instruction_files()).await).await;
}

/// Nothing authenticates the first format, but no error tells more than that it failed.
#[tokio::test]
async fn v1_aes() {
    let object = v1_object().await;
    let reader = Reader::new();
    assert_eq!(reader.read(&object).await.unwrap(), plaintext(LENGTH));

    let (mut opened, mut texts) = (0, Vec::new());
    for body in flips(&object.body) {
        let flipped = StoredObject {
            body,
            ..object.clone()
        };
        match reader.read(&flipped).await {
            Ok(read) => {
                opened += 1;
                assert_ne!(read, plaintext(LENGTH));
            }
            Err(error) => {
                assert_eq!(failure(&error), ("CbcNotValid".to_owned(), Class::Format));
                texts.push(error.to_string());
            }
        }
    }
    assert!(opened > 0 && !texts.is_empty());
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");

    for flipped in metadata_flips(&object) {
        if let Err(error) = reader.read(&flipped).await {
            check_error(&error);
        }
    }
}
