use std::borrow::Cow;

use crate::error::ErrorKind;

/// A keyring could not make or wrap a data key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{keyring}: {reason}")]
pub struct KeyringError {
    keyring: Cow<'static, str>,
    reason: Cow<'static, str>,
    misconfigured: bool,
}

impl KeyringError {
    /// Names the keyring and what is wrong. Neither text may hold key material.
    #[must_use]
    pub fn new(
        keyring: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            keyring: keyring.into(),
            reason: reason.into(),
            misconfigured: false,
        }
    }

    /// As [`new`](Self::new), when trying again cannot help: the keyring was not given what the
    /// work needs.
    #[must_use]
    pub fn misconfigured(
        keyring: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            misconfigured: true,
            ..Self::new(keyring, reason)
        }
    }

    /// Either of the two, for an error of that kind: all but
    /// [`Unavailable`](ErrorKind::Unavailable) are misconfigured.
    #[must_use]
    pub fn of_kind(
        kind: ErrorKind,
        keyring: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        match kind {
            ErrorKind::Unavailable => Self::new(keyring, reason),
            _ => Self::misconfigured(keyring, reason),
        }
    }

    pub(crate) fn is_misconfigured(&self) -> bool {
        self.misconfigured
    }
}
