//! What is refused before anything is sent, and what arrives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::process::Command;

use envelope::{RawAes, WrappingKey};
use envelope_gcs::{Error, GcsBuilder, METADATA_LIMIT};
use envelope_store::{EncryptedStore, MetadataLimit};
use futures::TryStreamExt;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientConfigKey, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutOptions, RetryConfig,
};
use support::{Listener, Request};

const KEY: [u8; 32] = [7; 32];
/// Base64 of the key, and of its SHA-256.
const ENCODED: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const DIGEST: &str = "S7Bvjk46dxXSAdVz0KpCN2LlXavWGiwCJ4+lbMbSlOA=";
const KMS: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

fn google(endpoint: &str) -> GoogleCloudStorageBuilder {
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("bucket")
        .with_bearer_token("token")
        .with_base_url(endpoint)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
}

fn bucket(listener: &Listener) -> MetadataLimit<GoogleCloudStorage> {
    let google = google(&listener.url());
    GcsBuilder::new(google).allow_http().build().unwrap()
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
async fn metadata_of_8192_bytes_passes_and_one_more_is_refused() {
    let listener = Listener::start().await;
    let key = WrappingKey::generate().unwrap();
    let keyring = RawAes::new("acme", "test", key).unwrap();
    let store = EncryptedStore::new(bucket(&listener), keyring);
    // The encrypted store hides this one in custom metadata.
    let encoding = "envelopecontentencoding".len() + "gzip".len();
    let longest = METADATA_LIMIT - encoding - "ab".len();
    let attributes = |length: usize| -> Attributes {
        [
            metadata("ab", &"v".repeat(length)),
            (Attribute::ContentEncoding, "gzip".to_owned()),
            (Attribute::ContentType, "text/csv".to_owned()),
        ]
        .into_iter()
        .collect()
    };
    for result in write(&store, &attributes(longest)).await {
        result.unwrap();
    }
    let arrived = listener.take();
    assert_eq!(arrived.len(), 2);
    let value = arrived[1].header("x-goog-meta-ab").unwrap();
    assert_eq!(value.len(), longest);

    for result in write(&store, &attributes(longest + 1)).await {
        let error = result.unwrap_err();
        let object_store::Error::Generic { source, .. } = &error else {
            panic!("{error}");
        };
        assert!(matches!(
            source.downcast_ref(),
            Some(envelope_store::Error::MetadataTooLong {
                size: 8193,
                limit: 8192,
                ..
            })
        ));
        assert!(error.to_string().contains("8193 bytes"));
    }
    assert!(listener.take().is_empty());
}

#[test]
fn plain_http_is_refused_unless_asked_for() {
    let plain = "http://localhost:1";
    let key = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
    for google in [
        google(plain),
        google("HTTP://localhost:1"),
        // `object_store` has this on by default, so it is nobody's wish.
        google(plain).with_config(key, "true"),
        // As from the environment.
        google(plain).with_config("google_base_url".parse().unwrap(), plain),
    ] {
        let error = envelope_gcs::open(google).unwrap_err();
        assert!(matches!(
            cause(&error),
            Error::PlainHttp { endpoint } if endpoint.eq_ignore_ascii_case(plain)
        ));
        assert!(error.to_string().contains("allow_http()"));
    }
    GcsBuilder::new(google(plain)).allow_http().build().unwrap();
    envelope_gcs::open(google("https://localhost:1")).unwrap();
}

/// `object_store` would send there what it sends to Google.
#[tokio::test]
async fn a_file_of_credentials_does_not_name_the_endpoint() {
    let listener = Listener::start().await;
    let credentials = format!(
        r#"{{"private_key": "x", "private_key_id": "x", "client_email": "x", "disable_oauth": true,
        "gcs_base_url": "{}"}}"#,
        listener.url()
    );
    let google = GoogleCloudStorageBuilder::new()
        .with_bucket_name("bucket")
        .with_service_account_key(credentials);
    let store = GcsBuilder::new(google).allow_http().build().unwrap();
    assert!(format!("{store:?}").contains("https://storage.googleapis.com"));
    assert!(!format!("{store:?}").contains(&listener.url()));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let error = envelope_gcs::open(google("storage.googleapis.com")).unwrap_err();
    assert!(matches!(
        cause(&error),
        Error::NotAnEndpoint { endpoint } if endpoint == "storage.googleapis.com"
    ));
    let google = google("https://localhost:1");
    let error = GcsBuilder::new(google).kms_key("a\nb").build().unwrap_err();
    assert!(matches!(cause(&error), Error::NotAKmsKey { name } if name == "a\nb"));
}

/// Every kind of request, in an order that [`KINDS`] names.
async fn everything(store: &dyn ObjectStore) {
    store.put(&path(), "text".into()).await.unwrap();
    store.get(&path()).await.unwrap();
    store.head(&path()).await.unwrap();
    store.copy(&path(), &Path::from("copy")).await.unwrap();
    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.put_part("text".into()).await.unwrap();
    upload.complete().await.unwrap();
    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.abort().await.unwrap();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(listed.is_empty());
    store.delete(&path()).await.unwrap();
}

const KINDS: [&str; 11] = [
    "PUT", "GET", "HEAD", "PUT", "POST", "PUT", "POST", "POST", "DELETE", "GET", "DELETE",
];

/// For each request, whether it has the header; and no other value than this.
fn with_header(arrived: &[Request], name: &str, value: &str) -> Vec<usize> {
    let kinds: Vec<_> = arrived
        .iter()
        .map(|request| request.line.split(' ').next().unwrap())
        .collect();
    assert_eq!(kinds, KINDS);
    let found = arrived.iter().map(|request| request.header(name));
    let found = found.enumerate().filter(|(_, found)| found.is_some());
    found
        .map(|(index, found)| {
            assert_eq!(found, Some(value));
            index
        })
        .collect()
}

#[tokio::test]
async fn nothing_is_added_unless_asked_for() {
    let listener = Listener::start().await;
    everything(&bucket(&listener)).await;
    for request in listener.take() {
        assert!(!format!("{request:?}").contains("encryption"));
    }
}

#[tokio::test]
async fn a_kms_key_is_named_where_objects_are_made() {
    let listener = Listener::start().await;
    let builder = GcsBuilder::new(google(&listener.url())).allow_http();
    let store = builder.customer_key(&mut KEY.clone()).kms_key(KMS);
    everything(&store.build().unwrap()).await;
    let arrived = listener.take();
    let named = with_header(&arrived, "x-goog-encryption-kms-key-name", KMS);
    // Put, copy, and the beginning of both uploads.
    assert_eq!(named, [0, 3, 4, 7]);
    // The later of two wishes counts alone.
    let customer = with_header(&arrived, "x-goog-encryption-key", ENCODED);
    assert!(customer.is_empty());
}

#[tokio::test]
async fn a_customers_key_goes_with_every_request_that_reads_or_writes_content() {
    let listener = Listener::start().await;
    let builder = GcsBuilder::new(google(&listener.url())).allow_http();
    let mut key = KEY;
    let store = builder.kms_key(KMS).customer_key(&mut key).build().unwrap();
    assert_eq!(key, [0; 32]);
    everything(&store).await;
    let arrived = listener.take();
    for (name, value) in [
        ("algorithm", "AES256"),
        ("key", ENCODED),
        ("key-sha256", DIGEST),
    ] {
        let found = with_header(&arrived, &format!("x-goog-encryption-{name}"), value);
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 6, 7], "{name}");
        let source = format!("x-goog-copy-source-encryption-{name}");
        assert_eq!(with_header(&arrived, &source, value), [3], "{name}");
    }
    assert!(with_header(&arrived, "x-goog-encryption-kms-key-name", KMS).is_empty());
}

#[tokio::test]
async fn an_endpoint_may_have_a_path() {
    let listener = Listener::start().await;
    let google = google(&format!("{}/gcs/", listener.url()));
    let builder = GcsBuilder::new(google).allow_http().kms_key(KMS);
    let store = builder.build().unwrap();
    store.put(&path(), "text".into()).await.unwrap();
    let arrived = listener.take();
    assert_eq!(arrived[0].line, "PUT /gcs/bucket/a%2Fobject HTTP/1.1");
    assert_eq!(
        arrived[0].header("x-goog-encryption-kms-key-name"),
        Some(KMS)
    );
}

#[test]
fn the_customers_key_is_not_shown() {
    let google = google("https://localhost:1");
    let builder = GcsBuilder::new(google).customer_key(&mut KEY.clone());
    let shown = format!("{builder:?}");
    let store = builder.build().unwrap();
    let shown = format!("{shown} {store:?} {store}");
    assert!(
        !shown.contains(ENCODED) && !shown.contains("7, 7"),
        "{shown}"
    );
}

/// The address of the metadata server comes from the environment, so the test runs itself again.
/// That server speaks plain HTTP, whatever the bucket's endpoint may.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_token_has_no_key() {
    const HOST: &str = "GCE_METADATA_HOST";
    if std::env::var(HOST).is_ok() {
        let google = GoogleCloudStorageBuilder::new()
            .with_bucket_name("bucket")
            .with_base_url("https://127.0.0.1:1")
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        let builder = GcsBuilder::new(google).customer_key(&mut KEY.clone());
        let error = builder.build().unwrap().head(&path()).await.unwrap_err();
        // With a token at hand, it is the bucket that cannot be reached.
        assert!(error.to_string().contains("https://127.0.0.1:1/bucket"));
        return;
    }
    let listener = Listener::start().await;
    let home = std::env::temp_dir().join("a home without credentials");
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_request_for_a_token_has_no_key"])
        .env(HOST, listener.url().trim_start_matches("http://"))
        .env("HOME", home)
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
    let arrived = listener.take();
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].line.contains("/token"));
    assert!(!format!("{arrived:?}").contains("encryption"));
}
