//! Several writers of one object, whose instruction file has one name: whatever order their requests
//! take, the object that stays can be read.
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
use envelope_s3::keyring::Keys;
use envelope_s3::{InstructionSuffix, Rotation, S3ec};
use envelope_store::{EncryptedStore, Error, ForeignObjects, Framed};
use futures::TryStreamExt;
use futures::future::{join, join_all};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, Extensions, GetOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, UpdateVersion,
};
use support::watched::Watched;
use support::{golden_aes, golden_rsa, path, store_error};

const SEEDS: u64 = 300;
const TWO: [&str; 2] = ["one", "two"];
const THREE: [&str; 3] = ["one", "two", "three"];

fn file() -> Path {
    Path::from(format!("{}.instruction", path()))
}

fn store(inner: Watched) -> EncryptedStore<Watched> {
    EncryptedStore::builder(inner)
        .format(S3ec::v3().instruction_files())
        .build(golden_aes())
}

async fn read(inner: &Arc<InMemory>) -> String {
    let keys = Keys::new(golden_aes()).and(golden_rsa());
    let store = EncryptedStore::builder(inner.clone())
        .format(S3ec::v3())
        .build(keys);
    let bytes = store.get(&path()).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn write_all(
    store: &EncryptedStore<Watched>,
    mode: &PutMode,
    texts: &[&'static str],
) -> Vec<Result<(), StoreError>> {
    let writes = texts.iter().map(|text| async {
        let options = PutOptions::from(mode.clone());
        let location = path();
        let put = store.put_opts(&location, (*text).into(), options);
        put.await.map(drop)
    });
    join_all(writes).await
}

#[tokio::test]
async fn one_of_two_creators_wins_and_is_read() {
    for seed in 0..SEEDS {
        let watched = Watched::new().taking_turns(seed);
        let written = write_all(&store(watched.clone()), &PutMode::Create, &TWO).await;
        let winner = written.iter().position(Result::is_ok);
        let winner = TWO[winner.unwrap()];
        assert_eq!(read(&watched.inner).await, winner, "seed {seed}");
        for error in written.into_iter().filter_map(Result::err) {
            assert!(
                matches!(error, StoreError::AlreadyExists { .. })
                    || matches!(store_error(&error), Error::ChangesWhileRead { .. }),
                "seed {seed}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn one_of_two_updates_wins_and_is_read() {
    for seed in 0..SEEDS {
        let watched = Watched::new();
        let plain = store(watched.clone());
        let first = plain.put(&path(), "zero".into()).await.unwrap();
        let mode = PutMode::Update(UpdateVersion::from(first));
        let turns = watched.clone().taking_turns(seed);
        let written = write_all(&store(turns), &mode, &TWO).await;
        let winners = written.iter().filter(|written| written.is_ok()).count();
        assert_eq!(winners, 1, "seed {seed}");
        let winner = written.iter().position(Result::is_ok).unwrap();
        assert_eq!(read(&watched.inner).await, TWO[winner], "seed {seed}");
    }
}

#[tokio::test]
async fn the_last_of_several_overwrites_is_read() {
    for seed in 0..SEEDS {
        let watched = Watched::new();
        let plain = store(watched.clone());
        plain.put(&path(), "zero".into()).await.unwrap();
        let turns = watched.clone().taking_turns(seed);
        write_all(&store(turns), &PutMode::Overwrite, &THREE).await;
        let read = read(&watched.inner).await;
        assert!(THREE.contains(&&*read), "seed {seed}: {read}");
    }
}

#[tokio::test]
async fn a_rewrap_does_not_take_the_keys_of_a_new_object() {
    let (mut rewrapped, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let watched = Watched::new();
        store(watched.clone())
            .put(&path(), "old".into())
            .await
            .unwrap();
        let store = store(watched.clone().taking_turns(seed));
        let to =
            golden_rsa().described(envelope_s3::keyring::MaterialDescription::new([("a", "b")]));
        let location = path();
        let put = store.put(&location, "new".into());
        let (put, done) = join(put, store.rewrap(&location, &to)).await;
        put.unwrap();
        let keys = Keys::new(golden_aes()).and(to);
        let reader = EncryptedStore::builder(watched.inner.clone())
            .format(S3ec::v3())
            .build(keys);
        let bytes = reader.get(&path()).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, "new", "seed {seed}");
        match done {
            Ok(()) => rewrapped += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(rewrapped > 0 && refused > 0, "{rewrapped} and {refused}");
}

/// The writer's condition is looked at before the file of the object is touched.
#[tokio::test]
async fn a_stale_update_leaves_the_file_alone() {
    let watched = Watched::new();
    let store = store(watched.clone());
    store.put(&path(), "old".into()).await.unwrap();
    watched.log();
    let mode = PutMode::Update(UpdateVersion {
        e_tag: Some("stale".into()),
        version: None,
    });
    let error = store
        .put_opts(&path(), "new".into(), PutOptions::from(mode))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Precondition { .. }));
    assert_eq!(watched.log(), ["head a/object"]);
    assert_eq!(read(&watched.inner).await, "old");
}

/// Somebody's object may have the name that an instruction file would have.
#[tokio::test]
async fn an_object_of_such_a_name_is_never_touched() {
    for files in [false, true] {
        let watched = Watched::new();
        let text = "how to use the object";
        watched.inner.put(&file(), text.into()).await.unwrap();
        let format = match files {
            false => S3ec::v3(),
            true => S3ec::v3().instruction_files(),
        };
        let store = EncryptedStore::builder(watched.clone())
            .format(format)
            .build(golden_aes());
        let put = store.put(&path(), "abc".into()).await;
        match files {
            false => drop(put.unwrap()),
            true => {
                let error = put.unwrap_err();
                assert!(matches!(
                    store_error(&error),
                    Error::NotAnInstructionFile { .. }
                ));
            }
        }
        let other = Path::from("b");
        if !files {
            store.put(&other, "abc".into()).await.unwrap();
            store
                .copy_opts(&other, &path(), CopyOptions::new())
                .await
                .unwrap();
            store.delete(&path()).await.unwrap();
        }
        let kept = watched.inner.get(&file()).await.unwrap();
        assert_eq!(kept.bytes().await.unwrap(), text);
    }
}

/// Also not by a store that writes another format and only reads this one.
#[tokio::test]
async fn an_object_of_such_a_name_is_not_touched_by_other_formats() {
    let (inner, other) = (Arc::new(InMemory::new()), Path::from("b"));
    let text = "how to use the object";
    inner.put(&file(), text.into()).await.unwrap();
    let keys = RawAes::new("acme", "2026", WrappingKey::generate().unwrap()).unwrap();
    let store = EncryptedStore::builder(inner.clone())
        .format(Framed::new().with_instruction_files())
        .also_read(S3ec::v3(), golden_aes())
        .foreign_objects(ForeignObjects::Pass)
        .build(keys);
    inner.put(&path(), "plain".into()).await.unwrap();
    store.put(&path(), "sealed".into()).await.unwrap();
    store.delete(&path()).await.unwrap();
    inner.put(&path(), "plain".into()).await.unwrap();
    store.rename(&path(), &other).await.unwrap();
    store.delete(&other).await.unwrap();
    let kept: Vec<_> = inner.list(None).try_collect().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].location, file());
    assert_eq!(kept[0].size, text.len() as u64);
}

#[tokio::test]
async fn further_files_move_with_their_object() {
    let watched = Watched::new();
    let format = || S3ec::v3().instruction_files().further_suffix(".partner");
    let store = EncryptedStore::builder(watched.clone())
        .format(format())
        .build(golden_aes());
    let partner = || {
        golden_rsa().described(envelope_s3::keyring::MaterialDescription::new([(
            "for", "partner",
        )]))
    };
    store.put(&path(), "abc".into()).await.unwrap();
    let mut wishes = Extensions::new();
    wishes.insert(Rotation::new().to_suffix(".partner"));
    store
        .rewrap_opts(&path(), &partner(), wishes)
        .await
        .unwrap();

    let to = Path::from("b");
    store.rename(&path(), &to).await.unwrap();
    let theirs = EncryptedStore::builder(watched.inner.clone())
        .format(format())
        .build(partner());
    let mut options = GetOptions::new();
    options
        .extensions
        .insert(InstructionSuffix::new(".partner"));
    let read = theirs.get_opts(&to, options).await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), "abc");
    for gone in ["", ".instruction", ".partner"] {
        let gone = Path::from(format!("{}{gone}", path()));
        let error = watched.inner.head(&gone).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{gone}");
    }

    // A suffix that the store does not know would be an object's.
    let mut wishes = Extensions::new();
    wishes.insert(Rotation::new().to_suffix(".unknown"));
    let error = store
        .rewrap_opts(&to, &partner(), wishes)
        .await
        .unwrap_err();
    assert!(matches!(
        store_error(&error),
        Error::Envelope {
            source: envelope::Error::InvalidOption { .. },
            ..
        }
    ));
}
