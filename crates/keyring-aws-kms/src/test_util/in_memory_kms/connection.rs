use std::io;
use std::time::Duration;

use aws_sdk_kms::config::{HttpClient, RuntimeComponents, SharedAsyncSleep};
use aws_smithy_async::rt::sleep::AsyncSleep;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::operations::Caller;
use super::request::{Refusal, Request};
use super::{Fault, InMemoryKms};

/// What a client sends its requests through.
#[derive(Debug, Clone)]
struct Connection {
    kms: InMemoryKms,
    read_timeout: Option<Duration>,
    sleep: Option<SharedAsyncSleep>,
}

impl HttpClient for InMemoryKms {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connection {
            kms: self.clone(),
            read_timeout: settings.read_timeout(),
            sleep: components.sleep_impl(),
        })
    }
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connection = self.clone();
        HttpConnectorFuture::new(async move { connection.answer(&request).await })
    }
}

impl Connection {
    async fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.strip_prefix("TrentService.").unwrap_or_default();
        let (fault, latency, number) = {
            let mut state = self.kms.state();
            let fault = state.begin(operation);
            let number: u64 = state.calls.values().sum();
            (fault, state.latency, number)
        };
        self.wait(latency).await?;
        let (status, body) = match fault {
            Some(Fault::ConnectionReset) => {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                return Err(ConnectorError::io(reset.into()));
            }
            Some(Fault::Unavailable) => (503, json!({})),
            Some(Fault::InternalError) => {
                let refusal = Refusal::new("KMSInternalException", "try again");
                (500, refusal.body())
            }
            Some(Fault::Throttled) => {
                let refusal = Refusal::new("ThrottlingException", "try again later");
                (400, refusal.body())
            }
            None => match self.operate(operation, request) {
                Ok(answer) => (200, answer),
                Err(refusal) => (400, refusal.body()),
            },
        };
        response(status, &body, number)
    }

    /// Waits for the latency, or for the read time-out if that is shorter.
    async fn wait(&self, latency: Duration) -> Result<(), ConnectorError> {
        if latency.is_zero() {
            return Ok(());
        }
        let sleep = self.sleep.as_ref().ok_or_else(|| {
            let reason = "latency needs a client with a sleep implementation";
            ConnectorError::user(reason.into())
        })?;
        let timeout = self.read_timeout.filter(|timeout| *timeout < latency);
        sleep.sleep(timeout.unwrap_or(latency)).await;
        match timeout {
            Some(_) => Err(ConnectorError::timeout("the read time-out is over".into())),
            None => Ok(()),
        }
    }

    fn operate(&self, operation: &str, request: &HttpRequest) -> Result<Value, Refusal> {
        let region = signed_region(request).ok_or(Refusal::new(
            "MissingAuthenticationTokenException",
            "the request is not signed for a region",
        ))?;
        let body = request.body().bytes().unwrap_or_default();
        let request: Request = serde_json::from_slice(body)
            .map_err(|_| Refusal::new("SerializationException", "the body cannot be read"))?;
        let kms = &self.kms;
        Caller { kms, region }.answer(operation, &request)
    }
}

/// The region that the request is signed for, whatever endpoint it was sent to (AWS Signature
/// Version 4, credential scope).
fn signed_region(request: &HttpRequest) -> Option<&str> {
    let authorization = request.headers().get("authorization")?;
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split('/').nth(2)
}

fn response(status: u16, body: &Value, number: u64) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.1");
    headers.insert("x-amzn-requestid", format!("in-memory-{number}"));
    Ok(response)
}
