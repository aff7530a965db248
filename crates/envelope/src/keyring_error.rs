use std::borrow::Cow;

/// A keyring could not make or wrap a data key.
#[derive(Debug, thiserror::Error)]
#[error("{keyring}: {reason}")]
pub struct KeyringError {
    keyring: Cow<'static, str>,
    reason: Cow<'static, str>,
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
        }
    }
}
