use super::S3ec;

/// Switches that make reading less safe. Each gives the format back.
///
/// ```
/// use envelope::CommitmentPolicy;
/// use envelope_s3::S3ec;
///
/// // Reads everything that any of the clients ever wrote.
/// let reader = S3ec::v3()
///     .policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
///     .danger()
///     .read_legacy_wraps()
///     .danger()
///     .read_legacy_unauthenticated();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Danger(S3ec);

impl Danger {
    pub(super) fn new(format: S3ec) -> Self {
        Self(format)
    }

    /// Reads objects whose data key is wrapped in a way that binds it to nothing: `kms`, `AESWrap`,
    /// `RSA/ECB/OAEPWithSHA-256AndMGF1Padding`, and both of V1. Who can change a stored object can then
    /// make it be read as another kind of object.
    #[must_use]
    pub fn read_legacy_wraps(mut self) -> S3ec {
        self.0.legacy_wraps = true;
        self.0
    }

    /// Reads AES-CBC content, and parts of any object. Nothing tells whether such bytes were changed:
    /// who can change a stored object can change what is read, and learn plaintext from how reading
    /// fails. The policy must allow it too.
    #[must_use]
    pub fn read_legacy_unauthenticated(mut self) -> S3ec {
        self.0.legacy_unauthenticated = true;
        self.0
    }

    /// Hands plaintext out as it comes, in constant memory and without temporary files. That it was
    /// changed shows only at the end, as an error: who used it before must be able to take that back.
    #[must_use]
    pub fn delayed_authentication(mut self) -> S3ec {
        self.0.delayed_authentication = true;
        self.0
    }
}
