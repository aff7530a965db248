use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use aws_sdk_kms::config::HttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use envelope_aws_kms::test_util::{InMemoryDynamoDb, InMemoryKms};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The KMS and the DynamoDB in memory at an address, for programs in other languages. Stops when it is
/// dropped.
pub(crate) struct InMemoryServer {
    pub(crate) endpoint: String,
    _tasks: JoinSet<()>,
}

impl InMemoryServer {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let services = Services::new()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(services.clone().serve(stream));
            }
        });
        Ok(Self {
            endpoint,
            _tasks: tasks,
        })
    }
}

/// What clients of the SDK would send their requests through.
#[derive(Clone)]
struct Services {
    kms: SharedHttpConnector,
    dynamodb: SharedHttpConnector,
}

impl Services {
    fn new() -> Result<Self> {
        let settings = HttpConnectorSettings::default();
        let components = RuntimeComponentsBuilder::for_tests().build()?;
        Ok(Self {
            kms: InMemoryKms::new().http_connector(&settings, &components),
            dynamodb: InMemoryDynamoDb::new().http_connector(&settings, &components),
        })
    }

    async fn serve(self, stream: TcpStream) {
        let answer = service_fn(|request| async {
            Ok::<_, Infallible>(self.answer(request).await.unwrap_or_else(|error| {
                let mut response = Response::new(Full::from(format!("{error:#}")));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response
            }))
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        // A client that goes away is no fault.
        connection.await.ok();
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let target = parts.headers.get("x-amz-target").context("no target")?;
        let connector = if target.to_str()?.starts_with("TrentService.") {
            &self.kms
        } else {
            &self.dynamodb
        };
        let body = SdkBody::from(body.collect().await?.to_bytes());
        let request = HttpRequest::try_from(Request::from_parts(parts, body))?;
        let (parts, body) = connector
            .call(request)
            .await?
            .try_into_http1x()?
            .into_parts();
        let body = Bytes::copy_from_slice(body.bytes().unwrap_or_default());
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}
