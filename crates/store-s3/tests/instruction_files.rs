//! The life of instruction files: from before their object until after it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use envelope_s3::S3ec;
use envelope_store::{EncryptedStore, Error, ForeignObjects, NotEncrypted};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};
use support::stored_object::{StoredObject, user_metadata};
use support::watched::{Watched, When};
use support::{exists, file_path, golden_aes, path, store_error, variant};

fn files() -> S3ec {
    S3ec::v3().instruction_files()
}

fn store<S: ObjectStore>(inner: S, format: S3ec) -> EncryptedStore<S> {
    EncryptedStore::builder(inner)
        .format(format)
        .build(golden_aes())
}

fn memory() -> Arc<InMemory> {
    Arc::new(InMemory::new())
}

async fn read(store: &impl ObjectStore, location: &Path) -> Vec<u8> {
    let read = store.get(location).await.unwrap();
    read.bytes().await.unwrap().to_vec()
}

async fn names(store: &impl ObjectStore) -> Vec<String> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut names: Vec<_> = listed
        .iter()
        .map(|meta| meta.location.to_string())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn is_written_first_and_marked() {
    for format in [files(), S3ec::v2().instruction_files()] {
        let watched = Watched::new();
        let store = store(watched.clone(), format);
        store.put(&path(), "abc".into()).await.unwrap();
        let puts: Vec<_> = watched.log();
        let puts: Vec<_> = puts.iter().filter(|name| name.starts_with("put")).collect();
        assert_eq!(puts, ["put a/object.instruction", "put a/object"]);

        let file = watched.inner.get(&file_path()).await.unwrap();
        let expected = [("x-amz-crypto-instr-file".to_owned(), String::new())];
        assert!(user_metadata(&file.attributes).into_iter().eq(expected));

        let upload = store.put_multipart(&Path::from("b")).await;
        upload.unwrap().complete().await.unwrap();
        let written = watched.log();
        let file = written.iter().position(|name| name == "put b.instruction");
        let object = written.iter().position(|name| name == "complete b");
        assert!(file.unwrap() < object.unwrap());
        assert_eq!(read(&store, &Path::from("b")).await, b"");
    }
}

#[tokio::test]
async fn holds_what_its_format_says() {
    let object = StoredObject::written(files(), golden_aes(), b"abc").await;
    let on_object: Vec<_> = object.metadata.keys().map(String::as_str).collect();
    assert_eq!(on_object, ["x-amz-c", "x-amz-d", "x-amz-i"]);
    let file = object.file_json();
    let in_file: BTreeSet<_> = file.as_object().unwrap().keys().collect();
    assert!(in_file.into_iter().eq(["x-amz-3", "x-amz-w"]));

    let format = S3ec::v2().instruction_files();
    let object = StoredObject::written(format, golden_aes(), b"abc").await;
    assert!(object.metadata.is_empty());
    let file = object.file_json();
    let in_file: BTreeSet<_> = file.as_object().unwrap().keys().collect();
    let expected = [
        "x-amz-cek-alg",
        "x-amz-iv",
        "x-amz-key-v2",
        "x-amz-matdesc",
        "x-amz-tag-len",
        "x-amz-wrap-alg",
    ];
    assert!(in_file.into_iter().eq(expected));
}

#[tokio::test]
async fn is_hidden_and_its_name_reserved() {
    let inner = memory();
    // Also in a store that writes none: another client may have.
    for format in [files(), S3ec::v3()] {
        let store = store(inner.clone(), format);
        self::store(inner.clone(), files())
            .put(&path(), "abc".into())
            .await
            .unwrap();
        assert_eq!(names(&store).await, ["a/object"]);
        let below = store.list_with_delimiter(Some(&Path::from("a"))).await;
        assert_eq!(below.unwrap().objects.len(), 1);

        for error in [
            store.get(&file_path()).await.unwrap_err(),
            store.head(&file_path()).await.unwrap_err(),
            store.get_range(&file_path(), 0..1).await.unwrap_err(),
            store.copy(&file_path(), &"c".into()).await.unwrap_err(),
            store.rename(&file_path(), &"c".into()).await.unwrap_err(),
            store.delete(&file_path()).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        }
        for error in [
            store.put(&file_path(), "x".into()).await.unwrap_err(),
            store.put_multipart(&file_path()).await.unwrap_err(),
            store.copy(&path(), &file_path()).await.unwrap_err(),
            store.rename(&path(), &file_path()).await.unwrap_err(),
        ] {
            assert!(matches!(store_error(&error), Error::ReservedPath { .. }));
        }
        assert_eq!(read(&store, &path()).await, b"abc");
    }
}

#[tokio::test]
async fn has_a_name_that_is_free_where_nobody_reads_such_files() {
    let store = store(memory(), S3ec::v3().without_instruction_files());
    store.put(&file_path(), "abc".into()).await.unwrap();
    assert_eq!(read(&store, &file_path()).await, b"abc");
    assert_eq!(names(&store).await, ["a/object.instruction"]);
}

#[tokio::test]
async fn is_deleted_with_its_object() {
    for format in [files(), S3ec::v3(), S3ec::v2()] {
        let watched = Watched::new();
        let writer = store(watched.clone(), files());
        writer.put(&path(), "abc".into()).await.unwrap();
        watched.log();
        store(watched.clone(), format)
            .delete(&path())
            .await
            .unwrap();
        let deleted = watched.log();
        let expected = [
            "delete a/object",
            "get a/object.instruction",
            "delete a/object.instruction",
        ];
        assert_eq!(deleted, expected);
        assert!(names(&*watched.inner).await.is_empty());
    }
}

#[tokio::test]
async fn with_a_further_suffix_is_one_too() {
    let partner = Path::from("a/object.partner");
    let format = files().further_suffix(".partner");
    let inner = memory();
    let store = store(inner.clone(), format);
    store.put(&path(), "abc".into()).await.unwrap();
    inner.copy(&file_path(), &partner).await.unwrap();
    assert_eq!(names(&store).await, ["a/object"]);
    let error = store.get(&partner).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }));
    let error = store.put(&partner, "x".into()).await.unwrap_err();
    assert!(matches!(store_error(&error), Error::ReservedPath { .. }));
    store.delete(&path()).await.unwrap();
    assert!(names(&*inner).await.is_empty());
}

#[tokio::test]
async fn goes_when_its_object_gets_keys_of_its_own() {
    let inner = memory();
    let (with, without) = (
        store(inner.clone(), files()),
        store(inner.clone(), S3ec::v3()),
    );
    for text in ["one", "two"] {
        with.put(&path(), text.into()).await.unwrap();
        assert!(exists(&inner, &file_path()).await);
        assert_eq!(read(&without, &path()).await, text.as_bytes());

        without.put(&path(), text.into()).await.unwrap();
        assert!(!exists(&inner, &file_path()).await);
        assert_eq!(read(&with, &path()).await, text.as_bytes());
    }
    with.put(&path(), "three".into()).await.unwrap();
    let mut upload = without.put_multipart(&path()).await.unwrap();
    upload.put_part("four".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert!(!exists(&inner, &file_path()).await);
    assert_eq!(read(&with, &path()).await, b"four");
}

#[tokio::test]
async fn is_copied_and_moved_with_its_object() {
    let (other, other_file) = (Path::from("b"), Path::from("b.instruction"));
    for format in [files(), S3ec::v2().instruction_files()] {
        let inner = memory();
        let store = store(inner.clone(), format);
        store.put(&path(), "abc".into()).await.unwrap();
        store.put(&other, "old".into()).await.unwrap();
        store.copy(&path(), &other).await.unwrap();
        for place in [&path(), &other] {
            assert_eq!(read(&store, place).await, b"abc");
        }
        // Both stand alone.
        store.delete(&path()).await.unwrap();
        assert_eq!(names(&*inner).await, ["b", "b.instruction"]);
        store.rename(&other, &path()).await.unwrap();
        assert_eq!(names(&*inner).await, ["a/object", "a/object.instruction"]);
        assert_eq!(read(&store, &path()).await, b"abc");
        // Onto itself nothing happens.
        store.copy(&path(), &path()).await.unwrap();
        assert_eq!(read(&store, &path()).await, b"abc");
        assert!(!exists(&inner, &other_file).await);
    }
}

#[tokio::test]
async fn of_what_was_at_the_target_goes() {
    let (other, other_file) = (Path::from("b"), Path::from("b.instruction"));
    let inner = memory();
    let (with, without) = (
        store(inner.clone(), files()),
        store(inner.clone(), S3ec::v3()),
    );
    for rename in [false, true] {
        with.put(&other, "old".into()).await.unwrap();
        without.put(&path(), "new".into()).await.unwrap();
        match rename {
            true => with.rename(&path(), &other).await.unwrap(),
            false => with.copy(&path(), &other).await.unwrap(),
        }
        assert!(!exists(&inner, &other_file).await);
        assert_eq!(read(&with, &other).await, b"new");
    }
}

#[tokio::test]
async fn stays_where_nothing_may_be_overwritten() {
    let other = Path::from("b");
    let inner = memory();
    let store = store(inner.clone(), files());
    store.put(&path(), "old".into()).await.unwrap();
    store.put(&other, "new".into()).await.unwrap();

    let create = PutOptions::from(PutMode::Create);
    let error = store.put_opts(&path(), "new".into(), create).await;
    assert!(matches!(error, Err(StoreError::AlreadyExists { .. })));
    for error in [
        store.copy_if_not_exists(&other, &path()).await,
        store.rename_if_not_exists(&other, &path()).await,
    ] {
        assert!(matches!(error, Err(StoreError::AlreadyExists { .. })));
    }
    let update = PutOptions::from(PutMode::Update(UpdateVersion {
        e_tag: Some("another".to_owned()),
        version: None,
    }));
    let error = store.put_opts(&path(), "new".into(), update).await;
    assert!(matches!(error, Err(StoreError::Precondition { .. })));
    assert_eq!(read(&store, &path()).await, b"old");
    assert_eq!(read(&store, &other).await, b"new");

    let now = store.head(&path()).await.unwrap();
    let update = PutOptions::from(PutMode::Update(UpdateVersion {
        e_tag: now.e_tag,
        version: None,
    }));
    store
        .put_opts(&path(), "newer".into(), update)
        .await
        .unwrap();
    assert_eq!(read(&store, &path()).await, b"newer");
    let create = PutOptions::from(PutMode::Create);
    let third = Path::from("c");
    store.put_opts(&third, "new".into(), create).await.unwrap();
    assert_eq!(read(&store, &third).await, b"new");
}

#[tokio::test]
async fn is_put_back_when_the_object_was_not_written() {
    let watched = Watched::new();
    let store = store(watched.clone(), files());
    store.put(&path(), "old".into()).await.unwrap();
    let before = read(&*watched.inner, &file_path()).await;

    for (operation, what) in [
        ("put a/object.instruction", "the file"),
        ("put a/object", "the object"),
    ] {
        watched.fail(operation, When::Before);
        store.put(&path(), "new".into()).await.unwrap_err();
        assert!(watched.has_failed(), "{what}");
        assert_eq!(read(&*watched.inner, &file_path()).await, before);
        assert_eq!(read(&store, &path()).await, b"old");
    }
    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    watched.fail("complete a/object", When::Before);
    upload.complete().await.unwrap_err();
    assert!(watched.has_failed());
    assert_eq!(read(&store, &path()).await, b"old");

    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(read(&store, &path()).await, b"old");

    let other = Path::from("b");
    store.put(&other, "other".into()).await.unwrap();
    watched.fail("copy b a/object", When::Before);
    store.copy(&other, &path()).await.unwrap_err();
    assert!(watched.has_failed());
    assert_eq!(read(&store, &path()).await, b"old");
    assert_eq!(read(&store, &other).await, b"other");
}

/// The store did it and only its answer was lost: then the new file is the object's.
#[tokio::test]
async fn stays_when_only_the_answer_was_lost() {
    let watched = Watched::new();
    let store = store(watched.clone(), files());
    store.put(&path(), "old".into()).await.unwrap();
    watched.fail("put a/object", When::After);
    store.put(&path(), "new".into()).await.unwrap_err();
    assert!(watched.has_failed());
    assert_eq!(read(&store, &path()).await, b"new");
}

#[tokio::test]
async fn does_not_stay_without_an_object() {
    let watched = Watched::new();
    let store = store(watched.clone(), files());
    watched.fail("put a/object", When::Before);
    store.put(&path(), "abc".into()).await.unwrap_err();
    assert!(watched.has_failed());
    assert!(names(&*watched.inner).await.is_empty());
}

#[tokio::test]
async fn is_not_there_for_objects_of_others() {
    let inner = memory();
    inner
        .put(&path(), "plain text, not encrypted".into())
        .await
        .unwrap();
    let store = |foreign, format| {
        EncryptedStore::builder(inner.clone())
            .format(format)
            .foreign_objects(foreign)
            .build(golden_aes())
    };
    for format in [S3ec::v3(), files(), S3ec::v3().without_instruction_files()] {
        let format = format.danger().read_legacy_unauthenticated();
        let refuses = store(ForeignObjects::Refuse, format.clone());
        let reports = store(ForeignObjects::Report, format.clone());
        let passes = store(ForeignObjects::Pass, format);
        for error in [
            refuses.get(&path()).await.unwrap_err(),
            refuses.head(&path()).await.unwrap_err(),
            refuses.get_range(&path(), 0..5).await.unwrap_err(),
            reports.get(&path()).await.unwrap_err(),
            reports.get_range(&path(), 0..5).await.unwrap_err(),
        ] {
            assert!(matches!(store_error(&error), Error::Foreign { .. }));
            assert_eq!(variant(&error), "NoEnvelope");
        }
        for store in [&reports, &passes] {
            assert_eq!(store.head(&path()).await.unwrap().size, 25);
            let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
            assert_eq!(listed[0].size, 25);
        }
        let result = passes.get(&path()).await.unwrap();
        assert!(result.extensions.get::<NotEncrypted>().is_some());
        assert_eq!(result.bytes().await.unwrap(), "plain text, not encrypted");
        let part = passes.get_range(&path(), 0..5).await.unwrap();
        assert_eq!(part, "plain");
    }
    // One that says it is the client's is none of others, whatever is missing.
    let mut lost = StoredObject::golden("pyraw/v3/aes/17-instr");
    lost.file = None;
    let passes = EncryptedStore::builder(lost.put().await)
        .format(S3ec::v3())
        .foreign_objects(ForeignObjects::Pass)
        .build(golden_aes());
    let error = passes.get(&path()).await.unwrap_err();
    assert!(matches!(
        store_error(&error),
        Error::InstructionFileMissing { .. }
    ));
}

/// A rename would lose the only object there is.
#[tokio::test]
async fn or_keys_in_metadata_are_never_left_behind() {
    let other = Path::from("b");
    for format in [S3ec::v3(), S3ec::v2(), files()] {
        let watched = Watched::new().copies_bytes_alone();
        let store = store(watched.clone(), format);
        store.put(&path(), "abc".into()).await.unwrap();
        let before = names(&*watched.inner).await;
        for error in [
            store.copy_if_not_exists(&path(), &other).await,
            store.rename_if_not_exists(&path(), &other).await,
        ] {
            let error = error.unwrap_err();
            assert!(matches!(error, StoreError::NotSupported { .. }), "{error}");
            assert!(matches!(
                store_error(&error),
                Error::MetadataNotCopied { .. }
            ));
            assert_eq!(names(&*watched.inner).await, before);
            assert_eq!(read(&store, &path()).await, b"abc");
        }
        store.copy(&path(), &other).await.unwrap();
        assert_eq!(read(&store, &other).await, b"abc");
        let error = store.rename_if_not_exists(&path(), &other).await;
        assert!(matches!(error, Err(StoreError::AlreadyExists { .. })));
        store.delete(&other).await.unwrap();
        store.rename(&path(), &other).await.unwrap();
        assert_eq!(read(&store, &other).await, b"abc");
    }
    // Where all of an object is in its instruction file, its bytes are enough.
    let watched = Watched::new().copies_bytes_alone();
    let store = store(watched, S3ec::v2().instruction_files());
    store.put(&path(), "abc".into()).await.unwrap();
    store.rename_if_not_exists(&path(), &other).await.unwrap();
    assert_eq!(read(&store, &other).await, b"abc");
}
