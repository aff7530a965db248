use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::lease::{Lease, LookedUp, Renewed};
use crate::request::Request;
use crate::session::{Session, Upkeep};
use crate::token::Token;
use crate::vault_builder::VaultBuilder;

const LOOK_UP: &str = "auth/token/lookup-self";
/// What a sealed server says.
const SEALED: &str = "is sealed";
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// A server that asks for more patience is not asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Room for any answer that holds a secret, so that none is moved and leaves a copy behind.
const ANSWER_ROOM: usize = 16 << 10;
/// Most bytes of an answer: a description of a key lists all its versions.
const ANSWER_LENGTH: usize = 1 << 20;

/// A connection to a server of OpenBao or Vault, to share between keyrings.
///
/// The token is renewed when a third of its life is left, by the next request; there is no thread
/// that would do so without requests. A refused token that came from a file is read anew, once for
/// each request of a keyring.
///
/// ```
/// use envelope_vault::{Token, Vault};
///
/// let vault = Vault::builder("https://vault.example.com:8200")
///     .token(Token::new("hvs.CAES...".to_owned())?)
///     .namespace("team")
///     .build()?;
/// # Ok::<(), envelope_vault::Error>(())
/// ```
#[derive(Clone)]
pub struct Vault {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    address: Url,
    namespace: Option<String>,
    session: Session,
    retries: usize,
}

/// An answer that is not worth asking for again.
struct Answered {
    status: StatusCode,
    body: Zeroizing<Vec<u8>>,
}

/// How one attempt ended without an answer that counts.
struct Failure {
    reason: String,
    /// Whether another attempt may go better.
    may_pass: bool,
    /// How long the server wants to be left alone.
    wait: Option<Duration>,
}

impl Vault {
    /// Begins with an address such as `https://vault.example.com:8200`.
    pub fn builder(address: impl Into<String>) -> VaultBuilder {
        VaultBuilder::new(address.into())
    }

    pub(crate) fn new(
        client: Client,
        address: Url,
        namespace: Option<String>,
        session: Session,
        retries: usize,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                client,
                address,
                namespace,
                session,
                retries,
            }),
        }
    }

    /// Renews the token now, and tells how long it is good for.
    ///
    /// # Errors
    /// [`Error::Refused`] when the token cannot be renewed, [`Error::TokenRefused`] when it is too
    /// late, and those of every request.
    pub async fn renew(&self) -> Result<Lease> {
        let token = self.shared.session.token();
        let request = Request::renew();
        let answered = self.shared.send_again(&request, &token).await?;
        let renewed: Renewed = self.shared.read(&request, &token, answered).await?;
        let lease = Lease::from(renewed);
        self.shared.session.note(&token, lease, Instant::now());
        Ok(lease)
    }

    /// Sends a request, after what keeps the token alive, and with another token if the file has one.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        let shared = &self.shared;
        shared.keep_alive().await;
        let token = shared.session.token();
        let answered = shared.send_again(request, &token).await?;
        if answered.status == StatusCode::FORBIDDEN
            && let Some(another) = shared.session.another(&token)
        {
            let answered = shared.send_again(request, &another).await?;
            return shared.read(request, &another, answered).await;
        }
        shared.read(request, &token, answered).await
    }

    /// A path as errors show it: with the namespace, as policies are written in one.
    pub(crate) fn shown(&self, path: &str) -> String {
        self.shared.shown(path)
    }
}

impl Shared {
    /// What fails here is tried again later, and the request itself goes on: its own error says more.
    async fn keep_alive(&self) {
        let Some(upkeep) = self.session.claim(Instant::now()) else {
            return;
        };
        let token = self.session.token();
        let request = match upkeep {
            Upkeep::LookUp => Request::read(LOOK_UP),
            Upkeep::Renew => Request::renew(),
        };
        let Ok(Answered { status, body }) = self.send(&request, &token).await else {
            return;
        };
        let lease = match upkeep {
            Upkeep::LookUp => serde_json::from_slice::<LookedUp>(&body).map(Lease::from),
            Upkeep::Renew => serde_json::from_slice::<Renewed>(&body).map(Lease::from),
        };
        if let (true, Ok(lease)) = (status.is_success(), lease) {
            self.session.note(&token, lease, Instant::now());
        }
    }

    /// What an answer holds, or what it means that there is none.
    async fn read<T: DeserializeOwned>(
        &self,
        request: &Request,
        token: &Token,
        Answered { status, body }: Answered,
    ) -> Result<T> {
        if !status.is_success() {
            return Err(self.refusal(request, token, status, &body).await);
        }
        serde_json::from_slice(&body).map_err(|_| Error::AnswerNotValid {
            path: self.shown(&request.path),
            reason: "is not the JSON that was expected",
        })
    }

    /// Sends a request until it is answered, but not more often than is configured.
    async fn send_again(&self, request: &Request, token: &Token) -> Result<Answered> {
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            self.send(request, token)
        };
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(self.retries)
            .with_jitter();
        let result = attempt
            .retry(backoff)
            .when(|failure| failure.may_pass)
            .adjust(|failure, wait| match failure.wait {
                Some(wanted) if wanted > LONGEST_WAIT => None,
                Some(wanted) => wait.map(|wait| wait.max(wanted)),
                None => wait,
            })
            .await;
        result.map_err(|failure| Error::Unreachable {
            path: self.shown(&request.path),
            attempts,
            reason: failure.reason,
        })
    }

    async fn send(&self, request: &Request, token: &Token) -> Result<Answered, Failure> {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1");
            segments.extend(request.path.split('/'));
        }
        let sent = self
            .client
            .request(request.method.clone(), url)
            .header(HeaderName::from_static("x-vault-token"), token.header())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(request.body.clone());
        let response = sent.send().await.map_err(|error| Failure::from(&error))?;
        let status = response.status();
        let wait = retry_after(&response);
        let body = body(response).await?;
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let answer = Answer::new(status.as_u16(), &body, &request.hidden(token));
            // Nothing but an operator ends that.
            if !answer.says(SEALED) {
                return Err(Failure {
                    reason: answer.to_string(),
                    may_pass: true,
                    wait,
                });
            }
        }
        Ok(Answered { status, body })
    }

    /// What a refusal means.
    async fn refusal(
        &self,
        request: &Request,
        token: &Token,
        status: StatusCode,
        body: &[u8],
    ) -> Error {
        let path = self.shown(&request.path);
        let answer = Answer::new(status.as_u16(), body, &request.hidden(token));
        match status {
            StatusCode::FORBIDDEN => match self.refuses(token).await {
                Some(true) => Error::TokenRefused { path, answer },
                Some(false) => Error::PermissionDenied {
                    path,
                    capability: request.capability,
                    answer,
                },
                // Nobody knows which of the two.
                None => Error::Refused { path, answer },
            },
            _ if answer.says(SEALED) => Error::Sealed { path, answer },
            _ if answer.says("no handler for route") => Error::NoMount { path, answer },
            _ if answer.says("encryption key not found") => Error::NoKey { path, answer },
            _ if answer.says("message authentication failed") => {
                Error::NotAuthentic { path, answer }
            }
            // Another kind of server knows no key either, but says so in its own way.
            StatusCode::NOT_FOUND if body.starts_with(b"{") => Error::NoKey { path, answer },
            StatusCode::NOT_FOUND => Error::AnswerNotValid {
                path,
                reason: "is status 404 without JSON",
            },
            _ => Error::Refused { path, answer },
        }
    }

    /// Whether the token itself is refused: every token may look itself up, by the policy `default`.
    async fn refuses(&self, token: &Token) -> Option<bool> {
        let answered = self.send(&Request::read(LOOK_UP), token).await.ok()?;
        Some(answered.status == StatusCode::FORBIDDEN)
    }

    fn shown(&self, path: &str) -> String {
        match &self.namespace {
            None => path.to_owned(),
            Some(namespace) => format!("{path} in namespace {namespace}"),
        }
    }
}

/// Reads the whole body into memory that is wiped.
async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_ROOM));
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| Failure::from(&error))?
    {
        if piece.len() > ANSWER_LENGTH - body.len() {
            return Err(Failure {
                reason: "the answer is too long".to_owned(),
                may_pass: false,
                wait: None,
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The form in seconds is the one that these servers use.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl From<&reqwest::Error> for Failure {
    fn from(error: &reqwest::Error) -> Self {
        Self {
            reason: causes(error),
            // The rest are redirects that were not followed and requests that cannot be sent.
            may_pass: !error.is_redirect() && !error.is_builder(),
            wait: None,
        }
    }
}

/// An error of the HTTP client with its causes, where it hides what went wrong. It holds no header
/// and no body.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("address", &self.shared.address.as_str())
            .field("namespace", &self.shared.namespace)
            .field("retries", &self.shared.retries)
            .finish_non_exhaustive()
    }
}
