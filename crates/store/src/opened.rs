use envelope::{AlgorithmSuite, EncryptionContext};

/// What opened an object. It comes back in the `extensions` of a
/// [`GetResult`](object_store::GetResult).
#[derive(Debug, Clone)]
pub struct Opened {
    context: EncryptionContext,
    suite: AlgorithmSuite,
}

impl Opened {
    /// What a format found while it opened an object.
    #[must_use]
    pub fn new(context: EncryptionContext, suite: AlgorithmSuite) -> Self {
        Self { context, suite }
    }

    /// The authenticated encryption context.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The algorithm suite.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }
}
