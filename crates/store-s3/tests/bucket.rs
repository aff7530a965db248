//! What is refused before anything is sent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use envelope::{RawAes, WrappingKey};
use envelope_s3::{Error, METADATA_LIMIT};
use envelope_store::EncryptedStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientOptions, CopyMode, CopyOptions, ObjectStore, PutOptions,
    RetryConfig,
};

/// Nobody listens there: what is sent fails in another way than what is refused.
const NOBODY: &str = "http://127.0.0.1:1";

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

/// The error inside one of `object_store`'s, if it is of this type.
fn cause<E: std::error::Error + 'static>(error: &object_store::Error) -> Option<&E> {
    match error {
        object_store::Error::Generic { source, .. } => source.downcast_ref(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn metadata_of_2048_bytes_passes_and_one_more_is_refused() {
    let bucket = envelope_s3::open(builder(NOBODY).with_allow_http(true)).unwrap();
    let keyring = RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap();
    let store = EncryptedStore::new(bucket, keyring);
    // The encrypted store hides this one in user metadata.
    let hidden = "envelopecontentencoding".len() + "gzip".len();
    let path = Path::from("object");
    let put = async |length: usize| {
        let attributes = Attributes::from_iter([
            (Attribute::Metadata("name".into()), "v".repeat(length)),
            (Attribute::ContentEncoding, "gzip".to_owned()),
        ]);
        let options = PutOptions::from(attributes);
        let put = store.put_opts(&path, "text".into(), options);
        put.await.unwrap_err()
    };
    let longest = METADATA_LIMIT - "name".len() - hidden;
    let sent = put(longest).await;
    assert!(cause::<envelope_store::Error>(&sent).is_none(), "{sent}");
    let refused = put(longest + 1).await;
    assert!(matches!(
        cause(&refused),
        Some(envelope_store::Error::MetadataTooLong {
            size: 2049,
            limit: 2048,
            ..
        })
    ));
}

#[test]
fn plain_http_is_refused_unless_asked_for() {
    let refused = |builder: AmazonS3Builder, named: &str| {
        let error = envelope_s3::open(builder).unwrap_err();
        assert!(matches!(cause(&error), Some(Error::PlainHttp { endpoint }) if endpoint == named));
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

    envelope_s3::open(builder("https://localhost:1")).unwrap();
    for yes in ["true", "1", "Yes"] {
        let allowed = with("aws_endpoint_url", "http://a");
        let allowed = allowed.with_config("aws_allow_http".parse().unwrap(), yes);
        envelope_s3::open(allowed).unwrap();
    }
    let options = ClientOptions::new().with_allow_http(true);
    envelope_s3::open(builder("http://localhost:1").with_client_options(options)).unwrap();
}

#[test]
fn the_customers_key_is_not_shown() {
    let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYyE=";
    let builder = builder("https://localhost:1").with_ssec_encryption(secret);
    let key: AmazonS3ConfigKey = "aws_sse_customer_key_base64".parse().unwrap();
    assert_eq!(builder.get_config_value(&key).as_deref(), Some(secret));
    let store = envelope_s3::open(builder).unwrap();
    assert!(!format!("{store:?} {store}").contains(secret));
}

#[tokio::test]
async fn a_copy_that_must_not_overwrite_is_refused_by_default() {
    let bucket = envelope_s3::open(builder(NOBODY).with_allow_http(true)).unwrap();
    let options = CopyOptions::new().with_mode(CopyMode::Create);
    let (from, to) = (Path::from("object"), Path::from("copy"));
    let refused = bucket.copy_opts(&from, &to, options).await.unwrap_err();
    assert!(matches!(refused, object_store::Error::NotSupported { .. }));
}
