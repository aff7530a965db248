//! `object_store`'s own suite, over a plain and an encrypted store, so that differences are ours.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use envelope::{RawAes, WrappingKey};
use envelope_store::{EncryptedStore, Framed, ListedSizes};
use object_store::integration::{
    copy_if_not_exists, copy_rename_nonexistent_object, get_nonexistent_object, get_opts,
    list_uses_directories_correctly, list_with_delimiter, list_with_offset_exclusivity,
    multipart_out_of_order, multipart_race_condition, put_get_attributes, put_get_delete_list,
    put_opts, rename_and_copy, stream_get,
};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{DynObjectStore, ObjectStore};

fn keyring() -> RawAes {
    RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap()
}

/// In the order of `object_store`'s own tests: some leave objects that others remove.
async fn everything(store: &DynObjectStore, supports_update: bool) {
    put_get_delete_list(store).await;
    get_opts(store).await;
    list_uses_directories_correctly(store).await;
    list_with_delimiter(store).await;
    list_with_offset_exclusivity(store).await;
    rename_and_copy(store).await;
    copy_if_not_exists(store).await;
    copy_rename_nonexistent_object(store).await;
    stream_get(store).await;
    put_opts(store, supports_update).await;
    multipart_race_condition(store, true).await;
    multipart_out_of_order(store).await;
    get_nonexistent_object(store, None).await.unwrap_err();
}

async fn in_memory(store: impl ObjectStore) {
    everything(&store, true).await;
    put_get_attributes(&store).await;
}

#[tokio::test]
async fn plain_memory() {
    in_memory(InMemory::new()).await;
}

#[tokio::test]
async fn encrypted_memory() {
    in_memory(EncryptedStore::new(InMemory::new(), keyring())).await;
}

#[tokio::test]
async fn encrypted_memory_with_sizes_looked_up_and_small_frames() {
    let sizes = ListedSizes::LookedUp { concurrency: 4 };
    let store = EncryptedStore::builder(InMemory::new())
        .listed_sizes(sizes)
        .format(Framed::new().frame_length(1000).header_length(300))
        .part_length(700)
        .build(keyring());
    in_memory(store).await;
}

#[tokio::test]
async fn encrypted_memory_with_instruction_files() {
    let store = EncryptedStore::builder(InMemory::new())
        .format(Framed::new().with_instruction_files())
        .build(keyring());
    in_memory(store).await;
}

#[tokio::test]
async fn encrypted_dynamic_store() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    in_memory(EncryptedStore::new(store, keyring())).await;
}

#[tokio::test]
async fn plain_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    everything(&store, false).await;
}

#[tokio::test]
async fn encrypted_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store = EncryptedStore::new(store, keyring());
    everything(&store, false).await;
}

#[tokio::test]
async fn encrypted_files_with_instruction_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store = EncryptedStore::builder(store)
        .format(Framed::new().with_instruction_files())
        .build(keyring());
    everything(&store, false).await;
}

#[tokio::test]
async fn what_conforms_passes_and_what_does_not_is_named() {
    use envelope_store::conformance::{self, Backend};

    let prefix = "scratch".into();
    let memory = Arc::new(InMemory::new());
    conformance::check(memory, &prefix, Backend::default())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let backend = Backend::default()
        .without_attributes()
        .without_conditional_updates();
    conformance::check(files.clone(), &prefix, backend)
        .await
        .unwrap();

    let failure = conformance::check(files, &prefix, Backend::default())
        .await
        .unwrap_err();
    assert!(
        failure.to_string().starts_with("framed, conditions_hold: "),
        "{failure}"
    );
}
