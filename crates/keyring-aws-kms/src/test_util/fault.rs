/// How an [`InMemoryKms`](super::InMemoryKms) fails instead of doing what it is asked.
///
/// All of them are of the kind that the SDK tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Too many requests: status 400, `ThrottlingException`.
    Throttled,
    /// KMS itself fails: status 500, `KMSInternalException`.
    InternalError,
    /// Something in front of KMS answers: status 503 and no code.
    Unavailable,
    /// The connection breaks before an answer.
    ConnectionReset,
}
