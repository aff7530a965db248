use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;

/// How a service of AWS did not do what it was asked, whichever it is.
pub(crate) enum Reply {
    /// It answered with an error.
    Refused {
        status: u16,
        code: Option<String>,
        request_id: Option<String>,
    },
    /// The request was never sent, and why.
    NotAsked(String),
    /// No answer that can be read, and why.
    NoAnswer(String),
}

impl Reply {
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let no_answer = |reason: &str| Self::NoAnswer(reason.to_owned());
        match error {
            SdkError::ServiceError(answer) => Self::Refused {
                status: answer.raw().status().as_u16(),
                code: error.code().map(str::to_owned),
                request_id: error.request_id().map(str::to_owned),
            },
            SdkError::TimeoutError(_) => no_answer("the time allowed is over"),
            SdkError::ResponseError(_) => no_answer("it cannot be read as one of the service"),
            SdkError::ConstructionFailure(_) => Self::NotAsked(causes(error)),
            other if lacks_credentials(other) => Self::NotAsked(causes(other)),
            other => Self::NoAnswer(causes(other)),
        }
    }
}

/// Whether a service that answers so is busy or broken, and may do better later.
pub(crate) fn may_pass(status: u16, code: Option<&str>) -> bool {
    let parts = ["Throttl", "Timeout", "Internal", "Unavailable"];
    let is_busy = |code: &str| {
        let limits = [
            "LimitExceededException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "SlowDown",
        ];
        parts.iter().any(|part| code.contains(part)) || limits.contains(&code)
    };
    status >= 500 || code.is_none_or(is_busy)
}

/// Whether there are no credentials, rather than nobody who gives them now.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        matches!(
            error.downcast_ref(),
            Some(
                CredentialsError::CredentialsNotLoaded(_)
                    | CredentialsError::InvalidConfiguration(_)
            )
        )
    })
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

/// The SDK's outer errors say little; the reason is behind them, in one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    let text = match texts.is_empty() {
        true => error.to_string(),
        false => texts.join(": "),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
