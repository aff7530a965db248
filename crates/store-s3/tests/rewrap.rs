//! Other keys for an object: for its instruction file alone, or for all of it.
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

use envelope::{EncryptionContext, MaterialsManager, RawAes, WrappingKey};
use envelope_s3::keyring::{Aes, Rsa};
use envelope_s3::{InstructionSuffix, Rotation, S3ec};
use envelope_store::{EncryptedStore, Error, Framed};
use object_store::memory::InMemory;
use object_store::{Extensions, GetOptions, ObjectStore, ObjectStoreExt, Result};
use support::recorded_kms::RecordedKms;
use support::stored_object::StoredObject;
use support::{
    Class, context, described, exists, failure, file_path, golden_aes, golden_keys, golden_rsa,
    other_aes, path, plaintext, reads_all, store_error, variant,
};

type Store = EncryptedStore<Arc<InMemory>>;

fn old_aes() -> Aes {
    golden_aes().described(described(&[("kid", "old")]))
}

fn new_aes() -> Aes {
    other_aes().described(described(&[("kid", "new")]))
}

fn new_rsa() -> Rsa {
    golden_rsa().described(described(&[("kid", "rsa")]))
}

fn files() -> [S3ec; 2] {
    [S3ec::v2(), S3ec::v3()].map(S3ec::instruction_files)
}

fn store(inner: &Arc<InMemory>, format: S3ec, keys: impl MaterialsManager + 'static) -> Store {
    EncryptedStore::builder(Arc::clone(inner))
        .format(format)
        .build(keys)
}

async fn read(store: &Store) -> Result<Vec<u8>> {
    Ok(store.get(&path()).await?.bytes().await?.to_vec())
}

fn wishes(rotation: Rotation) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(rotation);
    extensions
}

/// Whatever goes wrong, the file stays as it was.
async fn refused(
    object: &StoredObject,
    store: impl Fn(&Arc<InMemory>) -> Store,
    to: &dyn MaterialsManager,
    rotation: Rotation,
) -> object_store::Error {
    let inner = object.put().await;
    let store = store(&inner);
    let error = store.rewrap_opts(&path(), to, wishes(rotation)).await;
    assert_eq!(StoredObject::stored(&inner).await.file, object.file);
    error.unwrap_err()
}

#[tokio::test]
async fn from_aes_to_rsa_and_back() {
    for format in files() {
        let object = StoredObject::written(format.clone(), old_aes(), b"abc").await;
        let inner = object.put().await;
        let old = store(&inner, format.clone(), old_aes());
        old.rewrap(&path(), &new_rsa()).await.unwrap();

        let rewrapped = StoredObject::stored(&inner).await;
        assert_eq!(rewrapped.body, object.body);
        assert_eq!(rewrapped.metadata, object.metadata);
        let name = rewrapped.file_json();
        let wrap = name.get("x-amz-w").or(name.get("x-amz-wrap-alg")).unwrap();
        assert!(["22", "RSA-OAEP-SHA1"].contains(&wrap.as_str().unwrap()));
        let marked = inner.get(&file_path()).await.unwrap().attributes;
        assert_eq!(marked.len(), 1);

        let error = read(&old).await.unwrap_err();
        assert_eq!(failure(&error), ("NotUnwrapped".to_owned(), Class::NoKey));
        let new = store(&inner, format.clone(), new_rsa());
        assert_eq!(read(&new).await.unwrap(), b"abc");

        new.rewrap(&path(), &new_aes()).await.unwrap();
        assert!(read(&new).await.is_err());
        let newest = store(&inner, format, new_aes());
        assert_eq!(read(&newest).await.unwrap(), b"abc");
    }
}

/// The reference cannot do this with KMS.
#[tokio::test]
async fn from_kms_and_to_it() {
    for format in files() {
        let (first, second) = (RecordedKms::default(), RecordedKms::default());
        let given = context(&[("department", "payroll")]);
        let inner = Arc::new(InMemory::new());
        let with_context = |keys: &RecordedKms, given: &EncryptionContext| {
            EncryptedStore::builder(Arc::clone(&inner))
                .format(format.clone())
                .context(given.clone())
                .build(keys.clone())
        };
        let old = with_context(&first, &given);
        old.put(&path(), "abc".into()).await.unwrap();
        old.rewrap(&path(), &second).await.unwrap();
        let new = with_context(&second, &given);
        assert_eq!(read(&new).await.unwrap(), b"abc");
        assert_eq!(variant(&read(&old).await.unwrap_err()), "NotUnwrapped");
        let without = with_context(&second, &EncryptionContext::default());
        assert_eq!(
            variant(&read(&without).await.unwrap_err()),
            "ContextMismatch"
        );

        // A raw key would lose the context.
        let error = new.rewrap(&path(), &new_aes()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("raw keys store no encryption context")
        );

        let nothing = EncryptionContext::default();
        let old = with_context(&first, &nothing);
        old.put(&path(), "abc".into()).await.unwrap();
        old.rewrap(&path(), &new_aes()).await.unwrap();
        let raw = store(&inner, format.clone(), new_aes());
        assert_eq!(read(&raw).await.unwrap(), b"abc");
        raw.rewrap(&path(), &second).await.unwrap();
        assert_eq!(
            read(&with_context(&second, &nothing)).await.unwrap(),
            b"abc"
        );
    }
}

#[tokio::test]
async fn files_of_other_clients() {
    for id in [
        "pyraw/v2/aes/17-instr",
        "pyraw/v3/rsa/17-instr",
        "transposed/v3/noec/17",
    ] {
        let inner = StoredObject::golden(id).put().await;
        let format = reads_all().instruction_files();
        let old = store(&inner, format.clone(), golden_keys());
        old.rewrap(&path(), &new_aes()).await.unwrap();
        let new = store(&inner, format, new_aes());
        assert_eq!(read(&new).await.unwrap(), plaintext(17));
    }
}

#[tokio::test]
async fn needs_a_new_description() {
    let expected = ("SameDescription".to_owned(), Class::Configuration);
    for format in files() {
        let object = StoredObject::written(format.clone(), old_aes(), b"abc").await;
        let old = |inner: &Arc<InMemory>| store(inner, format.clone(), old_aes());
        let same = other_aes().described(described(&[("kid", "old")]));
        let error = refused(&object, old, &same, Rotation::new()).await;
        assert_eq!(failure(&error), expected);

        let object = StoredObject::written(format.clone(), golden_aes(), b"abc").await;
        let old = |inner: &Arc<InMemory>| store(inner, format.clone(), golden_aes());
        // None is the same as none.
        let error = refused(&object, old, &golden_rsa(), Rotation::new()).await;
        assert_eq!(failure(&error), expected);
    }
}

#[tokio::test]
async fn under_another_suffix() {
    for format in files() {
        let format = format.further_suffix(".partner");
        let object = StoredObject::written(format.clone(), old_aes(), b"abc").await;
        let inner = object.put().await;
        let old = store(&inner, format.clone(), old_aes());
        let rotation = Rotation::new().to_suffix(".partner");
        old.rewrap_opts(&path(), &new_rsa(), wishes(rotation))
            .await
            .unwrap();
        assert!(exists(&inner, &"a/object.partner".into()).await);
        assert_eq!(StoredObject::stored(&inner).await.file, object.file);
        assert_eq!(read(&old).await.unwrap(), b"abc");

        let partner = store(&inner, format, new_rsa());
        assert_eq!(variant(&read(&partner).await.unwrap_err()), "NotUnwrapped");
        let mut options = GetOptions::new();
        options
            .extensions
            .insert(InstructionSuffix::new(".partner"));
        let result = partner.get_opts(&path(), options.clone()).await.unwrap();
        assert_eq!(result.bytes().await.unwrap(), "abc");

        // That one is rotated in turn.
        partner
            .rewrap_opts(&path(), &new_aes(), options.extensions.clone())
            .await
            .unwrap();
        let error = partner.get_opts(&path(), options).await.unwrap_err();
        assert_eq!(variant(&error), "NotUnwrapped");
        assert_eq!(read(&old).await.unwrap(), b"abc");
        old.delete(&path()).await.unwrap();
        assert!(!exists(&inner, &"a/object.partner".into()).await);
    }
}

#[tokio::test]
async fn enforced_when_the_old_key_opens_the_new_file_too() {
    for format in files() {
        // A key without a description is tried for everything.
        let object = StoredObject::written(format.clone(), golden_aes(), b"abc").await;
        let old = |inner: &Arc<InMemory>| store(inner, format.clone(), golden_aes());
        let same_key = golden_aes().described(described(&[("kid", "new")]));
        let enforced = Rotation::new().enforced();
        let error = refused(&object, old, &same_key, enforced.clone()).await;
        let expected = ("NotRotated".to_owned(), Class::Configuration);
        assert_eq!(failure(&error), expected);

        let inner = object.put().await;
        let unenforced = old(&inner).rewrap(&path(), &same_key).await;
        unenforced.unwrap();
        let inner = object.put().await;
        old(&inner)
            .rewrap_opts(&path(), &new_aes(), wishes(enforced))
            .await
            .unwrap();
        let new = store(&inner, format, new_aes());
        assert_eq!(read(&new).await.unwrap(), b"abc");
    }
}

#[tokio::test]
async fn of_keys_in_metadata_is_refused() {
    for format in [S3ec::v2(), S3ec::v3()] {
        let object = StoredObject::written(format.clone(), old_aes(), b"abc").await;
        let old = |inner: &Arc<InMemory>| store(inner, format.clone(), old_aes());
        let error = refused(&object, old, &new_aes(), Rotation::new()).await;
        assert!(matches!(store_error(&error), Error::KeysInHeader { .. }));
        assert!(matches!(error, object_store::Error::NotSupported { .. }));
    }
}

#[tokio::test]
async fn of_cbc_is_refused() {
    for id in [
        "ruby/v1/aes/instruction_file/17",
        "go/v2/kms-cbc/instruction/17",
    ] {
        let object = StoredObject::golden(id);
        let all = |inner: &Arc<InMemory>| store(inner, reads_all(), golden_keys());
        let error = refused(&object, all, &new_aes(), Rotation::new()).await;
        let expected = ("ContentCannotBeRewrapped".to_owned(), Class::Configuration);
        assert_eq!(failure(&error), expected);
        let without = |inner: &Arc<InMemory>| store(inner, S3ec::v2(), golden_keys());
        let error = refused(&object, without, &new_aes(), Rotation::new()).await;
        assert_eq!(variant(&error), "LegacyContent");
    }
}

#[tokio::test]
async fn notices_another_data_key() {
    let format = || S3ec::v3().instruction_files();
    let object = StoredObject::written(format(), old_aes(), b"abc").await;
    let other = StoredObject::written(format(), old_aes(), b"abc").await;
    let swapped = StoredObject {
        file: other.file,
        ..object
    };
    let old = |inner: &Arc<InMemory>| store(inner, format(), old_aes());
    let error = refused(&swapped, old, &new_aes(), Rotation::new()).await;
    let expected = ("CommitmentMismatch".to_owned(), Class::Security);
    assert_eq!(failure(&error), expected);
}

/// All of the object anew, in the format that the store writes.
#[tokio::test]
async fn whole_objects_become_v3() {
    for id in [
        "ruby/v1/aes/metadata/17",
        "ruby/v1/rsa/instruction_file/17",
        "go/v2/kms-cbc/metadata/17",
        "go/v2/kms-gcm/instruction/17",
        "py/v2/kms/noec/17",
        "pyraw/v2/aes/17-instr",
        "pyraw/v2/rsa/17",
    ] {
        for part_length in [5, 1000] {
            let inner = StoredObject::golden(id).put().await;
            let old = EncryptedStore::builder(Arc::clone(&inner))
                .format(reads_all())
                .part_length(part_length)
                .build(golden_keys());
            old.reencrypt(&path(), &new_aes()).await.unwrap();
            let stored = StoredObject::stored(&inner).await;
            assert_eq!(stored.metadata["x-amz-c"], "115");
            let own = stored
                .metadata
                .keys()
                .filter(|name| name.starts_with("x-amz-"));
            assert_eq!(own.count(), 6);
            assert_eq!(stored.file, None);
            assert_eq!(stored.body.len(), 17 + 16);
            // No switch is needed for it.
            let new = store(&inner, S3ec::v3(), new_aes());
            assert_eq!(read(&new).await.unwrap(), plaintext(17));
        }
    }
}

#[tokio::test]
async fn whole_objects_become_framed_ones_and_back() {
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    let raw = RawAes::new("acme", "test", key).unwrap();
    let inner = StoredObject::golden("ruby/v1/aes/instruction_file/17")
        .put()
        .await;
    let there = EncryptedStore::builder(Arc::clone(&inner))
        .format(Framed::new())
        .also_read(reads_all(), golden_keys())
        .build(RecordedKms::default());
    there.reencrypt(&path(), &raw).await.unwrap();
    assert!(!exists(&inner, &file_path()).await);
    let framed = EncryptedStore::new(Arc::clone(&inner), raw);
    assert_eq!(read(&framed).await.unwrap(), plaintext(17));
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    let raw = RawAes::new("acme", "test", key).unwrap();
    let back = EncryptedStore::builder(Arc::clone(&inner))
        .format(S3ec::v3().instruction_files())
        .also_read(Framed::new(), raw)
        .build(golden_aes());
    back.reencrypt(&path(), &new_aes()).await.unwrap();
    let new = store(&inner, S3ec::v3(), new_aes());
    assert_eq!(read(&new).await.unwrap(), plaintext(17));
    assert!(exists(&inner, &file_path()).await);
}
