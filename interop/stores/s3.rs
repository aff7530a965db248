use std::time::Duration;

use anyhow::{Context, Result, ensure};
use envelope_store::MetadataLimit;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut, S3CopyIfNotExists};
use object_store::client::{HttpConnector, HttpRequestBody, HttpResponse, ReqwestConnector};
use object_store::integration::MarkerHttpConnector;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{Certificate, ClientOptions, RetryConfig};
use tokio::time::{Instant, sleep};

use crate::server::START_LIMIT;

/// The identity that every S3 server is started with.
pub(crate) const KEY_ID: &str = "testkey";
/// Its secret.
pub(crate) const SECRET: &str = "testsecret";

/// Where an S3 server listens, and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    url: String,
    authority: Option<Certificate>,
}

impl S3 {
    /// A server at this URL. Over TLS its certificate must come from this authority.
    pub(crate) fn new(url: String, authority: Option<Certificate>) -> Self {
        Self { url, authority }
    }

    /// The URL of this path on the server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// How its clients connect.
    pub(crate) fn client_options(&self) -> ClientOptions {
        let options = ClientOptions::new();
        match &self.authority {
            Some(authority) => options.with_root_certificate(authority.clone()),
            None => options.with_allow_http(true),
        }
    }

    /// A store over this bucket. An outage lasts seconds here, so retries end after some.
    pub(crate) fn builder(&self, bucket: &str) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_endpoint(&self.url)
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_access_key_id(KEY_ID)
            .with_secret_access_key(SECRET)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
            .with_client_options(self.client_options())
            .with_http_connector(MarkerHttpConnector::default())
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: Duration::from_secs(30),
                ..RetryConfig::default()
            })
    }

    /// This bucket as users open it.
    pub(crate) fn open(&self, bucket: &str) -> Result<MetadataLimit<AmazonS3>> {
        Ok(envelope_s3::open(self.builder(bucket))?)
    }

    /// Makes these buckets. A server that has just started may not be able to at once.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(crate) async fn create_buckets(&self, buckets: &[&str]) -> Result<()> {
        let started = Instant::now();
        for bucket in buckets {
            let root = Path::default();
            let status = loop {
                let answer = self.send(Method::PUT, bucket, &root, &[], &[]).await?;
                let status = answer.status();
                if !status.is_server_error() || started.elapsed() > START_LIMIT {
                    break status;
                }
                sleep(Duration::from_millis(100)).await;
            };
            ensure!(
                status.is_success(),
                "cannot make bucket {bucket:?}: {status}"
            );
        }
        Ok(())
    }

    /// Sends a signed request past any store, and shows the bare answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        bucket: &str,
        path: &Path,
        query: &[(&str, &str)],
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<HttpResponse> {
        let mut options = SignedUrlOptions::new().with_query(query.iter().copied());
        let mut request = Request::builder().method(&method);
        for (name, value) in headers {
            options = options.with_signed_header(name.clone(), value.clone());
            request = request.header(name, value);
        }
        let store = self.builder(bucket).build()?;
        let url = store
            .signed_url_opts(method, path, Duration::from_secs(60), &options)
            .await?;
        let request = request
            .uri(url.as_str())
            .body(HttpRequestBody::empty())
            .context("the signed URL is none")?;
        let client = ReqwestConnector::default().connect(&self.client_options())?;
        Ok(client.execute(request).await?)
    }
}
