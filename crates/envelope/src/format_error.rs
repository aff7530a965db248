use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The error of another format than the message, as [`Error::Format`](crate::Error::Format) holds it.
///
/// Errors are cloned for all who wait for one answer of a key service; those of formats are shared.
#[derive(Clone)]
pub struct FormatError(Arc<dyn Error + Send + Sync>);

impl FormatError {
    /// Holds an error. It is the `source` of the one that holds it.
    #[must_use]
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl Deref for FormatError {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
