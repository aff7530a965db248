//! What is refused before anything is sent, and what arrives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::sync::Arc;

use envelope::{RawAes, WrappingKey};
use envelope_s3::{Error, METADATA_LIMIT, S3Store};
use envelope_store::EncryptedStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientOptions, CopyMode, CopyOptions, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, RetryConfig,
};
use support::{Listener, Request};

fn builder(endpoint: &str) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .with_endpoint(endpoint)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
}

fn bucket(listener: &Listener) -> S3Store {
    S3Store::new(builder(&listener.url()).with_allow_http(true)).unwrap()
}

fn encrypted(store: S3Store) -> EncryptedStore<S3Store> {
    let key = WrappingKey::generate().unwrap();
    EncryptedStore::new(store, RawAes::new("acme", "test", key).unwrap())
}

fn path() -> Path {
    Path::from("a/object")
}

fn cause(error: &object_store::Error) -> &Error {
    match error {
        object_store::Error::Generic { source, .. } => source.downcast_ref().unwrap(),
        other => panic!("{other}"),
    }
}

fn metadata(name: &str, value: &str) -> (Attribute, String) {
    (
        Attribute::Metadata(name.to_owned().into()),
        value.to_owned(),
    )
}

/// Puts once in one piece and begins an upload.
async fn write(store: &dyn ObjectStore, attributes: &Attributes) -> [object_store::Result<()>; 2] {
    let put = PutOptions::from(attributes.clone());
    let upload = PutMultipartOptions::from(attributes.clone());
    [
        store.put_opts(&path(), "text".into(), put).await.map(drop),
        store.put_multipart_opts(&path(), upload).await.map(drop),
    ]
}

#[tokio::test]
async fn metadata_of_2048_bytes_passes_and_one_more_is_refused() {
    let listener = Listener::start().await;
    let store = bucket(&listener);
    let rest = METADATA_LIMIT - "ab".len() - "cde".len() - 100;
    let attributes = |extra: usize| -> Attributes {
        [
            metadata("ab", &"v".repeat(100)),
            metadata("cde", &"v".repeat(rest + extra)),
            // Not user metadata, so not counted.
            (Attribute::ContentType, "text/csv".to_owned()),
        ]
        .into_iter()
        .collect()
    };
    for result in write(&store, &attributes(0)).await {
        result.unwrap();
    }
    let arrived = listener.take();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[1].header("x-amz-meta-cde").unwrap().len(), rest);

    for result in write(&store, &attributes(1)).await {
        let error = result.unwrap_err();
        assert!(matches!(
            cause(&error),
            Error::MetadataTooLarge {
                size: 2049,
                limit: 2048
            }
        ));
        assert!(error.to_string().contains("2049 bytes"));
    }
    assert!(listener.take().is_empty());
}

#[tokio::test]
async fn a_content_encoding_that_is_hidden_in_metadata_counts() {
    let listener = Listener::start().await;
    let store = encrypted(bucket(&listener));
    let hidden = "envelopecontentencoding".len() + "gzip".len();
    let attributes = |length: usize| -> Attributes {
        [
            metadata("a", &"v".repeat(length)),
            (Attribute::ContentEncoding, "gzip".to_owned()),
        ]
        .into_iter()
        .collect()
    };
    let longest = METADATA_LIMIT - hidden - "a".len();
    for result in write(&store, &attributes(longest)).await {
        result.unwrap();
    }
    assert_eq!(listener.take().len(), 2);
    for result in write(&store, &attributes(longest + 1)).await {
        let error = result.unwrap_err();
        assert!(matches!(
            cause(&error),
            Error::MetadataTooLarge { size: 2049, .. }
        ));
    }
    assert!(listener.take().is_empty());
}

#[tokio::test]
async fn attributes_that_are_not_ascii_are_refused() {
    let listener = Listener::start().await;
    let store = bucket(&listener);
    for (attribute, value) in [
        metadata("city", "Köln"),
        metadata("größe", "1"),
        (Attribute::ContentDisposition, "filename=ä".to_owned()),
    ] {
        let attributes = Attributes::from_iter([(attribute.clone(), value)]);
        for result in write(&store, &attributes).await {
            let error = result.unwrap_err();
            assert!(
                matches!(cause(&error), Error::NotAscii { attribute: found } if *found == attribute)
            );
        }
    }
    assert!(listener.take().is_empty());
}

#[test]
fn plain_http_is_refused_unless_asked_for() {
    let refused = |builder: AmazonS3Builder, named: &str| {
        let error = S3Store::new(builder).unwrap_err();
        assert!(matches!(cause(&error), Error::PlainHttp { endpoint } if endpoint == named));
        assert!(error.to_string().contains("with_allow_http(true)"));
        assert!(error.to_string().contains("AWS_ALLOW_HTTP=true"));
    };
    let with = |name: &str, value: &str| {
        builder("https://localhost:1").with_config(name.parse().unwrap(), value)
    };
    refused(builder("http://localhost:1"), "http://localhost:1");
    refused(builder("HTTP://localhost:1"), "HTTP://localhost:1");
    // As from the environment: AWS_ENDPOINT_URL, and the one for S3 that comes before it.
    refused(with("aws_endpoint_url", "http://a"), "http://a");
    refused(with("aws_endpoint_url_s3", "http://b"), "http://b");
    refused(
        with("aws_endpoint_url", "http://a").with_config("aws_allow_http".parse().unwrap(), "no"),
        "http://a",
    );

    S3Store::new(builder("https://localhost:1")).unwrap();
    for yes in ["true", "1", "Yes"] {
        let allowed = with("aws_endpoint_url", "http://a");
        let allowed = allowed.with_config("aws_allow_http".parse().unwrap(), yes);
        S3Store::new(allowed).unwrap();
    }
    let options = ClientOptions::new().with_allow_http(true);
    S3Store::new(builder("http://localhost:1").with_client_options(options)).unwrap();
}

/// What arrives of a put, a multipart upload and a copy.
async fn arriving(change: impl FnOnce(AmazonS3Builder) -> AmazonS3Builder) -> Vec<Request> {
    let listener = Listener::start().await;
    let builder = change(builder(&listener.url()).with_allow_http(true));
    let store: Arc<dyn ObjectStore> = Arc::new(encrypted(S3Store::new(builder).unwrap()));
    store.put(&path(), "text".into()).await.unwrap();
    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.put_part("text".into()).await.unwrap();
    upload.complete().await.unwrap();
    store.copy(&path(), &Path::from("copy")).await.unwrap();
    let arrived = listener.take();
    let methods: Vec<_> = arrived
        .iter()
        .map(|request| request.line.split(' ').next().unwrap())
        .collect();
    assert_eq!(methods, ["PUT", "POST", "PUT", "POST", "PUT"]);
    arrived
}

#[tokio::test]
async fn encryption_by_the_server_passes_through() {
    const PREFIX: &str = "x-amz-server-side-encryption";
    // Where the object is made: neither parts nor the completion say so again.
    let makes = [0, 1, 4];

    let plain = arriving(|builder| builder).await;
    assert!(plain.iter().all(|request| request.header(PREFIX).is_none()));

    let managed = arriving(|builder| {
        builder.with_config("aws_server_side_encryption".parse().unwrap(), "AES256")
    });
    let managed = managed.await;
    let kms = arriving(|builder| builder.with_sse_kms_encryption("key").with_bucket_key(true));
    let kms = kms.await;
    let dual = arriving(|builder| builder.with_dsse_kms_encryption("key")).await;
    for index in makes {
        let header = |request: &[Request], name: &str| {
            request[index]
                .header(&format!("{PREFIX}{name}"))
                .map(str::to_owned)
        };
        assert_eq!(header(&managed, "").as_deref(), Some("AES256"));
        assert_eq!(header(&kms, "").as_deref(), Some("aws:kms"));
        assert_eq!(header(&kms, "-aws-kms-key-id").as_deref(), Some("key"));
        assert_eq!(header(&kms, "-bucket-key-enabled").as_deref(), Some("true"));
        assert_eq!(header(&dual, "").as_deref(), Some("aws:kms:dsse"));
    }

    let secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let customer = arriving(|builder| builder.with_ssec_encryption(secret)).await;
    // All but the completion, which reads and writes no content.
    for request in [0, 1, 2, 4].map(|index| &customer[index]) {
        let key = request.header(&format!("{PREFIX}-customer-key"));
        assert_eq!(key, Some(secret), "{}", request.line);
    }
    let source = customer[4].header("x-amz-copy-source-server-side-encryption-customer-key");
    assert_eq!(source, Some(secret));
}

#[test]
fn the_customers_key_is_not_shown() {
    let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYyE=";
    let builder = builder("https://localhost:1").with_ssec_encryption(secret);
    let store = S3Store::new(builder).unwrap();
    assert!(!format!("{store:?} {store}").contains(secret));
}

#[tokio::test]
async fn a_copy_that_must_not_overwrite_is_refused_by_default() {
    let listener = Listener::start().await;
    let options = CopyOptions::new().with_mode(CopyMode::Create);
    let error = bucket(&listener)
        .copy_opts(&path(), &Path::from("copy"), options)
        .await
        .unwrap_err();
    assert!(matches!(error, object_store::Error::NotSupported { .. }));
    assert!(listener.take().is_empty());
}
