use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::error::ErrorKind;

/// Why none of a message's encrypted data keys could be used, key by key.
#[derive(Debug, Clone)]
pub struct NotUnwrapped {
    keys: Vec<(String, String)>,
    attempts: Vec<Attempt>,
    not_stored: Vec<String>,
}

impl NotUnwrapped {
    pub(crate) fn new(
        keys: Vec<(String, String)>,
        attempts: Vec<Attempt>,
        not_stored: Vec<String>,
    ) -> Self {
        Self {
            keys,
            attempts,
            not_stored,
        }
    }

    /// Provider id and printable key name of every encrypted data key, in message order.
    #[must_use]
    pub fn keys(&self) -> &[(String, String)] {
        &self.keys
    }

    /// What each keyring said about each encrypted data key; of very many, about the first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Keys of the expected context that the message does not store. They were taken as
    /// authenticated-only; if that is wrong, it is why unwrapping failed.
    #[must_use]
    pub fn context_keys_not_stored(&self) -> &[String] {
        &self.not_stored
    }

    /// Whether a key service gave no answer, so that nobody knows whether its key opens one.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.has(ErrorKind::Unavailable)
    }

    /// Whether a key service would not let the keyring try, so that nobody knows either.
    pub(crate) fn is_misconfigured(&self) -> bool {
        self.has(ErrorKind::InvalidRequest)
    }

    /// What was said of keys that are not listed and of none before: that a limit was reached, say.
    fn of_others_alone(&self) -> impl Iterator<Item = &Attempt> {
        let mut said = HashSet::new();
        self.attempts.iter().filter(move |attempt| {
            said.insert((attempt.keyring(), attempt.reason())) && attempt.index() >= LISTED_KEYS
        })
    }

    fn has(&self, kind: ErrorKind) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.failure == Some(kind))
    }

    /// Whether a wrapping key fitted by name but failed while part of the context came from the
    /// caller alone: then the context is as suspect as the key.
    pub(crate) fn context_in_doubt(&self) -> bool {
        !self.not_stored.is_empty() && self.attempts.iter().any(Attempt::failed)
    }
}

/// Long reports are cut here: a hostile message can hold 65 535 entries.
const LISTED_KEYS: usize = 20;

impl fmt::Display for NotUnwrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no wrapping key of the keyring opens any of the message's {} encrypted data keys",
            self.keys.len()
        )?;
        for (index, (provider, name)) in self.keys.iter().enumerate().take(LISTED_KEYS) {
            write!(
                f,
                "\n  encrypted data key {}: provider {provider:?}, key {name:?}",
                index + 1
            )?;
            for attempt in self.attempts.iter().filter(|a| a.index() == index) {
                write!(f, "\n    {attempt}")?;
            }
        }
        if self.keys.len() > LISTED_KEYS {
            write!(f, "\n  and {} more", self.keys.len() - LISTED_KEYS)?;
            for attempt in self.of_others_alone().take(LISTED_KEYS) {
                let number = attempt.index() + 1;
                write!(f, "\n    encrypted data key {number}: {attempt}")?;
            }
        }
        if !self.not_stored.is_empty() {
            write!(
                f,
                "\n  the message does not store these keys of the expected encryption context: {:?}",
                self.not_stored
            )?;
        }
        Ok(())
    }
}

/// Why one keyring did not open one encrypted data key.
#[derive(Debug, Clone)]
pub struct Attempt {
    index: usize,
    keyring: Arc<str>,
    reason: Cow<'static, str>,
    /// None for a key that was skipped.
    failure: Option<ErrorKind>,
}

impl Attempt {
    /// The key was made by or for another wrapping key, so it was not tried.
    #[must_use]
    pub fn skipped(
        index: usize,
        keyring: impl Into<Arc<str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            index,
            keyring: keyring.into(),
            reason: reason.into(),
            failure: None,
        }
    }

    /// The key looked like this keyring's own and did not open.
    #[must_use]
    pub fn failed_with(
        index: usize,
        keyring: impl Into<Arc<str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::of_kind(ErrorKind::NoKey, index, keyring, reason)
    }

    /// As [`failed_with`](Self::failed_with), where nobody knows whether the wrapping key opens it:
    /// [`Unavailable`](ErrorKind::Unavailable) when whoever holds it gave no answer, so that trying
    /// again may help, [`InvalidRequest`](ErrorKind::InvalidRequest) when they do not let the caller use
    /// it, as without a permission. Every other kind says that it was tried and does not.
    #[must_use]
    pub fn of_kind(
        kind: ErrorKind,
        index: usize,
        keyring: impl Into<Arc<str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            failure: Some(kind),
            ..Self::skipped(index, keyring, reason)
        }
    }

    /// Which encrypted data key, counted from 0 in message order.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The keyring, as it names itself.
    #[must_use]
    pub fn keyring(&self) -> &str {
        &self.keyring
    }

    /// Whether the key was tried and failed, rather than skipped.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Why the key was skipped or failed.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.failed() { "failed" } else { "skipped" };
        write!(f, "{}: {outcome}: {}", self.keyring, self.reason)
    }
}
