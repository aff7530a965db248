/// How a service in memory fails instead of doing what it is asked.
///
/// All of them are of the kind that the SDK tries again. Nothing was done by then, but for the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Too many requests: status 400, KMS's `ThrottlingException` or DynamoDB's
    /// `ProvisionedThroughputExceededException`.
    Throttled,
    /// The service itself fails: status 500, `KMSInternalException` or `InternalServerError`.
    InternalError,
    /// Something in front of the service answers: status 503 and no code.
    Unavailable,
    /// The connection breaks before an answer.
    ConnectionReset,
    /// The connection breaks when what was asked is done, so that nobody hears of it.
    AnswerLost,
}
