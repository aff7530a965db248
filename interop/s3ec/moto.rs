use std::path::Path;

use anyhow::{Context, Result, ensure};
use http::Request;
use http::header::AUTHORIZATION;
use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpConnector, HttpRequestBody, HttpResponse, ReqwestConnector};
use serde_json::Value;

use crate::moto_server::{KEY_ID, MotoServer, SECRET};

/// The bucket of every object.
pub(crate) const BUCKET: &str = "peers";
/// Where the servers pretend to be.
pub(crate) const REGION: &str = "us-east-1";

/// Emulates S3 and KMS, with a bucket.
pub(crate) struct Moto {
    pub(crate) endpoint: String,
    server: MotoServer,
}

impl Moto {
    pub(crate) async fn start(tools: &Path) -> Result<Self> {
        let server = MotoServer::start(tools).await?;
        let endpoint = server.endpoint.clone();
        let bucket = Request::put(format!("{endpoint}/{BUCKET}"));
        send(bucket.body(HttpRequestBody::empty())?).await?;
        Ok(Self { endpoint, server })
    }

    /// Makes a KMS key and returns its id.
    pub(crate) async fn create_key(&self) -> Result<String> {
        // The scope says which service is meant; nobody checks the signature.
        let credential = format!("{KEY_ID}/20200101/{REGION}/kms/aws4_request");
        let request = Request::post(&self.endpoint)
            .header("x-amz-target", "TrentService.CreateKey")
            .header(
                AUTHORIZATION,
                format!(
                    "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
                ),
            )
            .body(HttpRequestBody::from("{}".to_owned()))?;
        let answer = send(request).await?.into_body().bytes().await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let id = answer.pointer("/KeyMetadata/KeyId").and_then(Value::as_str);
        Ok(id.context("the new key has no id")?.to_owned())
    }

    /// The bucket.
    pub(crate) fn builder(&self) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_region(REGION)
            .with_bucket_name(BUCKET)
            .with_access_key_id(KEY_ID)
            .with_secret_access_key(SECRET)
            .with_client_options(client_options())
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}

fn client_options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

async fn send(request: Request<HttpRequestBody>) -> Result<HttpResponse> {
    let client = ReqwestConnector::default().connect(&client_options())?;
    let answer = client.execute(request).await?;
    let status = answer.status();
    ensure!(status.is_success(), "moto answers {status}");
    Ok(answer)
}
