/// How an instruction file is given other wrapping keys. It goes into the `extensions` of
/// [`rewrap_opts`](crate::EncryptedStore::rewrap_opts); without it, the file is replaced. Objects in
/// formats that have one file of its own name each refuse another suffix.
///
/// Source: the S3 Encryption Client's re-encryption of instruction files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    suffix: Option<String>,
    enforced: bool,
}

impl Rotation {
    /// Replaces the file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves the file as it is and writes another one with this suffix, such as `.partner`: for
    /// somebody who has other keys.
    #[must_use]
    pub fn to_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = Some(suffix.into());
        self
    }

    /// Makes sure that the old keys do not open the new file.
    #[must_use]
    pub fn enforced(mut self) -> Self {
        self.enforced = true;
        self
    }

    /// The suffix of the new file. Nothing when the file is replaced.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.suffix.as_deref()
    }

    /// Whether the old keys must not open the new file.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.enforced
    }
}
