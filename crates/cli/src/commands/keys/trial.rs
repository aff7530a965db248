use std::borrow::Cow;

use serde_json::{Value, json};

/// What came of trying one thing with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trial {
    Done,
    Failed(String),
    /// The key is not made for it.
    NotApplicable(&'static str),
    /// There was nothing to try it with.
    Untried(&'static str),
}

impl Trial {
    pub(super) fn of<T>(result: &Result<T, envelope::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) => Self::Failed(reason(error)),
        }
    }

    /// As the table and programs show it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed(_) => "no",
            Self::NotApplicable(_) => "n/a",
            Self::Untried(_) => "untried",
        }
    }

    pub(super) fn failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    pub(super) fn reason(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Done => None,
            Self::Failed(reason) => Some(reason.into()),
            Self::NotApplicable(reason) | Self::Untried(reason) => Some((*reason).into()),
        }
    }

    pub(super) fn json(&self) -> Value {
        match self.reason() {
            None => json!({ "result": self.word() }),
            Some(reason) => json!({ "result": self.word(), "reason": reason }),
        }
    }
}

/// The reason in one line: of keys that did not open, what was tried.
fn reason(error: &envelope::Error) -> String {
    let envelope::Error::NotUnwrapped(report) = error else {
        return error.to_string();
    };
    let tried = report.attempts().iter().filter(|attempt| attempt.failed());
    let tried: Vec<_> = tried
        .map(|attempt| format!("{}: {}", attempt.keyring(), attempt.reason()))
        .collect();
    tried.join("; ")
}
