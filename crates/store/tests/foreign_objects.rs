//! Objects that nobody encrypted, in an encrypted store's place.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;

use envelope_store::{EncryptedStore, Error, ForeignObjects, NotEncrypted, Opened};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, ObjectStore, ObjectStoreExt};
use support::{Spy, keyring, put_now};

const PLAINTEXT: &[u8] = b"name,amount\nanyone,1\n";

fn ours() -> Path {
    Path::from("ours")
}

fn theirs() -> Path {
    Path::from("theirs")
}

fn empty() -> Path {
    Path::from("empty")
}

/// One encrypted object, one plain one, and one without bytes.
async fn bucket() -> Arc<InMemory> {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::new(Arc::clone(&inner), keyring());
    store.put(&ours(), "secret".into()).await.unwrap();
    put_now(&inner, &theirs(), PLAINTEXT.to_vec());
    put_now(&inner, &empty(), Vec::new());
    inner
}

fn store<S: ObjectStore>(inner: S, policy: ForeignObjects) -> EncryptedStore<S> {
    EncryptedStore::builder(inner)
        .foreign_objects(policy)
        .build(keyring())
}

#[track_caller]
fn assert_foreign<T>(answer: Result<T, StoreError>, location: &Path) {
    let Err(error) = answer else {
        panic!("{location} was accepted");
    };
    let source = std::error::Error::source(&error).unwrap();
    match source.downcast_ref::<Error>() {
        Some(Error::Foreign {
            location: found, ..
        }) => assert_eq!(found, location),
        _ => panic!("{error}"),
    }
}

async fn sizes(store: &impl ObjectStore) -> Result<Vec<(String, u64)>, StoreError> {
    let listed = store
        .list(None)
        .map_ok(|meta| (meta.location.to_string(), meta.size));
    listed.try_collect().await
}

#[tokio::test]
async fn they_are_refused_wherever_they_are_met() {
    let store = store(bucket().await, ForeignObjects::Refuse);
    for location in [theirs(), empty()] {
        assert_foreign(store.get(&location).await, &location);
        assert_foreign(store.head(&location).await, &location);
        assert_foreign(store.get_range(&location, 0..1).await, &location);
        assert_foreign(store.get_ranges(&location, &[0..1, 2..3]).await, &location);
        assert_foreign(store.inspect(&location).await, &location);
        assert_foreign(store.reencrypt(&location, &keyring()).await, &location);
        assert_foreign(store.copy(&location, &Path::from("copy")).await, &location);
        assert_foreign(
            store.rename(&location, &Path::from("copy")).await,
            &location,
        );
    }
    // No size of theirs follows from ours.
    assert!(sizes(&store).await.is_err());
    assert_eq!(
        store.get(&ours()).await.unwrap().bytes().await.unwrap(),
        "secret"
    );
    // They can be overwritten and deleted.
    store.put(&theirs(), "now ours".into()).await.unwrap();
    assert_eq!(store.head(&theirs()).await.unwrap().size, 8);
    store.delete(&empty()).await.unwrap();
    assert_eq!(sizes(&store).await.unwrap().len(), 2);
}

#[tokio::test]
async fn reported_they_show_and_do_not_open() {
    let store = store(bucket().await, ForeignObjects::Report);
    let expected = [
        ("empty", 0),
        ("ours", 6),
        ("theirs", PLAINTEXT.len() as u64),
    ];
    let found = sizes(&store).await.unwrap();
    assert_eq!(found, expected.map(|(name, size)| (name.to_owned(), size)));
    for (location, foreign) in [(theirs(), true), (empty(), true), (ours(), false)] {
        let head = store.get_opts(&location, GetOptions::new().with_head(true));
        let head = head.await.unwrap();
        assert_eq!(head.extensions.get::<NotEncrypted>().is_some(), foreign);
    }
    for location in [theirs(), empty()] {
        assert_foreign(store.get(&location).await, &location);
        assert_foreign(store.get_range(&location, 0..1).await, &location);
        assert_foreign(store.inspect(&location).await, &location);
        assert_foreign(store.reencrypt(&location, &keyring()).await, &location);
    }
    store.rename(&theirs(), &Path::from("moved")).await.unwrap();
    assert_eq!(store.head(&Path::from("moved")).await.unwrap().size, 21);
}

#[tokio::test]
async fn passed_they_are_read_as_stored_and_marked() {
    let inner = bucket().await;
    let store = store(Arc::clone(&inner), ForeignObjects::Pass);
    assert_eq!(sizes(&store).await.unwrap().len(), 3);
    let result = store.get(&theirs()).await.unwrap();
    assert!(result.extensions.get::<NotEncrypted>().is_some());
    assert!(result.extensions.get::<Opened>().is_none());
    assert_eq!(result.meta.size, 21);
    assert_eq!(result.bytes().await.unwrap(), PLAINTEXT);
    let result = store.get(&ours()).await.unwrap();
    assert!(result.extensions.get::<NotEncrypted>().is_none());
    assert!(result.extensions.get::<Opened>().is_some());
    assert_eq!(result.bytes().await.unwrap(), "secret");
    let result = store.get(&empty()).await.unwrap();
    assert!(result.bytes().await.unwrap().is_empty());

    assert_eq!(store.get_range(&theirs(), 5..11).await.unwrap(), "amount");
    let ranges = store.get_ranges(&theirs(), &[0..4, 12..18]).await.unwrap();
    assert_eq!(ranges, ["name", "anyone"]);
    let options = GetOptions::new().with_range(Some(2..4));
    let result = store.get_opts(&theirs(), options).await.unwrap();
    assert!(result.extensions.get::<NotEncrypted>().is_some());

    // To encrypt them must be asked for: other keys for a bucket do not make them authentic.
    assert_foreign(store.reencrypt(&theirs(), &keyring()).await, &theirs());
    store.put(&theirs(), PLAINTEXT.into()).await.unwrap();
    let strict = EncryptedStore::new(inner, keyring());
    let result = strict.get(&theirs()).await.unwrap();
    assert_eq!(result.bytes().await.unwrap(), PLAINTEXT);
}

/// A header that was remembered of the plain object never serves for its successor.
#[tokio::test]
async fn an_overwrite_in_between_is_never_passed_as_plaintext() {
    let inner = bucket().await;
    let overwriting = Arc::clone(&inner);
    let spy = Spy::over(Arc::clone(&inner)).before_get(move |_, count| {
        if count == 2 {
            let store = EncryptedStore::new(Arc::clone(&overwriting), keyring());
            futures::executor::block_on(store.put(&theirs(), "new".into())).unwrap();
        }
    });
    let store = store(spy, ForeignObjects::Pass);
    assert_eq!(store.get_range(&theirs(), 0..4).await.unwrap(), "name");
    assert_eq!(store.get_range(&theirs(), 0..3).await.unwrap(), "name"[..3]);
    assert_eq!(store.get_range(&theirs(), 0..3).await.unwrap(), "new");
}

/// What begins as ours does and is damaged is never taken for somebody else's.
#[tokio::test]
async fn a_damaged_object_of_ours_is_not_foreign() {
    let inner = bucket().await;
    let message = inner.get(&ours()).await.unwrap().bytes().await.unwrap();
    let store = store(Arc::clone(&inner), ForeignObjects::Pass);
    for length in [1, 2, 3, 10, 1000, message.len() - 1] {
        put_now(&inner, &ours(), message[..length].to_vec());
        let read = async { store.get(&ours()).await?.bytes().await };
        let error = read.await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert!(
            matches!(source.downcast_ref::<Error>(), Some(Error::Envelope { .. })),
            "{length}: {error}"
        );
    }
}
