//! What a backend could not keep is refused before the backend hears of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::sync::Arc;

use envelope_store::{Error, MetadataLimit};
use futures::TryStreamExt;
use object_store::integration;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
};

fn path() -> Path {
    Path::from("a/object")
}

fn metadata(name: &str, value: &str) -> (Attribute, String) {
    (
        Attribute::Metadata(name.to_owned().into()),
        value.to_owned(),
    )
}

/// Our own errors of a put in one piece and of an upload's beginning.
async fn refused(store: &dyn ObjectStore, attributes: &Attributes) -> [Error; 2] {
    let put = PutOptions::from(attributes.clone());
    let upload = PutMultipartOptions::from(attributes.clone());
    let put = store.put_opts(&path(), "text".into(), put).await.map(drop);
    let upload = store.put_multipart_opts(&path(), upload).await.map(drop);
    [put, upload].map(|result| match result.unwrap_err() {
        object_store::Error::Generic { source, .. } => *source.downcast().unwrap(),
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn names_and_values_of_user_metadata_count() {
    let inner = Arc::new(InMemory::new());
    let store = MetadataLimit::new(Arc::clone(&inner), 20);
    let attributes = |value: &str| {
        Attributes::from_iter([
            metadata("ab", "12345678"),
            metadata("cde", value),
            // Not user metadata.
            (
                Attribute::ContentType,
                "application/octet-stream".to_owned(),
            ),
        ])
    };
    for error in refused(&store, &attributes("12345678")).await {
        assert!(matches!(
            error,
            Error::MetadataTooLong { location, size: 21, limit: 20 } if location == path()
        ));
    }
    assert!(inner.list(None).try_next().await.unwrap().is_none());

    let options = PutOptions::from(attributes("1234567"));
    store
        .put_opts(&path(), "text".into(), options)
        .await
        .unwrap();
    let kept = inner.get(&path()).await.unwrap().attributes;
    assert_eq!(kept, attributes("1234567"));
}

#[tokio::test]
async fn what_is_not_ascii_is_refused_by_name() {
    let inner = Arc::new(InMemory::new());
    let store = MetadataLimit::new(Arc::clone(&inner), 2048);
    for (attribute, value) in [
        metadata("city", "Köln"),
        metadata("größe", "1"),
        (Attribute::ContentDisposition, "filename=ä".to_owned()),
    ] {
        let attributes = Attributes::from_iter([(attribute.clone(), value)]);
        for error in refused(&store, &attributes).await {
            assert!(
                matches!(error, Error::NotAscii { attribute: found, .. } if found == attribute)
            );
        }
    }
    assert!(inner.list(None).try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn everything_else_is_the_store_behind_it() {
    let store = MetadataLimit::new(InMemory::new(), 2048);
    integration::put_get_delete_list(&store).await;
    integration::put_get_attributes(&store).await;
    integration::list_with_offset_exclusivity(&store).await;
    integration::rename_and_copy(&store).await;
    integration::copy_if_not_exists(&store).await;
    integration::put_opts(&store, true).await;
    integration::multipart_race_condition(&store, true).await;
}
