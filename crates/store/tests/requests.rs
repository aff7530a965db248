//! How many requests and bytes an operation takes, and that no read mixes two versions.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use envelope::{DecryptOptions, blocking};
use envelope_store::{EncryptedStore, Error, Framed, ListedSizes};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use support::{Spy, keyring, put_now};

const FRAME: u64 = 1000;
const SEALED_FRAME: u64 = FRAME + 32;
const HEADER: u64 = 1024;

fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn encrypted(spy: Spy) -> EncryptedStore<Spy> {
    EncryptedStore::builder(spy)
        .format(Framed::new().frame_length(FRAME as u32))
        .part_length(5000)
        .build(keyring())
}

fn path() -> Path {
    Path::from("folder/object")
}

/// An object of 10 500 bytes: ten frames and a half.
async fn stored(spy: Spy) -> (EncryptedStore<Spy>, Arc<support::Log>) {
    let log = Arc::clone(&spy.log);
    let store = encrypted(spy);
    store.put(&path(), numbered(10_500).into()).await.unwrap();
    (store, log)
}

#[tokio::test]
async fn a_range_fetches_only_the_frames_that_cover_it() {
    let (store, log) = stored(Spy::new()).await;
    let plaintext = numbered(10_500);
    let cold = store.get_range(&path(), 2500..3500).await.unwrap();
    assert_eq!(cold, plaintext[2500..3500]);
    assert_eq!(log.take(), (2, HEADER + 2 * SEALED_FRAME));
    // The header is known now.
    for (range, frames) in [
        (2500..3500, 2),
        (0..1, 1),
        (999..1001, 2),
        (1000..2000, 1),
        (0..10_000, 10),
    ] {
        let warm = store.get_range(&path(), range.clone()).await.unwrap();
        assert_eq!(warm, plaintext[range.start as usize..range.end as usize]);
        assert_eq!(log.take(), (1, frames * SEALED_FRAME), "{range:?}");
    }
    // The final frame is 500 bytes long and has 8 more beside its content.
    for range in [
        GetRange::Suffix(10),
        GetRange::Offset(10_400),
        GetRange::Bounded(10_000..99_999),
    ] {
        let options = GetOptions::new().with_range(Some(range));
        let result = store.get_opts(&path(), options).await.unwrap();
        assert_eq!(result.meta.size, 10_500);
        let (start, end) = (result.range.start as usize, result.range.end as usize);
        assert_eq!(result.bytes().await.unwrap(), plaintext[start..end]);
        assert_eq!(log.take(), (1, 540));
    }
}

#[tokio::test]
async fn a_header_is_remembered_for_its_lifetime() {
    let spy = Spy::new();
    let log = Arc::clone(&spy.log);
    let store = EncryptedStore::builder(spy)
        .header_lifetime(Duration::ZERO)
        .build(keyring());
    store.put(&path(), numbered(10_500).into()).await.unwrap();
    for _ in 0..2 {
        store.get_range(&path(), 5000..5001).await.unwrap();
        assert_eq!(log.take().0, 2);
    }
}

#[tokio::test]
async fn whole_objects_and_sizes_take_one_request() {
    let (store, log) = stored(Spy::new()).await;
    let whole = store.get(&path()).await.unwrap().bytes().await.unwrap();
    assert_eq!(whole, numbered(10_500));
    assert_eq!(log.take(), (1, HEADER + 10 * SEALED_FRAME + 540));
    assert_eq!(store.head(&path()).await.unwrap().size, 10_500);
    assert_eq!(log.take(), (1, HEADER));
}

#[tokio::test]
async fn close_ranges_are_fetched_at_once_and_far_ones_apart() {
    let spy = Spy::new();
    let log = Arc::clone(&spy.log);
    let store = encrypted(spy);
    let plaintext = numbered(3 << 20);
    store.put(&path(), plaintext.clone().into()).await.unwrap();
    let ranges = [10..20, 5_000..5_010, (2 << 20)..((2 << 20) + 5), 15..25];
    let read = store.get_ranges(&path(), &ranges).await.unwrap();
    for (range, bytes) in ranges.iter().zip(&read) {
        assert_eq!(*bytes, plaintext[range.start as usize..range.end as usize]);
    }
    // The header, 10..5010 and the far one.
    assert_eq!(log.take(), (3, HEADER + 6 * SEALED_FRAME + SEALED_FRAME));
    assert!(store.get_ranges(&path(), &[]).await.unwrap().is_empty());
    assert_eq!(log.take().0, 0);
}

/// Ten thousand objects of sizes that differ.
async fn folder_of_objects(store: &dyn ObjectStore) -> Vec<u64> {
    const OBJECTS: u64 = 10_000;
    let location = |index: u64| Path::from(format!("folder/{index:05}"));
    let sizes: Vec<_> = (0..OBJECTS).map(|index| index % 100 * 30).collect();
    for (index, size) in (0..).zip(&sizes) {
        let text = numbered(*size as usize);
        store.put(&location(index), text.into()).await.unwrap();
    }
    sizes
}

fn sizes_of(listed: &[ObjectMeta]) -> Vec<u64> {
    listed.iter().map(|meta| meta.size).collect()
}

#[tokio::test]
async fn listing_takes_no_request_for_each_object() {
    let spy = Spy::new();
    let log = Arc::clone(&spy.log);
    let store = encrypted(spy);
    let sizes = folder_of_objects(&store).await;
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(sizes_of(&listed), sizes);
    assert_eq!((log.lists(), log.take().0), (1, 0));
    let prefix = Path::from("folder");
    let folder = store.list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!(folder.objects, listed);
    assert_eq!((log.lists(), log.take().0), (1, 0));
}

#[tokio::test]
async fn looking_sizes_up_takes_one_request_each_and_some_at_once() {
    let inner = Arc::new(InMemory::new());
    let sizes = folder_of_objects(&encrypted(Spy::over(Arc::clone(&inner)))).await;
    let spy = Spy::over(inner).takes_time();
    let log = Arc::clone(&spy.log);
    let store = EncryptedStore::builder(spy)
        .listed_sizes(ListedSizes::LookedUp { concurrency: 16 })
        .build(keyring());
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(sizes_of(&listed), sizes);
    assert_eq!((log.lists(), log.take().0), (1, 10_000));
    assert_eq!(log.most_in_flight(), 16);
}

#[tokio::test]
async fn sizes_that_are_looked_up_come_from_each_header() {
    let inner = Arc::new(InMemory::new());
    let location = |index: u32| Path::from(format!("{index}"));
    for (index, frame_length, header_length) in [(0, 10, 300), (1, 64, 2000), (2, 1000, 5000)] {
        let writer = EncryptedStore::builder(Arc::clone(&inner))
            .format(
                Framed::new()
                    .frame_length(frame_length)
                    .header_length(header_length),
            )
            .build(keyring());
        writer
            .put(&location(index), numbered(123).into())
            .await
            .unwrap();
    }
    let spy = Spy::over(inner);
    let log = Arc::clone(&spy.log);
    let store = EncryptedStore::builder(spy)
        .listed_sizes(ListedSizes::LookedUp { concurrency: 2 })
        .build(keyring());
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(listed.iter().all(|meta| meta.size == 123), "{listed:?}");
    // One each, and as many more as the long headers take: 1024, 2048, 4096, 8192.
    assert_eq!(log.take().0, 1 + 2 + 4);
    for index in 0..3 {
        let read = store.get_range(&location(index), 100..110).await.unwrap();
        assert_eq!(read, numbered(123)[100..110]);
    }
}

#[tokio::test]
async fn parts_have_one_length_whatever_comes_in() {
    for pieces in [
        vec![10_500],
        vec![1; 300],
        vec![4999, 2, 5499],
        vec![0, 3, 0, 20_000],
        vec![],
    ] {
        let spy = Spy::new();
        let log = Arc::clone(&spy.log);
        let store = encrypted(spy);
        let plaintext = numbered(pieces.iter().sum());
        let mut upload = store.put_multipart(&path()).await.unwrap();
        let mut rest = &plaintext[..];
        let mut sent = Vec::new();
        for length in &pieces {
            let (piece, after) = rest.split_at(*length);
            sent.push(upload.put_part(PutPayload::from(piece.to_vec())));
            rest = after;
        }
        // Several in flight at once.
        futures::future::try_join_all(sent).await.unwrap();
        upload.complete().await.unwrap();
        let parts = log.parts();
        let (last, full) = parts.split_last().unwrap();
        assert!(
            full.iter().all(|length| *length == 5000) && *last <= 5000,
            "{parts:?}"
        );
        let read = store.get(&path()).await.unwrap();
        assert_eq!(read.meta.size, plaintext.len() as u64);
        assert_eq!(read.bytes().await.unwrap(), plaintext);
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let inner = Arc::new(InMemory::new());
    let store = encrypted(Spy::over(Arc::clone(&inner)));
    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.put_part(numbered(20_000).into()).await.unwrap();
    upload.abort().await.unwrap();
    assert!(upload.complete().await.is_err());
    let listed: Vec<_> = inner.list(None).try_collect().await.unwrap();
    assert!(listed.is_empty());
}

#[tokio::test]
async fn any_sdk_opens_the_object() {
    let inner = Arc::new(InMemory::new());
    let store = encrypted(Spy::over(Arc::clone(&inner)));
    store.put(&path(), numbered(10_500).into()).await.unwrap();
    let stored = ciphertext_in(&inner).await;
    let opened = blocking::decrypt(&keyring(), &stored, &DecryptOptions::default()).unwrap();
    assert_eq!(opened.plaintext, numbered(10_500));
}

/// The object's ciphertext.
async fn ciphertext_in(inner: &InMemory) -> Vec<u8> {
    let stored = inner.get(&path()).await.unwrap();
    stored.bytes().await.unwrap().to_vec()
}

/// The ciphertext of an object of other content.
async fn other_ciphertext() -> Vec<u8> {
    let inner = Arc::new(InMemory::new());
    let store = encrypted(Spy::over(Arc::clone(&inner)));
    store.put(&path(), vec![0xee; 10_500].into()).await.unwrap();
    ciphertext_in(&inner).await
}

#[tokio::test]
async fn an_overwrite_during_a_read_gives_one_version() {
    // Ranges too far apart to be fetched at once.
    let (old, new) = (numbered(3 << 20), vec![0xee; 3 << 20]);
    let inner = Arc::new(InMemory::new());
    let store = encrypted(Spy::over(Arc::clone(&inner)));
    store.put(&path(), new.clone().into()).await.unwrap();
    let ciphertext = ciphertext_in(&inner).await;
    let ranges = [
        0..10,
        (1 << 20) + 200_000..(1 << 20) + 200_010,
        (3 << 20) - 10..3 << 20,
    ];
    for at in 0..8 {
        let other = ciphertext.clone();
        let spy = Spy::new().before_get(move |inner, count| {
            if count == at {
                put_now(inner, &path(), other.clone());
            }
        });
        let store = encrypted(spy);
        store.put(&path(), old.clone().into()).await.unwrap();
        // A cold read and a warm one.
        for _ in 0..2 {
            let bytes = store.get_range(&path(), 900..4100).await.unwrap();
            assert!(bytes == old[900..4100] || bytes == new[900..4100]);
            let read = store.get_ranges(&path(), &ranges).await.unwrap();
            let are = |version: &[u8]| {
                let pairs = ranges.iter().zip(&read);
                pairs.into_iter().all(|(range, bytes)| {
                    *bytes == version[range.start as usize..range.end as usize]
                })
            };
            assert!(are(&old) || are(&new), "overwritten before request {at}");
        }
    }
}

#[tokio::test]
async fn an_overwrite_while_a_long_header_is_read_begins_again() {
    let build = |spy| {
        EncryptedStore::builder(spy)
            .format(Framed::new().header_length(5000))
            .build(keyring())
    };
    let inner = Arc::new(InMemory::new());
    build(Spy::over(Arc::clone(&inner)))
        .put(&path(), "new".into())
        .await
        .unwrap();
    let other = ciphertext_in(&inner).await;
    for at in 1..4 {
        let inner = Arc::new(InMemory::new());
        let writer = build(Spy::over(Arc::clone(&inner)));
        writer.put(&path(), "old text".into()).await.unwrap();
        let other = other.clone();
        let spy = Spy::over(inner).before_get(move |inner, count| {
            if count == at {
                put_now(inner, &path(), other.clone());
            }
        });
        // It does not know how long the header is.
        let reader = EncryptedStore::new(spy, keyring());
        let read = reader.get_range(&path(), 0..3).await.unwrap();
        assert!(read == "old" || read == "new");
        assert_eq!(reader.head(&path()).await.unwrap().size, 3);
    }
}

#[tokio::test]
async fn a_read_that_is_overwritten_each_time_gives_up() {
    let other = other_ciphertext().await;
    let spy = Spy::new().before_get(move |inner, _| put_now(inner, &path(), other.clone()));
    let (store, _) = stored(spy).await;
    let error = store.get_range(&path(), 900..4100).await.unwrap_err();
    assert!(
        error.to_string().contains("overwritten again and again"),
        "{error}"
    );
}

#[tokio::test]
async fn without_versions_ranges_need_the_whole_object_at_hand() {
    let (store, _) = stored(Spy::new().without_versions()).await;
    let error = store.get_range(&path(), 900..4100).await.unwrap_err();
    assert!(matches!(cause(&error), Error::NoVersion { .. }), "{error}");
    let whole = store.get(&path()).await.unwrap().bytes().await.unwrap();
    assert_eq!(whole, numbered(10_500));
}

/// Our own error inside one of `object_store`'s.
fn cause(error: &object_store::Error) -> &Error {
    let mut source: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(found) = source.downcast_ref::<Error>() {
            return found;
        }
        source = source.source().unwrap();
    }
}

#[tokio::test]
async fn cut_and_changed_bodies_are_refused() {
    let changes: [fn(Vec<u8>) -> Vec<u8>; 3] = [
        |mut body| {
            body.pop();
            body
        },
        |mut body| {
            if let Some(byte) = body.last_mut() {
                *byte ^= 1;
            }
            body
        },
        |mut body| {
            body.push(0);
            body
        },
    ];
    for change in changes {
        let inner = Arc::new(InMemory::new());
        let writer = encrypted(Spy::over(Arc::clone(&inner)));
        writer.put(&path(), numbered(10_500).into()).await.unwrap();
        let store = encrypted(Spy::over(Arc::clone(&inner)).change(change));
        let whole = store.get(&path()).await.unwrap();
        let error = whole.bytes().await.unwrap_err();
        assert!(matches!(cause(&error), Error::Envelope { .. }), "{error}");
        // The header comes as it is, so that the frames are what is refused.
        let store = encrypted(Spy::over(inner).change(change).unchanged_first());
        let error = store.get_range(&path(), 2000..4000).await.unwrap_err();
        assert!(
            matches!(
                cause(&error),
                Error::Envelope {
                    source: envelope::Error::FrameNotAuthentic { .. }
                        | envelope::Error::Truncated { .. }
                        | envelope::Error::TrailingBytes,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_object_cut_at_a_frame_does_not_end_there() {
    // Some frames and forty bytes: by its length a whole object.
    for frames in 0..4 {
        let inner = Arc::new(InMemory::new());
        let store = encrypted(Spy::over(Arc::clone(&inner)));
        store.put(&path(), numbered(10_500).into()).await.unwrap();
        let stored = inner.get(&path()).await.unwrap().bytes().await.unwrap();
        let kept = (HEADER + frames * SEALED_FRAME) as usize;
        put_now(&inner, &path(), [&stored[..kept], &[0xaa; 40]].concat());
        let claimed = store.head(&path()).await.unwrap().size;
        assert_eq!(claimed, frames * FRAME);
        let ranges = [
            GetRange::Suffix(8),
            GetRange::Offset(claimed.saturating_sub(8)),
            GetRange::Bounded(0..claimed + 1),
        ];
        for range in ranges {
            let options = GetOptions::new().with_range(Some(range.clone()));
            let read = match store.get_opts(&path(), options).await {
                Ok(result) => result.bytes().await,
                Err(error) => Err(error),
            };
            assert!(read.is_err(), "{range:?} of {claimed} bytes");
        }
        assert!(store.get(&path()).await.unwrap().bytes().await.is_err());
    }
}

#[tokio::test]
async fn versions_alone_pin_a_read_too() {
    let (store, log) = stored(Spy::new().with_versions_alone()).await;
    for _ in 0..2 {
        let read = store.get_range(&path(), 2500..3500).await.unwrap();
        assert_eq!(read, numbered(10_500)[2500..3500]);
        // Only an ETag tells of an overwrite, so nothing is remembered.
        assert_eq!(log.take().0, 2);
    }
}

/// The length that a store claims is not believed before frames of that length verified.
#[tokio::test]
async fn a_store_that_lies_about_a_length_gets_no_memory() {
    let header = envelope_store::DEFAULT_HEADER_LENGTH as u64;
    let stride = u64::from(envelope_store::DEFAULT_FRAME_LENGTH) + 32;
    let spy = Spy::new().says_length(header + (1 << 31) * stride + 40);
    let store = EncryptedStore::new(spy, keyring());
    store.put(&path(), vec![7; 200_000].into()).await.unwrap();
    assert!(store.head(&path()).await.unwrap().size > 1 << 46);
    let read = store.get_ranges(&path(), &[0..1 << 46, 5..6]).await;
    let Error::Envelope { source, .. } = cause(read.as_ref().unwrap_err()) else {
        panic!("{read:?}");
    };
    assert!(matches!(
        source,
        envelope::Error::FrameNotAuthentic { .. } | envelope::Error::Truncated { .. }
    ));
}
