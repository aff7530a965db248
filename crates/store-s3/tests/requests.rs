//! What each operation asks of the store, to the last request.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use envelope_s3::S3ec;
use envelope_store::EncryptedStore;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use support::watched::Watched;
use support::{golden_aes, path, plaintext};

struct Requests<'a> {
    put: &'a [&'a str],
    get: &'a [&'a str],
    head: &'a [&'a str],
    first_range: &'a [&'a str],
    second_range: &'a [&'a str],
    delete: &'a [&'a str],
}

async fn check(format: S3ec, expected: Requests<'_>) {
    let watched = Watched::new();
    let store = EncryptedStore::builder(watched.clone())
        .format(format.danger().read_legacy_unauthenticated())
        .build(golden_aes());
    let all = plaintext(100);

    store.put(&path(), all.clone().into()).await.unwrap();
    assert_eq!(watched.log(), expected.put);

    let read = store.get(&path()).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, all);
    assert_eq!(watched.log(), expected.get);

    assert_eq!(store.head(&path()).await.unwrap().size, 100);
    assert_eq!(watched.log(), expected.head);

    let part = store.get_range(&path(), 20..40).await.unwrap();
    assert_eq!(part, &all[20..40]);
    assert_eq!(watched.log(), expected.first_range);

    let part = store.get_range(&path(), 20..40).await.unwrap();
    assert_eq!(part, &all[20..40]);
    assert_eq!(watched.log(), expected.second_range);

    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed[0].size, 100);
    assert_eq!(watched.log(), ["list"]);

    store.delete(&path()).await.unwrap();
    assert_eq!(watched.log(), expected.delete);
}

/// 2 to put, 1 to get, 1 for head, 2 and then 1 for a range, 2 to delete. The second ones of put and
/// delete look for a file that an object before may have left.
#[tokio::test]
async fn keys_in_metadata() {
    for format in [S3ec::v2(), S3ec::v3()] {
        let expected = Requests {
            put: &["put a/object", "get a/object.instruction"],
            get: &["get a/object"],
            head: &["head a/object"],
            first_range: &["head a/object", "get a/object 16..40"],
            second_range: &["get a/object 16..40"],
            delete: &["delete a/object", "get a/object.instruction"],
        };
        check(format, expected).await;
    }
}

/// One request for each operation, but for the first range.
#[tokio::test]
async fn no_instruction_files() {
    let expected = Requests {
        put: &["put a/object"],
        get: &["get a/object"],
        head: &["head a/object"],
        first_range: &["head a/object", "get a/object 16..40"],
        second_range: &["get a/object 16..40"],
        delete: &["delete a/object"],
    };
    check(S3ec::v3().without_instruction_files(), expected).await;
}

/// What is asked to put an object with its keys in a file: what there was before, and whether
/// another writer's file came over ours.
const PUT_WITH_FILE: [&str; 5] = [
    "head a/object",
    "get a/object.instruction",
    "put a/object.instruction",
    "put a/object",
    "get a/object.instruction",
];
/// What is asked to delete it.
const DELETE_WITH_FILE: [&str; 3] = [
    "delete a/object",
    "get a/object.instruction",
    "delete a/object.instruction",
];

/// 5 to put, 2 to get, 1 for head, 3 and then 1 for a range, 3 to delete.
#[tokio::test]
async fn v3_keys_in_instruction_files() {
    let expected = Requests {
        put: &PUT_WITH_FILE,
        get: &["get a/object", "get a/object.instruction"],
        head: &["head a/object"],
        first_range: &[
            "head a/object",
            "get a/object.instruction",
            "get a/object 16..40",
        ],
        second_range: &["get a/object 16..40"],
        delete: &DELETE_WITH_FILE,
    };
    check(S3ec::v3().instruction_files(), expected).await;
}

/// As V3, but for head: only the file tells that it is an object of the client.
#[tokio::test]
async fn v2_keys_in_instruction_files() {
    let expected = Requests {
        put: &PUT_WITH_FILE,
        get: &["get a/object", "get a/object.instruction"],
        head: &["head a/object", "get a/object.instruction"],
        first_range: &[
            "head a/object",
            "get a/object.instruction",
            "get a/object 16..40",
        ],
        second_range: &["get a/object 16..40"],
        delete: &DELETE_WITH_FILE,
    };
    check(S3ec::v2().instruction_files(), expected).await;
}

/// An overwrite keeps the old file at hand until the object is written.
#[tokio::test]
async fn overwrites() {
    let watched = Watched::new();
    let store = EncryptedStore::builder(watched.clone())
        .format(S3ec::v3().instruction_files())
        .build(golden_aes());
    store.put(&path(), "one".into()).await.unwrap();
    watched.log();
    store.put(&path(), "two".into()).await.unwrap();
    assert_eq!(watched.log(), PUT_WITH_FILE);
}

/// What is remembered of an object is not taken for another one.
#[tokio::test]
async fn ranges_of_an_object_that_was_overwritten() {
    let watched = Watched::new();
    let store = || {
        let format = S3ec::v3().danger().read_legacy_unauthenticated();
        EncryptedStore::builder(watched.clone())
            .format(format)
            .build(golden_aes())
    };
    let (reader, writer) = (store(), store());
    writer.put(&path(), "first".into()).await.unwrap();
    assert_eq!(reader.get_range(&path(), 0..5).await.unwrap(), "first");
    writer.put(&path(), "other".into()).await.unwrap();
    watched.log();
    assert_eq!(reader.get_range(&path(), 0..5).await.unwrap(), "other");
    let expected = ["get a/object 0..5", "head a/object", "get a/object 0..5"];
    assert_eq!(watched.log(), expected);
}
