//! `object_store`'s own suite, over the format in memory.
//!
//! The format leaves nothing of it out where parts of objects may be read without authentication.
//! Two things are beyond it, and no function of the suite asks for them: parts of an upload that are
//! sealed in another order than they are given in, and ranges without that switch, which
//! `ranges_need_the_switch` shows.
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
use object_store::integration::{
    copy_if_not_exists, copy_rename_nonexistent_object, get_nonexistent_object, get_opts,
    list_uses_directories_correctly, list_with_delimiter, list_with_offset_exclusivity,
    multipart_out_of_order, multipart_race_condition, put_get_attributes, put_get_delete_list,
    put_opts, rename_and_copy, stream_get,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use support::{golden_aes, path, variant};

/// In the order of `object_store`'s own tests: some leave objects that others remove. V2 seals with the
/// cipher of V3, so megabytes of one of them are enough.
async fn everything(format: S3ec) {
    let megabytes = format.suite().commits();
    let format = format.danger().read_legacy_unauthenticated();
    let store = EncryptedStore::builder(InMemory::new())
        .format(format)
        .build(golden_aes());
    let store = &store;
    put_get_delete_list(store).await;
    get_opts(store).await;
    list_uses_directories_correctly(store).await;
    list_with_delimiter(store).await;
    list_with_offset_exclusivity(store).await;
    rename_and_copy(store).await;
    copy_if_not_exists(store).await;
    copy_rename_nonexistent_object(store).await;
    if megabytes {
        stream_get(store).await;
    }
    put_opts(store, true).await;
    multipart_race_condition(store, true).await;
    multipart_out_of_order(store).await;
    get_nonexistent_object(store, None).await.unwrap_err();
    put_get_attributes(store).await;
}

#[tokio::test]
async fn v3() {
    everything(S3ec::v3()).await;
}

#[tokio::test]
async fn v3_with_instruction_files() {
    everything(S3ec::v3().instruction_files()).await;
}

#[tokio::test]
async fn v2() {
    everything(S3ec::v2()).await;
}

#[tokio::test]
async fn v2_with_instruction_files() {
    everything(S3ec::v2().instruction_files()).await;
}

#[tokio::test]
async fn ranges_need_the_switch() {
    let store = EncryptedStore::builder(InMemory::new())
        .format(S3ec::v3())
        .build(golden_aes());
    store.put(&path(), "abc".into()).await.unwrap();
    let error = store.get_range(&path(), 0..1).await.unwrap_err();
    assert_eq!(variant(&error), "RangeNotAuthenticated");
    let error = store.get_ranges(&path(), &[0..1, 1..2]).await.unwrap_err();
    assert_eq!(variant(&error), "RangeNotAuthenticated");
    let nowhere = Path::from("nowhere");
    let error = store.get_range(&nowhere, 0..1).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }));
}
