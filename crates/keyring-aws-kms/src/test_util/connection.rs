use std::fmt;
use std::io;
use std::ops::Deref;
use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde_json::{Value, json};
use zeroize::{Zeroize, Zeroizing};

use super::Fault;
use super::behaviour::Behaviour;
use super::refusal::Refusal;

/// Most answers are shorter. One that is not is copied as it grows.
const ANSWER_CAPACITY: usize = 16 * 1024;

/// What is at the other end of a connection: a service that speaks AWS's JSON protocol.
pub(super) trait Service:
    Clone + Deref<Target = Behaviour> + fmt::Debug + Send + Sync + 'static
{
    /// What stands before the operation in the header `x-amz-target`.
    const TARGET_PREFIX: &'static str;
    const CONTENT_TYPE: &'static str;
    /// The code of [`Fault::Throttled`].
    const THROTTLED: &'static str;
    /// The code of [`Fault::InternalError`].
    const INTERNAL_ERROR: &'static str;

    /// Does what is asked; the region is the one that the request is signed for.
    fn answer(&self, operation: &str, region: &str, body: &[u8]) -> Result<Value, Refusal>;
}

/// What a client sends its requests through.
#[derive(Debug, Clone)]
struct Connection<S> {
    service: S,
    read_timeout: Option<Duration>,
    sleep: Option<SharedAsyncSleep>,
}

pub(super) fn connect(
    service: impl Service,
    settings: &HttpConnectorSettings,
    components: &RuntimeComponents,
) -> SharedHttpConnector {
    SharedHttpConnector::new(Connection {
        service,
        read_timeout: settings.read_timeout(),
        sleep: components.sleep_impl(),
    })
}

impl<S: Service> HttpConnector for Connection<S> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connection = self.clone();
        HttpConnectorFuture::new(async move { connection.send(&request).await })
    }
}

impl<S: Service> Connection<S> {
    async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.strip_prefix(S::TARGET_PREFIX).unwrap_or_default();
        let turn = self.service.next(operation);
        self.wait(turn.latency).await?;
        let refused = |status, refusal: Refusal| (status, refusal.body());
        let (status, body) = match turn.fault {
            Some(Fault::ConnectionReset) => return Err(reset()),
            Some(Fault::AnswerLost) => {
                if let Ok(mut answer) = self.answer(operation, request) {
                    wipe(&mut answer);
                }
                return Err(reset());
            }
            Some(Fault::Unavailable) => (503, json!({})),
            Some(Fault::InternalError) => {
                refused(500, Refusal::new(S::INTERNAL_ERROR, "try again"))
            }
            Some(Fault::Throttled) => refused(400, Refusal::new(S::THROTTLED, "try again later")),
            None if turn.denied => refused(
                400,
                Refusal::new("AccessDeniedException", "the caller may not do this"),
            ),
            None => match self.answer(operation, request) {
                Ok(answer) => (200, answer),
                Err(refusal) => refused(400, refusal),
            },
        };
        response::<S>(status, body, turn.number)
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

    fn answer(&self, operation: &str, request: &HttpRequest) -> Result<Value, Refusal> {
        let region = signed_region(request).ok_or(Refusal::new(
            "MissingAuthenticationTokenException",
            "the request is not signed for a region",
        ))?;
        let body = request.body().bytes().unwrap_or_default();
        self.service.answer(operation, region, body)
    }
}

fn reset() -> ConnectorError {
    ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

/// The region that the request is signed for, whatever endpoint it was sent to (AWS Signature
/// Version 4, credential scope).
fn signed_region(request: &HttpRequest) -> Option<&str> {
    let authorization = request.headers().get("authorization")?;
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split('/').nth(2)
}

/// The answer on its way. Plaintext keys in it are wiped once the SDK has read it.
fn response<S: Service>(
    status: u16,
    mut body: Value,
    number: u64,
) -> Result<HttpResponse, ConnectorError> {
    let other =
        |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
    let status = StatusCode::try_from(status).map_err(|error| other(error.into()))?;
    let mut text = Zeroizing::new(Vec::with_capacity(ANSWER_CAPACITY));
    serde_json::to_writer(&mut *text, &body).map_err(|error| other(error.into()))?;
    wipe(&mut body);
    let mut response = HttpResponse::new(status, SdkBody::from(Bytes::from_owner(text)));
    let headers = response.headers_mut();
    headers.insert("content-type", S::CONTENT_TYPE);
    headers.insert("x-amzn-requestid", format!("in-memory-{number}"));
    Ok(response)
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => (),
    }
}
