//! `object_store`'s own suite over local files, and who may read them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;

use envelope::{RawAes, WrappingKey};
use envelope_fs::{Error, LocalStore};
use envelope_store::EncryptedStore;
use futures::executor::block_on;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use object_store::integration::{
    copy_if_not_exists, copy_rename_nonexistent_object, get_nonexistent_object, get_opts,
    list_uses_directories_correctly, list_with_delimiter, list_with_offset_exclusivity,
    multipart_out_of_order, multipart_race_condition, put_get_delete_list, put_opts,
    rename_and_copy, stream_get,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, DynObjectStore, Error as StoreError, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, UpdateVersion,
};
use tempfile::TempDir;

fn open(folder: &TempDir) -> LocalStore {
    LocalStore::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())
}

fn encrypted(store: LocalStore) -> EncryptedStore<LocalStore> {
    let key = WrappingKey::generate().unwrap();
    EncryptedStore::new(store, RawAes::new("acme", "test", key).unwrap())
}

fn cause(error: &StoreError) -> &Error {
    match error {
        StoreError::Generic { source, .. } | StoreError::NotSupported { source } => {
            source.downcast_ref().unwrap()
        }
        other => panic!("{other}"),
    }
}

/// All files below a folder, by their names.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(files(&entry.path()));
        } else {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    names.sort();
    names
}

async fn suite(store: &DynObjectStore) {
    put_get_delete_list(store).await;
    get_opts(store).await;
    list_uses_directories_correctly(store).await;
    list_with_delimiter(store).await;
    list_with_offset_exclusivity(store).await;
    rename_and_copy(store).await;
    copy_if_not_exists(store).await;
    copy_rename_nonexistent_object(store).await;
    stream_get(store).await;
    put_opts(store, false).await;
    multipart_race_condition(store, true).await;
    multipart_out_of_order(store).await;
    get_nonexistent_object(store, None).await.unwrap_err();
}

#[tokio::test]
async fn the_suite_passes() {
    let folder = tempfile::tempdir().unwrap();
    suite(&open(&folder)).await;
}

#[tokio::test]
async fn the_suite_passes_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    suite(&encrypted(open(&folder))).await;
}

/// Without a runtime, work is done on the thread at hand.
#[test]
fn it_works_without_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = Path::from("a/object");
    block_on(async {
        let put = store.put(&path, "text".into()).await.unwrap();
        assert_eq!(store.head(&path).await.unwrap().e_tag, put.e_tag);
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part("other ".into()).await.unwrap();
        upload.put_part("text".into()).await.unwrap();
        let completed = upload.complete().await.unwrap();
        let result = store.get(&path).await.unwrap();
        assert_eq!(result.meta.e_tag, completed.e_tag);
        assert_eq!(result.bytes().await.unwrap(), "other text");
    });
    assert_eq!(files(folder.path()), ["object"]);
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_private() {
    use std::os::unix::fs::PermissionsExt;

    fn modes(folder: &std::path::Path, expected: usize) {
        let mut found = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o777;
            let private = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, private, "{}", entry.path().display());
            found += 1;
        }
        assert_eq!(found, expected);
    }

    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = |name: &str| Path::from(name);
    store
        .put(&path("deep/er/put"), "text".into())
        .await
        .unwrap();
    modes(folder.path(), 1);
    modes(&folder.path().join("deep"), 1);
    modes(&folder.path().join("deep/er"), 1);

    // An older file that all may read is replaced, not written to.
    let old = folder.path().join("multipart");
    fs::write(&old, "old").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    let mut upload = store.put_multipart(&path("multipart")).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    let during: Vec<_> = files(folder.path());
    let temporary = during.iter().find(|name| name.ends_with(".envelope-tmp"));
    let temporary = fs::metadata(folder.path().join(temporary.unwrap())).unwrap();
    assert_eq!(temporary.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&old).unwrap(), b"old");
    upload.complete().await.unwrap();
    modes(folder.path(), 2);

    let put = path("deep/er/put");
    let (copy, copy_new) = (path("copies/copy"), path("new/copies/copy"));
    store.copy(&put, &copy).await.unwrap();
    store.copy_if_not_exists(&put, &copy_new).await.unwrap();
    store.rename(&put, &path("renamed/object")).await.unwrap();
    let put = path("multipart");
    let renamed = path("renamed/new/object");
    store.rename_if_not_exists(&put, &renamed).await.unwrap();
    let created = PutOptions::from(PutMode::Create);
    let put = path("created");
    store.put_opts(&put, "text".into(), created).await.unwrap();
    for (below, expected) in [
        ("", 5),
        ("copies", 1),
        ("new", 1),
        ("new/copies", 1),
        ("renamed", 2),
        ("renamed/new", 1),
    ] {
        modes(&folder.path().join(below), expected);
    }
}

#[test]
fn content_is_put_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    assert!(format!("{:?}", open(&folder)).contains("fsync: true"));
}

#[tokio::test]
async fn nothing_is_left_of_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = Path::from("object");
    store.put(&path, "old".into()).await.unwrap();

    let create = PutOptions::from(PutMode::Create);
    let error = store.put_opts(&path, "new".into(), create).await;
    assert!(matches!(error, Err(StoreError::AlreadyExists { .. })));

    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    upload.abort().await.unwrap();
    for error in [
        upload.put_part("more".into()).await.unwrap_err(),
        upload.complete().await.unwrap_err(),
        upload.abort().await.unwrap_err(),
    ] {
        assert!(matches!(cause(&error), Error::BrokenUpload { path } if path.ends_with("object")));
    }

    // A part that was never written must not become zeros.
    let mut upload = store.put_multipart(&path).await.unwrap();
    drop(upload.put_part("lost".into()));
    upload.put_part("new".into()).await.unwrap();
    let error = upload.complete().await.unwrap_err();
    assert!(matches!(cause(&error), Error::BrokenUpload { .. }));

    drop(store.put_multipart(&path).await.unwrap());
    assert_eq!(files(folder.path()), ["object"]);
    assert_eq!(fs::read(folder.path().join("object")).unwrap(), b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_side_by_side_leave_one_whole_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = Path::from("new/folder/object");
    let writers = (0..20_u8).map(|byte| {
        let (store, path) = (store.clone(), path.clone());
        tokio::spawn(async move { store.put(&path, vec![byte; 10_000].into()).await })
    });
    let mut e_tags = Vec::new();
    for put in join_all(writers).await {
        e_tags.push(put.unwrap().unwrap().e_tag);
    }
    let result = store.get(&path).await.unwrap();
    assert!(e_tags.contains(&result.meta.e_tag));
    let content = result.bytes().await.unwrap();
    assert_eq!(content, vec![content[0]; 10_000]);
    assert_eq!(files(folder.path()), ["object"]);
}

#[tokio::test]
async fn temporary_files_are_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = Path::from("a/object");
    store.put(&path, "text".into()).await.unwrap();
    let upload = store.put_multipart(&path).await.unwrap();
    assert_eq!(files(folder.path()).len(), 2);
    let only = |listed: Vec<Path>| assert_eq!(listed, [Path::from("a/object")]);
    let locations = |listed: Vec<object_store::ObjectMeta>| {
        listed.into_iter().map(|meta| meta.location).collect()
    };
    only(locations(store.list(None).try_collect().await.unwrap()));
    let offset = Path::from("a");
    let after = store.list_with_offset(None, &offset);
    only(locations(after.try_collect().await.unwrap()));
    let below = store.list_with_delimiter(Some(&offset)).await.unwrap();
    only(locations(below.objects));
    drop(upload);

    let reserved = Path::from("a/.object.envelope-tmp");
    for error in [
        store.put(&reserved, "text".into()).await.unwrap_err(),
        store.put_multipart(&reserved).await.unwrap_err(),
        store.copy(&path, &reserved).await.unwrap_err(),
        store.rename(&path, &reserved).await.unwrap_err(),
    ] {
        assert!(
            matches!(cause(&error), Error::ReservedName { path } if path.ends_with(".object.envelope-tmp"))
        );
        assert!(matches!(error, StoreError::NotSupported { .. }));
    }
    assert_eq!(store.list(None).count().await, 1);
}

#[tokio::test]
async fn what_files_cannot_keep_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = Path::from("object");
    let attributes = Attributes::from_iter([(Attribute::ContentType, "text/csv")]);
    let update = PutMode::Update(UpdateVersion {
        e_tag: Some("1".to_owned()),
        version: None,
    });
    let put = PutOptions::from(attributes.clone());
    let upload = PutMultipartOptions::from(attributes);
    for error in [
        store.put_opts(&path, "text".into(), put).await.unwrap_err(),
        store.put_multipart_opts(&path, upload).await.unwrap_err(),
        store
            .put_opts(&path, "text".into(), update.into())
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotImplemented { .. }));
    }
    assert!(files(folder.path()).is_empty());
}
