//! Whatever is done, a plain and an encrypted store agree on everything that a caller can see.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::ops::Range;
use std::sync::Arc;

use envelope_store::{EncryptedStore, Framed};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RenameOptions, RenameTargetMode, Result,
};
use proptest::prelude::*;
use support::keyring;

#[derive(Debug, Clone)]
enum Operation {
    Put(u8, Vec<u8>, bool),
    Upload(u8, Vec<Vec<u8>>, bool),
    Get(u8, Option<GetRange>),
    /// Of no ranges, stores differ among themselves.
    GetRanges(u8, Vec<Range<u64>>),
    GetIfMatch(u8, u8),
    Head(u8),
    Delete(u8),
    Copy(u8, u8, bool),
    Rename(u8, u8, bool),
    List(Option<u8>),
    ListDelimited,
}

fn location(index: u8) -> Path {
    Path::from(format!("{}/{}", index % 3, index % 5))
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), 0..400_usize).prop_map(|(byte, length)| vec![byte; length])
}

fn range() -> impl Strategy<Value = GetRange> {
    prop_oneof![
        (0..450_u64, 0..450_u64).prop_map(|(a, b)| GetRange::Bounded(a.min(b)..a.max(b))),
        (0..450_u64).prop_map(GetRange::Offset),
        (0..450_u64).prop_map(GetRange::Suffix),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let at = || 0..8_u8;
    prop_oneof![
        4 => (at(), content(), any::<bool>()).prop_map(|(a, b, c)| Operation::Put(a, b, c)),
        2 => (at(), prop::collection::vec(content(), 0..4), any::<bool>())
            .prop_map(|(a, b, c)| Operation::Upload(a, b, c)),
        4 => (at(), prop::option::of(range())).prop_map(|(a, b)| Operation::Get(a, b)),
        2 => (at(), prop::collection::vec((0..400_u64, 1..50_u64).prop_map(|(a, n)| a..a + n), 1..4))
            .prop_map(|(a, b)| Operation::GetRanges(a, b)),
        1 => (at(), at()).prop_map(|(a, b)| Operation::GetIfMatch(a, b)),
        2 => at().prop_map(Operation::Head),
        1 => at().prop_map(Operation::Delete),
        1 => (at(), at(), any::<bool>()).prop_map(|(a, b, c)| Operation::Copy(a, b, c)),
        1 => (at(), at(), any::<bool>()).prop_map(|(a, b, c)| Operation::Rename(a, b, c)),
        1 => prop::option::of(at()).prop_map(Operation::List),
        1 => Just(Operation::ListDelimited),
    ]
}

/// An error as far as both stores can agree on it: its kind.
fn kind(error: &object_store::Error) -> String {
    let text = format!("{error:?}");
    text.split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap()
        .to_owned()
}

fn seen<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => kind(&error),
    }
}

async fn get(store: &dyn ObjectStore, at: u8, options: GetOptions) -> Result<String> {
    let result = store.get_opts(&location(at), options).await?;
    let (size, range) = (result.meta.size, result.range.clone());
    Ok(format!("{size} {range:?} {:?}", result.bytes().await?))
}

async fn upload(store: &dyn ObjectStore, at: u8, parts: &[Vec<u8>], abort: bool) -> Result<()> {
    let mut upload = store.put_multipart(&location(at)).await?;
    for part in parts {
        upload.put_part(PutPayload::from(part.clone())).await?;
    }
    match abort {
        true => upload.abort().await,
        false => upload.complete().await.map(drop),
    }
}

/// Does it, and says what a caller can see of it.
async fn run(store: &dyn ObjectStore, operation: &Operation) -> String {
    match operation {
        Operation::Put(at, bytes, create) => {
            let mode = if *create {
                PutMode::Create
            } else {
                PutMode::Overwrite
            };
            let location = location(*at);
            let put = store.put_opts(&location, bytes.clone().into(), mode.into());
            seen(put.await.map(drop))
        }
        Operation::Upload(at, parts, abort) => seen(upload(store, *at, parts, *abort).await),
        Operation::Get(at, range) => {
            let options = GetOptions::new().with_range(range.clone());
            seen(get(store, *at, options).await)
        }
        Operation::GetRanges(at, ranges) => seen(store.get_ranges(&location(*at), ranges).await),
        Operation::GetIfMatch(at, of) => {
            let meta = store.head(&location(*of)).await;
            let options = GetOptions {
                if_match: meta.ok().and_then(|meta| meta.e_tag),
                ..GetOptions::default()
            };
            seen(get(store, *at, options).await)
        }
        Operation::Head(at) => seen(store.head(&location(*at)).await.map(|meta| meta.size)),
        Operation::Delete(at) => seen(store.delete(&location(*at)).await),
        Operation::Copy(from, to, create) => {
            let mode = if *create {
                CopyMode::Create
            } else {
                CopyMode::Overwrite
            };
            let options = CopyOptions::new().with_mode(mode);
            seen(
                store
                    .copy_opts(&location(*from), &location(*to), options)
                    .await,
            )
        }
        Operation::Rename(from, to, create) => {
            let mode = match create {
                true => RenameTargetMode::Create,
                false => RenameTargetMode::Overwrite,
            };
            let options = RenameOptions::new().with_target_mode(mode);
            seen(
                store
                    .rename_opts(&location(*from), &location(*to), options)
                    .await,
            )
        }
        Operation::List(prefix) => {
            let prefix = prefix.map(|index| Path::from(format!("{}", index % 3)));
            let listed: Result<Vec<_>> = store.list(prefix.as_ref()).try_collect().await;
            let listed = listed.map(|mut metas| {
                metas.sort_by(|a, b| a.location.cmp(&b.location));
                metas
                    .into_iter()
                    .map(|meta| (meta.location, meta.size))
                    .collect::<Vec<_>>()
            });
            seen(listed)
        }
        Operation::ListDelimited => {
            let listed = store.list_with_delimiter(Some(&Path::from("1"))).await;
            let sizes = |metas: Vec<object_store::ObjectMeta>| {
                metas
                    .into_iter()
                    .map(|meta| (meta.location, meta.size))
                    .collect::<Vec<_>>()
            };
            seen(listed.map(|listed| (listed.common_prefixes, sizes(listed.objects))))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_can_tell_an_encrypted_store_from_a_plain_one(
        operations in prop::collection::vec(operation(), 1..40),
        frame_length in 1_u32..200,
        part_length in 1_usize..500,
        instruction_files in any::<bool>(),
    ) {
        let plain = InMemory::new();
        let inner = Arc::new(InMemory::new());
        let format = Framed::new().frame_length(frame_length);
        let format = match instruction_files {
            true => format.with_instruction_files(),
            false => format,
        };
        let encrypted = EncryptedStore::builder(Arc::clone(&inner))
            .format(format)
            .part_length(part_length)
            .build(keyring());
        futures::executor::block_on(async {
            for operation in &operations {
                let (expected, found) = (run(&plain, operation).await, run(&encrypted, operation).await);
                prop_assert_eq!(expected, found, "{:?}", operation);
            }
            // One instruction file for each object, and none without.
            let plain: Vec<_> = plain.list(None).try_collect().await.unwrap();
            let stored: Vec<_> = inner.list(None).try_collect().await.unwrap();
            let files = if instruction_files { 2 } else { 1 };
            prop_assert_eq!(stored.len(), files * plain.len());
            Ok(())
        })?;
    }
}
