//! Objects that can be trusted only when all of them was seen, and where they wait until then.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use envelope::CommitmentPolicy;
use envelope_s3::S3ec;
use envelope_store::{EncryptedStore, Error, ListedSizes, Longer, Opened, Waiting};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, Result};
use support::stored_object::StoredObject;
use support::watched::{Change, PIECE, Watched};
use support::{
    Class, failure, golden_aes, golden_keys, path, plaintext, reads_all, store_error, variant,
};

fn waits(in_memory: u64, longer: Longer) -> S3ec {
    S3ec::v3().waiting(Waiting { in_memory, longer })
}

/// All places where an object can wait, and none.
fn modes() -> [(S3ec, &'static str); 3] {
    [
        (waits(1 << 20, Longer::Refused), "in memory"),
        (waits(0, Longer::TemporaryFile), "in a file"),
        (S3ec::v3().danger().delayed_authentication(), "nowhere"),
    ]
}

/// What was released, and how it ended.
async fn released(store: &EncryptedStore<Watched>) -> (Vec<u8>, Result<()>) {
    let result = match store.get(&path()).await {
        Ok(result) => result,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut pieces = result.into_stream();
    let mut bytes = Vec::new();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return (bytes, Ok(())),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

fn reading(inner: &Arc<InMemory>, format: S3ec, change: Change) -> EncryptedStore<Watched> {
    EncryptedStore::builder(Watched::over(Arc::clone(inner)).change(change))
        .format(format)
        .build(golden_aes())
}

async fn object(length: usize) -> Arc<InMemory> {
    let object = StoredObject::written(S3ec::v3(), golden_aes(), &plaintext(length)).await;
    object.put().await
}

#[tokio::test]
async fn as_long_as_they_may() {
    for (length, fits) in [(0, true), (83, true), (84, true), (85, false)] {
        let inner = object(length).await;
        let refuses = EncryptedStore::builder(inner.clone())
            .format(waits(100, Longer::Refused))
            .build(golden_aes());
        let read = refuses.get(&path()).await;
        match fits {
            true => assert_eq!(read.unwrap().bytes().await.unwrap(), plaintext(length)),
            false => {
                let error = read.unwrap_err();
                let found = store_error(&error);
                assert!(
                    matches!(
                        found,
                        Error::TooLongToWait {
                            length: 101,
                            maximum: 100,
                            ..
                        }
                    ),
                    "{found}"
                );
                for remedy in [
                    "raise that limit",
                    "temporary files",
                    "delayed authentication",
                ] {
                    assert!(error.to_string().contains(remedy), "{error}");
                }
            }
        }
        let stores = EncryptedStore::builder(inner)
            .format(waits(100, Longer::TemporaryFile))
            .build(golden_aes());
        let read = stores.get(&path()).await.unwrap();
        assert_eq!(read.meta.size, length as u64);
        assert!(read.extensions.get::<Opened>().unwrap().is_verified());
        assert_eq!(read.bytes().await.unwrap(), plaintext(length));
    }
}

/// Files that this process has open and that have no name, with their content.
#[cfg(target_os = "linux")]
fn nameless_files() -> Vec<Vec<u8>> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = open.filter_map(|entry| {
        let entry: PathBuf = entry.unwrap().path();
        let target = std::fs::read_link(&entry).ok()?;
        let nameless = target.to_str()?.ends_with(" (deleted)");
        let temporary = target.starts_with(std::env::temp_dir());
        (nameless && temporary).then(|| std::fs::read(&entry).ok())?
    });
    files.collect()
}

/// Whoever finds the file learns nothing from it, and nobody finds it afterwards.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn in_files_as_ciphertext_without_a_name() {
    let inner = object(50_000).await;
    let stored = StoredObject::stored(&inner).await.body;
    let store = EncryptedStore::builder(inner)
        .format(waits(0, Longer::TemporaryFile))
        .build(golden_aes());
    let read = store.get(&path()).await.unwrap();
    assert!(nameless_files().contains(&stored));
    let bytes = read.bytes().await.unwrap();
    assert_eq!(bytes, plaintext(50_000));
    assert!(!nameless_files().contains(&stored));

    // Also when nobody reads it.
    drop(store.get(&path()).await.unwrap());
    assert!(!nameless_files().contains(&stored));
}

#[tokio::test]
async fn release_nothing_of_what_was_changed() {
    let length = 3 * PIECE + 7;
    let inner = object(length).await;
    let bits = (length + 16) * 8;
    for (format, mode) in modes() {
        for bit in (0..bits).step_by(7) {
            let store = reading(&inner, format.clone(), Change::Flip(bit));
            let (bytes, end) = released(&store).await;
            let error = end.unwrap_err();
            let expected = ("BodyNotAuthentic".to_owned(), Class::Security);
            assert_eq!(failure(&error), expected, "{mode}, bit {bit}");
            match mode {
                // It was told by name to do so.
                "nowhere" => assert!(bytes.len() >= length - PIECE),
                _ => assert!(bytes.is_empty(), "{mode}, bit {bit}"),
            }
        }
    }
}

#[tokio::test]
async fn unless_they_were_told_to_go_ahead() {
    let inner = object(1000).await;
    let watched = Watched::over(inner);
    let store = EncryptedStore::builder(watched)
        .format(S3ec::v3().danger().delayed_authentication())
        .build(golden_aes());
    let read = store.get(&path()).await.unwrap();
    assert!(!read.extensions.get::<Opened>().unwrap().is_verified());
    assert_eq!(read.meta.size, 1000);
    let mut pieces = read.into_stream();
    let first = pieces.try_next().await.unwrap().unwrap();
    assert!(first.len() <= PIECE);
    assert_eq!(first, &plaintext(1000)[..first.len()]);
    let rest: Vec<_> = pieces.try_collect().await.unwrap();
    assert_eq!([&first[..], &rest.concat()].concat(), plaintext(1000));
}

/// The store says the length of the whole and sends less.
#[tokio::test]
async fn cut_short_on_the_way_at_every_length() {
    let length = PIECE + 30;
    let inner = object(length).await;
    for (format, mode) in modes() {
        for cut in 0..length + 16 {
            let store = reading(&inner, format.clone(), Change::Cut(cut));
            let (bytes, end) = released(&store).await;
            let (variant, class) = failure(&end.unwrap_err());
            let expected = match (mode, cut) {
                ("nowhere", 0..16) => ("BodyTruncated", Class::Format),
                ("nowhere", _) => ("BodyNotAuthentic", Class::Security),
                _ => ("LengthNotAsTold", Class::Other),
            };
            assert_eq!((&*variant, class), expected, "{mode}, {cut} bytes");
            match mode {
                "nowhere" => assert_eq!(bytes, &plaintext(length)[..cut.saturating_sub(16)]),
                _ => assert!(bytes.is_empty()),
            }
        }
    }
}

/// The object that is stored is short, and the store knows it.
#[tokio::test]
async fn cut_short_in_the_store_at_every_length() {
    let length = PIECE + 30;
    let whole = StoredObject::stored(&object(length).await.clone()).await;
    for cut in 0..length + 16 {
        let mut short = whole.clone();
        short.body.truncate(cut);
        let inner = short.put().await;
        for (format, mode) in modes() {
            let store = EncryptedStore::builder(Watched::over(inner.clone()))
                .format(format)
                .build(golden_aes());
            let (bytes, end) = released(&store).await;
            let error = end.unwrap_err();
            let expected = match cut {
                0..16 => "BodyTruncated",
                _ => "BodyNotAuthentic",
            };
            assert_eq!(variant(&error), expected, "{mode}, {cut} bytes");
            if (1..16).contains(&cut) {
                let words = format!("truncated: it ends after {cut} bytes");
                assert!(error.to_string().contains(&words), "{error}");
            }
            assert!(bytes.is_empty() || mode == "nowhere");
        }
    }
}

#[tokio::test]
async fn longer_than_the_store_said() {
    let inner = object(PIECE).await;
    for (format, mode) in modes() {
        for bytes in [1, 16, PIECE] {
            let store = reading(&inner, format.clone(), Change::Extend(bytes));
            let (released, end) = released(&store).await;
            let expected = match mode {
                "nowhere" => "BodyNotAuthentic",
                _ => "LengthNotAsTold",
            };
            assert_eq!(variant(&end.unwrap_err()), expected, "{mode}");
            assert!(released.is_empty() || mode == "nowhere");
        }
    }
}

/// Nothing verifies there, but no byte leaves before all of the padding is right.
#[tokio::test]
async fn objects_of_the_first_format_wait_too() {
    let keys = golden_aes().wrapping_for_v1_without_integrity();
    let object = StoredObject::written(S3ec::legacy_v1(), keys, &plaintext(1000)).await;
    // Only the padding tells the length where metadata claims none.
    let object = object.without("x-amz-unencrypted-content-length");
    let inner = object.put().await;
    for longer in [Longer::TemporaryFile, Longer::Refused] {
        let format = reads_all().waiting(Waiting {
            in_memory: 100,
            longer,
        });
        let store = EncryptedStore::builder(inner.clone())
            .format(format)
            .listed_sizes(ListedSizes::LookedUp { concurrency: 1 })
            .build(golden_keys());
        match longer {
            Longer::Refused => {
                let error = store.get(&path()).await.unwrap_err();
                assert_eq!(variant(&error), "TooLongToWait");
            }
            Longer::TemporaryFile => {
                let read = store.get(&path()).await.unwrap();
                assert_eq!(read.meta.size, 1000);
                assert_eq!(read.bytes().await.unwrap(), plaintext(1000));
            }
        }
        // Whoever may read parts of it may look at the padding.
        assert_eq!(store.head(&path()).await.unwrap().size, 1000);
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(listed[0].size, 1000);
    }
    let strict = EncryptedStore::builder(inner)
        .format(S3ec::v3().policy(CommitmentPolicy::RequireEncryptAllowDecrypt))
        .listed_sizes(ListedSizes::LookedUp { concurrency: 1 })
        .build(golden_keys());
    let error = strict.head(&path()).await.unwrap_err();
    assert!(matches!(store_error(&error), Error::SizeUnknown { .. }));
    let listed = strict.list(None).try_collect::<Vec<_>>().await;
    let error = listed.unwrap_err();
    assert!(matches!(store_error(&error), Error::SizeUnknown { .. }));
}

/// However a writer cuts its plaintext, and the store its parts.
#[tokio::test]
async fn parts_make_the_same_object_as_one_put() {
    let all = plaintext(1000);
    for format in [
        S3ec::v3(),
        S3ec::v2(),
        S3ec::v3().instruction_files(),
        S3ec::v3().threads(NonZeroUsize::new(3).unwrap()),
    ] {
        let watched = Watched::new();
        let store = EncryptedStore::builder(watched.clone())
            .format(format.danger().read_legacy_unauthenticated())
            .part_length(300)
            .build(golden_aes());
        for part in [1, 7, 15, 16, 17, 300, 301, 999, 1000] {
            let mut upload = store.put_multipart(&path()).await.unwrap();
            for bytes in all.chunks(part) {
                upload.put_part(bytes.to_vec().into()).await.unwrap();
            }
            upload.complete().await.unwrap();
            let sent: Vec<_> = watched.log();
            let parts = sent.iter().filter(|name| name.starts_with("part"));
            let expected = ["part 300", "part 300", "part 300", "part 116"];
            assert!(parts.eq(expected.iter()), "{sent:?}");
            assert_eq!(watched.inner.head(&path()).await.unwrap().size, 1016);
            let read = store.get(&path()).await.unwrap();
            assert_eq!(read.bytes().await.unwrap(), all);
            let part = store.get_range(&path(), 290..310).await.unwrap();
            assert_eq!(part, &all[290..310]);
        }
        let mut upload = store.put_multipart(&path()).await.unwrap();
        upload.complete().await.unwrap();
        let read = store.get(&path()).await.unwrap();
        assert_eq!(read.bytes().await.unwrap(), "");
    }
}

/// Long enough that threads take a segment each.
#[tokio::test]
async fn threads_change_nothing() {
    let all = plaintext((2 << 20) + 5);
    for threads in [1, 2, 3] {
        let format = S3ec::v3().threads(NonZeroUsize::new(threads).unwrap());
        let object = StoredObject::written(format.clone(), golden_aes(), &all).await;
        let delayed = format.danger().delayed_authentication();
        for reader in [S3ec::v3(), waits(0, Longer::TemporaryFile), delayed] {
            assert!(object.read(reader, golden_aes()).await.unwrap() == all);
        }
    }
}
