//! Objects whose keys lie beside them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;

use envelope::{
    DecryptOptions, EncryptOptions, EncryptionContext, MaterialsManager, RawAes,
    RequiredEncryptionContext, UnverifiedHeader, WrappingKey,
};
use envelope_store::{
    EncryptedStore, Error, Framed, INSTRUCTION_FILE_CONTEXT_KEY, INSTRUCTION_FILE_PROVIDER_ID,
    ListedSizes, Opened,
};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
};
use support::{Spy, keyring, put_now};

fn store<S: ObjectStore>(inner: S, keyring: impl MaterialsManager + 'static) -> EncryptedStore<S> {
    EncryptedStore::builder(inner)
        .format(Framed::new().frame_length(1000).with_instruction_files())
        .part_length(5000)
        .build(keyring)
}

fn other() -> RawAes {
    let key = WrappingKey::from_bytes(&mut [8; 32]).unwrap();
    RawAes::new("acme", "other", key).unwrap()
}

fn path() -> Path {
    Path::from("a/object")
}

/// Our own error inside one of `object_store`'s.
fn cause(error: &StoreError) -> &Error {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref::<Error>().unwrap()
}

async fn stored(inner: &InMemory) -> Vec<(Path, Vec<u8>)> {
    let mut stored = Vec::new();
    let listed: Vec<_> = inner.list(None).try_collect().await.unwrap();
    for meta in listed {
        let bytes = inner.get(&meta.location).await.unwrap().bytes().await;
        stored.push((meta.location, bytes.unwrap().to_vec()));
    }
    stored
}

async fn read(store: &impl ObjectStore, location: &Path) -> Vec<u8> {
    let result = store.get(location).await.unwrap();
    result.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn both_messages_open_with_stock_keyrings() {
    let inner = Arc::new(InMemory::new());
    let store = store(Arc::clone(&inner), keyring());
    store.put(&path(), "text".into()).await.unwrap();

    let stored = stored(&inner).await;
    let [(object, message), (file, instructions)] = &stored[..] else {
        panic!("an object and its file");
    };
    assert_eq!(*object, path());
    let options = DecryptOptions::default();
    let key = envelope::blocking::decrypt(&keyring(), instructions, &options);
    let mut key = key.unwrap().plaintext;
    assert_eq!(key.len(), 32);

    let header = UnverifiedHeader::parse_whole(message, &options).unwrap();
    let name = header.claims().encrypted_data_keys()[0].key_name();
    assert_eq!(file.to_string(), format!("{}.{name}.instruction", path()));
    let key = WrappingKey::from_bytes(&mut key).unwrap();
    let keyring = RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, name, key).unwrap();
    let opened = envelope::blocking::decrypt(&keyring, message, &options).unwrap();
    assert_eq!(opened.plaintext, b"text");
}

#[tokio::test]
async fn rewrap_changes_the_keys_and_not_the_object() {
    for length in [0, 1, 1000, 12_345] {
        let inner = Arc::new(InMemory::new());
        let plaintext = vec![7; length];
        let before = store(Arc::clone(&inner), keyring());
        let context = EncryptionContext::new([("kind", "invoice")]).unwrap();
        let mut options = PutOptions::default();
        options.extensions.insert(context.clone());
        before
            .put_opts(&path(), plaintext.clone().into(), options)
            .await
            .unwrap();
        // Remembered with the old key.
        if length > 0 {
            before.get_range(&path(), 0..1).await.unwrap();
        }
        let old = stored(&inner).await;

        before.rewrap(&path(), &other()).await.unwrap();
        let new = stored(&inner).await;
        assert_eq!(old[0], new[0]);
        assert_eq!(old[1].0, new[1].0);
        assert_ne!(old[1].1, new[1].1);

        let after = store(Arc::clone(&inner), other());
        let result = after.get(&path()).await.unwrap();
        let opened = result.extensions.get::<Opened>().unwrap();
        assert_eq!(opened.context().get("kind"), Some("invoice"));
        assert_eq!(opened.format(), "framed-instruction");
        assert_eq!(opened.key().key_name(), "other");
        assert_eq!(result.bytes().await.unwrap(), plaintext);
        let refused = before.get(&path()).await.unwrap_err();
        assert!(matches!(refused, StoreError::PermissionDenied { .. }));
        if length > 0 {
            assert_eq!(
                after.get_range(&path(), 0..1).await.unwrap(),
                plaintext[..1]
            );
            let refused = before.get_range(&path(), 0..1).await.unwrap_err();
            assert!(matches!(refused, StoreError::PermissionDenied { .. }));
        }
    }
}

#[tokio::test]
async fn rewrap_never_touches_a_header() {
    let inner = Arc::new(InMemory::new());
    let framed = EncryptedStore::new(Arc::clone(&inner), keyring());
    framed.put(&path(), "text".into()).await.unwrap();
    let before = stored(&inner).await;
    let refused = framed.rewrap(&path(), &other()).await.unwrap_err();
    assert!(matches!(cause(&refused), Error::KeysInHeader { location } if *location == path()));
    assert!(refused.to_string().contains("reencrypt"), "{refused}");
    assert_eq!(stored(&inner).await, before);

    let missing = framed.rewrap(&Path::from("missing"), &other()).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn files_follow_their_objects() {
    let inner = Arc::new(InMemory::new());
    let store = store(Arc::clone(&inner), keyring());
    let names = |stored: &[(Path, Vec<u8>)]| stored.len();
    let (a, b) = (Path::from("a"), Path::from("x/b"));
    store.put(&a, "one".into()).await.unwrap();
    // An overwrite leaves the new file alone.
    store.put(&a, "two".into()).await.unwrap();
    assert_eq!(names(&stored(&inner).await), 2);
    store.copy(&a, &b).await.unwrap();
    store.copy(&a, &b).await.unwrap();
    assert_eq!(names(&stored(&inner).await), 4);
    // Each has a file of its own.
    store.delete(&a).await.unwrap();
    assert_eq!(names(&stored(&inner).await), 2);
    assert_eq!(read(&store, &b).await, b"two");
    store.rename(&b, &a).await.unwrap();
    assert_eq!(read(&store, &a).await, b"two");
    assert_eq!(names(&stored(&inner).await), 2);
    // What loses against a condition takes its file with it.
    let create = PutOptions::from(PutMode::Create);
    let refused = store.put_opts(&a, "three".into(), create).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })));
    assert_eq!(names(&stored(&inner).await), 2);
    store.put(&b, "four".into()).await.unwrap();
    let refused = store.copy_if_not_exists(&a, &b).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })));
    assert_eq!(read(&store, &b).await, b"four");
    assert_eq!(names(&stored(&inner).await), 4);
    // An upload that is given up leaves nothing, one that is completed one file.
    let mut upload = store.put_multipart(&a).await.unwrap();
    upload.put_part(vec![1; 12_000].into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(names(&stored(&inner).await), 4);
    let mut upload = store.put_multipart(&a).await.unwrap();
    upload.put_part(vec![1; 12_000].into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(names(&stored(&inner).await), 4);
    assert_eq!(read(&store, &a).await, vec![1; 12_000]);
    store.reencrypt(&a, &keyring()).await.unwrap();
    assert_eq!(read(&store, &a).await, vec![1; 12_000]);
    let both = futures::stream::iter([Ok(a), Ok(b)]).boxed();
    store
        .delete_stream(both)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    assert_eq!(names(&stored(&inner).await), 0);
}

#[tokio::test]
async fn a_store_without_files_moves_objects_with_them() {
    let inner = Arc::new(InMemory::new());
    let (a, b) = (Path::from("a"), Path::from("b"));
    store(Arc::clone(&inner), keyring())
        .put(&a, "text".into())
        .await
        .unwrap();
    let framed = EncryptedStore::new(Arc::clone(&inner), keyring());
    framed.copy(&a, &b).await.unwrap();
    assert_eq!(read(&framed, &b).await, b"text");
    framed.rename(&b, &a).await.unwrap();
    assert_eq!(read(&framed, &a).await, b"text");
}

#[tokio::test]
async fn files_are_hidden_and_their_names_reserved() {
    let inner = Arc::new(InMemory::new());
    let store = store(Arc::clone(&inner), keyring());
    store.put(&path(), "text".into()).await.unwrap();
    let file = stored(&inner).await[1].0.clone();

    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].size, &listed[0].location), (4, &path()));
    let listed = store.list_with_offset(None, &Path::from("a"));
    assert_eq!(listed.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    let listed = store.list_with_delimiter(Some(&Path::from("a"))).await;
    assert_eq!(listed.unwrap().objects.len(), 1);

    let not_found = |error: StoreError| matches!(error, StoreError::NotFound { .. });
    assert!(not_found(store.get(&file).await.unwrap_err()));
    assert!(not_found(store.head(&file).await.unwrap_err()));
    assert!(not_found(store.get_range(&file, 0..1).await.unwrap_err()));
    assert!(not_found(
        store.get_ranges(&file, &[0..1, 1..2]).await.unwrap_err()
    ));
    assert!(not_found(store.delete(&file).await.unwrap_err()));
    assert!(not_found(store.copy(&file, &path()).await.unwrap_err()));
    assert!(not_found(store.rename(&file, &path()).await.unwrap_err()));
    assert!(not_found(store.inspect(&file).await.unwrap_err()));
    let reserved = |error: StoreError| matches!(cause(&error), Error::ReservedPath { .. });
    assert!(reserved(store.put(&file, "x".into()).await.unwrap_err()));
    assert!(reserved(store.put_multipart(&file).await.unwrap_err()));
    assert!(reserved(store.copy(&path(), &file).await.unwrap_err()));
    assert!(reserved(store.rename(&path(), &file).await.unwrap_err()));
    assert_eq!(stored(&inner).await[1].0, file);

    // Names that only look alike belong to the caller.
    for name in [
        "object.instruction",
        "x.0123.instruction",
        "y.instruction.txt",
    ] {
        store.put(&Path::from(name), "text".into()).await.unwrap();
        assert_eq!(read(&store, &Path::from(name)).await, b"text");
    }
    let odd = Path::from("100% of ä?.txt");
    store.put(&odd, "text".into()).await.unwrap();
    assert_eq!(read(&store, &odd).await, b"text");
}

#[tokio::test]
async fn requests_are_one_more() {
    let spy = Spy::new();
    let log = Arc::clone(&spy.log);
    let store = store(spy, keyring());
    store.put(&path(), vec![7; 50_000].into()).await.unwrap();
    log.take();
    assert_eq!(read(&store, &path()).await.len(), 50_000);
    assert_eq!(log.take().0, 2);
    store.get_range(&path(), 30_000..30_100).await.unwrap();
    assert_eq!(log.take().0, 3, "the beginning, the file, the frame");
    store.get_range(&path(), 10_000..10_100).await.unwrap();
    assert_eq!(log.take().0, 1);
    store.head(&path()).await.unwrap();
    assert_eq!(log.take().0, 1);
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!((listed[0].size, log.take().0), (50_000, 0));
    store.inspect(&path()).await.unwrap();
    assert_eq!(log.take().0, 2);
}

#[tokio::test]
async fn a_missing_file_is_named_and_one_dropped_meanwhile_is_not_missed() {
    let inner = Arc::new(InMemory::new());
    let writer = store(Arc::clone(&inner), keyring());
    writer.put(&path(), "text".into()).await.unwrap();
    let file = stored(&inner).await[1].0.clone();
    inner.delete(&file).await.unwrap();
    for refused in [
        writer.get(&path()).await.unwrap_err(),
        writer.get_range(&path(), 0..1).await.unwrap_err(),
        writer.rewrap(&path(), &other()).await.unwrap_err(),
    ] {
        let Error::InstructionFileMissing {
            instruction_file, ..
        } = cause(&refused)
        else {
            panic!("{refused}");
        };
        assert_eq!(*instruction_file, file);
    }
    // It can be overwritten and deleted all the same.
    writer.put(&path(), "again".into()).await.unwrap();
    assert_eq!(read(&writer, &path()).await, b"again");

    // The reader saw the old header; by the time it asks for the file there is another object.
    for whole in [true, false] {
        let meanwhile = store(Arc::clone(&inner), keyring());
        let spy = Spy::over(Arc::clone(&inner)).before_get(move |_, count| {
            if count == 1 {
                futures::executor::block_on(meanwhile.put(&path(), "newer".into())).unwrap();
            }
        });
        writer.put(&path(), "older".into()).await.unwrap();
        let reader = store(spy, keyring());
        let found = match whole {
            true => read(&reader, &path()).await,
            false => reader.get_range(&path(), 0..5).await.unwrap().to_vec(),
        };
        assert_eq!(found, b"newer");
    }
}

#[tokio::test]
async fn a_file_of_another_object_opens_nothing() {
    let inner = Arc::new(InMemory::new());
    let store = store(Arc::clone(&inner), keyring());
    let (a, b) = (Path::from("a"), Path::from("b"));
    store.put(&a, "one".into()).await.unwrap();
    store.put(&b, "two".into()).await.unwrap();
    let stored = stored(&inner).await;
    put_now(&inner, &stored[1].0, stored[3].1.clone());
    let refused = store.get(&a).await.unwrap_err();
    assert!(matches!(
        cause(&refused),
        Error::Envelope {
            source: envelope::Error::ContextMismatch { key, .. },
            ..
        } if key == INSTRUCTION_FILE_CONTEXT_KEY
    ));
    // Nor does one that holds something else than a key.
    let id = stored[1].0.as_ref().split('.').nth(1).unwrap();
    let bound = EncryptionContext::new([(INSTRUCTION_FILE_CONTEXT_KEY, id)]).unwrap();
    let options = EncryptOptions::default().with_context(bound);
    let other = envelope::blocking::encrypt(&keyring(), b"short", &options).unwrap();
    put_now(&inner, &stored[1].0, other);
    let refused = store.get(&a).await.unwrap_err();
    assert!(matches!(
        cause(&refused),
        Error::Envelope {
            source: envelope::Error::KeyLength { length: 5, .. },
            ..
        }
    ));
    put_now(&inner, &stored[1].0, vec![7; 2 << 20]);
    let refused = store.get(&a).await.unwrap_err();
    assert!(matches!(
        cause(&refused),
        Error::InstructionFileTooLong { .. }
    ));
}

#[tokio::test]
async fn what_is_bound_and_not_stored_is_in_neither_header() {
    let inner = Arc::new(InMemory::new());
    let context = EncryptionContext::new([("secret", "pair"), ("kind", "invoice")]).unwrap();
    let required = || RequiredEncryptionContext::new(keyring(), ["secret"]).unwrap();
    let store = EncryptedStore::builder(Arc::clone(&inner))
        .format(Framed::new().with_instruction_files())
        .context(context)
        .build(required());
    store.put(&path(), "text".into()).await.unwrap();
    for (_, bytes) in stored(&inner).await {
        let header = UnverifiedHeader::parse_whole(&bytes, &DecryptOptions::default()).unwrap();
        assert_eq!(header.claims().context().get("secret"), None);
        assert_eq!(header.claims().context().get("kind"), Some("invoice"));
    }
    let result = store.get(&path()).await.unwrap();
    let opened = result.extensions.get::<Opened>().unwrap();
    assert_eq!(opened.context().get("secret"), Some("pair"));
    assert_eq!(result.bytes().await.unwrap(), "text");
    store.rewrap(&path(), &required()).await.unwrap();
    assert_eq!(read(&store, &path()).await, b"text");

    let wrong = EncryptionContext::new([("secret", "other")]).unwrap();
    let stranger = EncryptedStore::builder(inner)
        .context(wrong)
        .build(required());
    let refused = stranger.get(&path()).await.unwrap_err();
    let Error::Envelope { source, .. } = cause(&refused) else {
        panic!("{refused}");
    };
    let envelope::Error::NotUnwrapped(report) = source else {
        panic!("{source}");
    };
    assert_eq!(report.context_keys_not_stored(), ["secret"]);
    assert_eq!(stranger.head(&path()).await.unwrap().size, 4);
}

#[tokio::test]
async fn unpadded_headers_need_looked_up_sizes() {
    let inner = Arc::new(InMemory::new());
    let build =
        || EncryptedStore::builder(Arc::clone(&inner)).format(Framed::new().unpadded_headers());
    let computing = build().build(keyring());
    computing.put(&path(), "text".into()).await.unwrap();
    let refused = computing
        .list(None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert!(matches!(cause(&refused), Error::SizeUnknown { location } if *location == path()));
    let sizes = ListedSizes::LookedUp { concurrency: 2 };
    let looking = build().listed_sizes(sizes).build(keyring());
    let listed: Vec<_> = looking.list(None).try_collect().await.unwrap();
    assert_eq!(listed[0].size, 4);
}

/// Whoever may have a text of its choice stored must not thereby choose a key.
#[tokio::test]
async fn an_object_never_serves_as_an_instruction_file() {
    let inner = Arc::new(InMemory::new());
    let framed = EncryptedStore::new(Arc::clone(&inner), keyring());
    let (chosen, victim) = (Path::from("upload"), Path::from("victim"));
    let mut key = [9; 32];
    framed.put(&chosen, key.to_vec().into()).await.unwrap();
    framed.put(&victim, "genuine".into()).await.unwrap();

    let id = "0123456789abcdef0123456789abcdef";
    let known = WrappingKey::from_bytes(&mut key).unwrap();
    let known = RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, id, known).unwrap();
    EncryptedStore::new(Arc::clone(&inner), known)
        .put(&victim, "forged".into())
        .await
        .unwrap();
    let file = Path::from(format!("{victim}.{id}.instruction"));
    inner.copy(&chosen, &file).await.unwrap();
    let refused = framed.get(&victim).await.unwrap_err();
    assert!(matches!(
        cause(&refused),
        Error::Envelope {
            source: envelope::Error::NotUnwrapped(_),
            ..
        }
    ));
    // Nor can the pair that would make it one be asked for.
    let mut options = PutOptions::default();
    options
        .extensions
        .insert(EncryptionContext::new([(INSTRUCTION_FILE_CONTEXT_KEY, id)]).unwrap());
    let refused = framed.put_opts(&chosen, "text".into(), options).await;
    assert!(matches!(
        cause(&refused.unwrap_err()),
        Error::Envelope {
            source: envelope::Error::InvalidOption { .. },
            ..
        }
    ));
}

/// Whoever may read one object must not thereby get the key of another.
#[tokio::test]
async fn an_instruction_file_is_never_read_as_an_object() {
    let inner = Arc::new(InMemory::new());
    let store = store(Arc::clone(&inner), keyring());
    store.put(&path(), "text".into()).await.unwrap();
    let file = stored(&inner).await[1].0.clone();
    let public = Path::from("public");
    inner.copy(&file, &public).await.unwrap();
    for refused in [
        store.get(&public).await.unwrap_err(),
        store.get_range(&public, 0..1).await.unwrap_err(),
    ] {
        assert!(matches!(
            cause(&refused),
            Error::Envelope {
                source: envelope::Error::InvalidOption { .. },
                ..
            }
        ));
    }
}

#[tokio::test]
async fn a_refused_copy_leaves_the_targets_keys() {
    let inner = Arc::new(InMemory::new());
    let before = store(Arc::clone(&inner), keyring());
    let (a, b) = (Path::from("a"), Path::from("b"));
    before.put(&a, "text".into()).await.unwrap();
    before.copy(&a, &b).await.unwrap();
    before.rewrap(&b, &other()).await.unwrap();
    let refused = before.copy_if_not_exists(&a, &b).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })));
    assert_eq!(read(&store(inner, other()), &b).await, b"text");
}

#[tokio::test]
async fn refused_writes_leave_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store = store(files, keyring());
    store.put(&path(), "text".into()).await.unwrap();
    // Local files know neither conditional updates nor attributes.
    store.reencrypt(&path(), &keyring()).await.unwrap();
    let attributes = Attributes::from_iter([(Attribute::ContentType, "text/csv")]);
    let options = PutOptions::from(attributes);
    let refused = store.put_opts(&path(), "text".into(), options).await;
    assert!(matches!(refused, Err(StoreError::NotImplemented { .. })));
    let left = std::fs::read_dir(folder.path().join("a")).unwrap().count();
    assert_eq!(left, 2, "the object and its file");
    assert_eq!(read(&store, &path()).await, b"text");
}
