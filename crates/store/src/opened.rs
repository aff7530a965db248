use envelope::{AlgorithmSuite, EncryptedDataKey, EncryptionContext};

/// What opened an object. It comes back in the `extensions` of a
/// [`GetResult`](object_store::GetResult).
#[derive(Debug, Clone)]
pub struct Opened {
    /// The format's name.
    format: &'static str,
    suite: AlgorithmSuite,
    context: EncryptionContext,
    key: EncryptedDataKey,
    verified: bool,
}

impl Opened {
    /// What a format found while it opened an object: its own name, and what was authenticated.
    #[must_use]
    pub fn new(
        format: &'static str,
        suite: AlgorithmSuite,
        context: EncryptionContext,
        key: EncryptedDataKey,
    ) -> Self {
        Self {
            format,
            suite,
            context,
            key,
            verified: true,
        }
    }

    /// The same of an object whose bytes are released although nobody knows whether they are
    /// authentic.
    #[must_use]
    pub fn unverified(self) -> Self {
        Self {
            verified: false,
            ..self
        }
    }

    /// Whether each byte that is handed out verified before. Where it is false, the format was told
    /// by name to do without.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// The format, by the name that [`Inspection::format`](crate::Inspection::format) has.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// The algorithm suite.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// The authenticated encryption context.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The wrapped key that was unwrapped by the caller's keys: its provider and name tell which of
    /// them it was.
    #[must_use]
    pub fn key(&self) -> &EncryptedDataKey {
        &self.key
    }
}
