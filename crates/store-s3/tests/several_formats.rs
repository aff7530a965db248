//! Stores that hold objects of this format among others.
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

use envelope::{RawAes, WrappingKey};
use envelope_s3::S3ec;
use envelope_s3::keyring::Keys;
use envelope_store::{EncryptedStore, Framed, Inspection, Opened};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use support::stored_object::StoredObject;
use support::{described, golden_aes, golden_keys, other_aes, plaintext, reads_all, variant};

fn raw() -> RawAes {
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    RawAes::new("acme", "test", key).unwrap()
}

/// One object of each kind, each with its own length.
async fn mixed() -> Arc<InMemory> {
    let inner = StoredObject::golden("ruby/v1/aes/metadata/17").put().await;
    let write = async |name: &str, length, store: &dyn ObjectStore| {
        let bytes = plaintext(length).into();
        store.put(&Path::from(name), bytes).await.unwrap();
    };
    let framed = EncryptedStore::new(inner.clone(), raw());
    write("framed", 30, &framed).await;
    let framed = EncryptedStore::builder(inner.clone())
        .format(Framed::new().with_instruction_files())
        .build(raw());
    write("framed-in-file", 31, &framed).await;
    for (name, length, format) in [
        ("v2", 32, S3ec::v2()),
        ("v2-in-file", 33, S3ec::v2().instruction_files()),
        ("v3", 34, S3ec::v3()),
        ("v3-in-file", 35, S3ec::v3().instruction_files()),
    ] {
        let store = EncryptedStore::builder(inner.clone())
            .format(format)
            .build(golden_aes());
        write(name, length, &store).await;
    }
    inner
}

/// Name, length of the plaintext, and format.
const OBJECTS: [(&str, usize, &str); 7] = [
    ("a/object", 17, "s3ec-v1"),
    ("framed", 30, "framed"),
    ("framed-in-file", 31, "framed-instruction"),
    ("v2", 32, "s3ec-v2"),
    ("v2-in-file", 33, "s3ec-v2"),
    ("v3", 34, "s3ec-v3"),
    ("v3-in-file", 35, "s3ec-v3"),
];

async fn reads_everything(store: &EncryptedStore<Arc<InMemory>>) {
    let mut listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    listed.sort_by(|a, b| a.location.cmp(&b.location));
    let listed = listed.iter();
    let listed: Vec<_> = listed
        .map(|meta| (meta.location.to_string(), meta.size))
        .collect();
    let expected = OBJECTS.map(|(name, length, _)| (name.to_owned(), length as u64));
    assert_eq!(listed, expected);

    for (name, length, format) in OBJECTS {
        let location = Path::from(name);
        let head = store.head(&location).await.unwrap();
        assert_eq!(head.size, length as u64, "{name}");
        let read = store.get(&location).await.unwrap();
        assert_eq!(read.extensions.get::<Opened>().unwrap().format(), format);
        assert_eq!(read.bytes().await.unwrap(), plaintext(length));
        let part = store.get_range(&location, 3..9).await.unwrap();
        assert_eq!(part, &plaintext(length)[3..9]);
        let Inspection {
            format: inspected,
            plaintext_length,
            ..
        } = store.inspect(&location).await.unwrap();
        assert_eq!(inspected, format);
        assert_eq!(plaintext_length, Some(length as u64));
    }
}

#[tokio::test]
async fn framed_ones_are_written() {
    let inner = mixed().await;
    let store = EncryptedStore::builder(inner.clone())
        .format(Framed::new())
        .also_read(reads_all(), golden_keys())
        .build(raw());
    reads_everything(&store).await;
    for (name, ..) in OBJECTS {
        let location = Path::from(name);
        store.put(&location, "new".into()).await.unwrap();
        let read = store.get(&location).await.unwrap();
        assert_eq!(read.extensions.get::<Opened>().unwrap().format(), "framed");
    }
    // What was overwritten took its instruction file along. Only a framed object would tell the name
    // of its own, and a store that writes none asks no object.
    let left: Vec<_> = inner.list(None).try_collect().await.unwrap();
    let files = left.iter().map(|meta| meta.location.as_ref());
    let files: Vec<_> = files
        .filter(|name| name.ends_with(".instruction"))
        .collect();
    assert!(
        matches!(files[..], [framed] if framed.starts_with("framed-in-file.")),
        "{files:?}"
    );
}

#[tokio::test]
async fn v3_is_written() {
    let inner = mixed().await;
    let store = EncryptedStore::builder(inner.clone())
        .format(reads_all())
        .also_read(Framed::new(), raw())
        .build(golden_keys());
    reads_everything(&store).await;
    for (name, ..) in OBJECTS {
        let location = Path::from(name);
        store.put(&location, "new".into()).await.unwrap();
        let read = store.get(&location).await.unwrap();
        assert_eq!(read.extensions.get::<Opened>().unwrap().format(), "s3ec-v3");
        store.delete(&location).await.unwrap();
    }
}

/// The description that is stored with an object picks its key, whatever order they are given in.
#[tokio::test]
async fn of_several_keys_the_description_picks_one() {
    let kid = |kid| described(&[("kid", kid)]);
    for format in [S3ec::v2(), S3ec::v3(), S3ec::v3().instruction_files()] {
        let old = golden_aes().described(kid("1"));
        let object = StoredObject::written(format.clone(), old, b"abc").await;
        let new = || other_aes().described(kid("2"));
        let both = Keys::new(new()).and(golden_aes().described(kid("1")));
        assert_eq!(object.read(format.clone(), both).await.unwrap(), b"abc");
        // The right key under another name is not tried.
        let misnamed = Keys::new(new()).and(golden_aes().described(kid("3")));
        let error = object.read(format, misnamed).await.unwrap_err();
        assert_eq!(variant(&error), "NotUnwrapped");
        let reason = "the object has another material description than this key";
        assert_eq!(support::attempts(&error), [reason, reason]);
    }
}
