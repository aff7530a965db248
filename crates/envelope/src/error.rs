use crate::format_error::FormatError;
use crate::keyring_error::KeyringError;
use crate::not_unwrapped::NotUnwrapped;
use crate::policy::CommitmentPolicy;
use crate::suite::AlgorithmSuite;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong while sealing, opening or describing a message.
///
/// Each failure that the AWS Encryption SDK specification tells apart is a variant of its own.
/// No variant, and no text made from one, holds key material or plaintext. What a caller would
/// *do* about a failure is its [`kind`](Error::kind).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Reading the header
    /// The first byte names a message format that this crate does not read.
    #[error("message format version {version:#04x} is not supported; supported are 1 and 2")]
    UnsupportedVersion {
        /// The version byte found.
        version: u8,
    },
    /// A version-1 message is of another type than encrypted data.
    #[error("message type {value:#04x} is not supported; supported is encrypted data (0x80)")]
    UnsupportedType {
        /// The type byte found.
        value: u8,
    },
    /// The input is the base64 text of a message instead of its bytes.
    #[error("the input looks like the base64 text of a message; decode it to bytes first")]
    Base64Input,
    /// The suite id is unknown, reserved, or does not belong in a message of this version.
    #[error("algorithm suite {id:#06x} is not supported in a message")]
    UnsupportedSuite {
        /// The suite id found.
        id: u16,
    },
    /// The content type is not one that this crate reads.
    #[error(
        "content type {value:#04x} is not supported; supported are non-framed (0x01) and framed (0x02)"
    )]
    UnsupportedContentType {
        /// The content-type byte found.
        value: u8,
    },
    /// The input ended inside a message.
    #[error(
        "the message is truncated: it ends inside {field} at byte {offset}; fetch the whole message"
    )]
    Truncated {
        /// The part of the message that is incomplete.
        field: &'static str,
        /// Length of the input in bytes.
        offset: u64,
    },
    /// A field holds a value that the format forbids.
    #[error("the message is malformed: {field} at byte {offset} {reason}")]
    Malformed {
        /// The part of the message at fault.
        field: &'static str,
        /// Where that part begins, in bytes from the start of the message.
        offset: u64,
        /// What the format requires instead.
        reason: &'static str,
    },
    /// The header holds the same encryption-context key twice.
    #[error("the message is malformed: its encryption context holds one key twice")]
    DuplicateContextKey,
    /// The header is longer than the reader allows.
    #[error(
        "the header is longer than the {maximum} bytes allowed; raise the maximum header length if the message is trusted"
    )]
    HeaderTooLong {
        /// The configured maximum in bytes.
        maximum: usize,
    },
    /// A frame, or a non-framed body, is longer than the reader allows.
    #[error(
        "a frame or non-framed body of {length} bytes is above the {maximum} bytes allowed; raise the maximum frame length if the message is trusted"
    )]
    FrameTooLong {
        /// The frame's plaintext length in bytes.
        length: u64,
        /// The configured maximum in bytes.
        maximum: u64,
    },
    /// A non-framed body is longer than the format allows.
    #[error(
        "the message is malformed: its non-framed body of {length} bytes is above the limit of 2^36 - 32"
    )]
    BodyTooLong {
        /// The claimed length in bytes.
        length: u64,
    },
    /// A range of a message whose body is one piece was asked for.
    #[error("the message is not framed: read it whole, as no part of it can be verified alone")]
    NotFramed,
    /// More encrypted data keys than the configured maximum.
    #[error(
        "the message holds {count} encrypted data keys, above the configured maximum of {maximum}"
    )]
    TooManyEncryptedDataKeys {
        /// How many there are.
        count: usize,
        /// The configured maximum.
        maximum: usize,
    },

    // Rules of the caller and of the client
    /// An encryption-context key is reserved for the format.
    #[error(
        "the encryption-context key {key:?} is reserved: keys that begin with \"aws-crypto-\" belong to the format; choose another"
    )]
    ReservedContextKey {
        /// The key at fault.
        key: String,
    },
    /// The encryption context does not fit its 16-bit length field.
    #[error("the encryption context takes {length} bytes, above the limit of 65535; shorten it")]
    ContextTooLong {
        /// Length of the canonical form in bytes.
        length: usize,
    },
    /// A materials manager demands an encryption-context key that the caller did not give.
    #[error("the encryption-context key {key:?} is required; give it and its value")]
    RequiredContextKeyMissing {
        /// The key demanded.
        key: String,
    },
    /// The caller expected another value than the one in the message.
    #[error(
        "the message's encryption context differs from the expected one at key {key:?}; it may belong to something else"
    )]
    ContextMismatch {
        /// The key whose values differ.
        key: String,
    },
    /// The commitment policy forbids encrypting under this suite.
    #[error("the commitment policy {policy} forbids encrypting under suite {suite}")]
    PolicyForbidsEncrypt {
        /// The policy in force.
        policy: CommitmentPolicy,
        /// The suite asked for.
        suite: AlgorithmSuite,
    },
    /// The commitment policy forbids decrypting under this suite.
    #[error("the commitment policy {policy} forbids decrypting under suite {suite}")]
    PolicyForbidsDecrypt {
        /// The policy in force.
        policy: CommitmentPolicy,
        /// The suite of the message.
        suite: AlgorithmSuite,
    },
    /// The message is signed and only unsigned messages were asked for.
    #[error(
        "the message is signed (suite {suite}) and only unsigned messages are accepted; accept signed ones or write with an unsigned suite"
    )]
    SignedMessage {
        /// The suite of the message.
        suite: AlgorithmSuite,
    },
    /// A signed message was about to be released before its signature could be checked.
    #[error(
        "the message is signed (suite {suite}): its signature can be checked only after the last byte; decrypt it whole, or allow plaintext with an unverified signature by name"
    )]
    SignatureNotYetVerified {
        /// The suite of the message.
        suite: AlgorithmSuite,
    },
    /// The header cannot be made as long as wanted.
    #[error(
        "the header takes {length} bytes, and {padding} more to be padded; it cannot be made {wanted} bytes long: raise the header length"
    )]
    HeaderDoesNotFit {
        /// Length of the header as it is, in bytes.
        length: usize,
        /// Length of the shortest padding, in bytes.
        padding: usize,
        /// The length wanted, in bytes.
        wanted: usize,
    },
    /// A value given by the caller is outside its legal range.
    #[error("{what} {reason}")]
    InvalidOption {
        /// Which value.
        what: &'static str,
        /// What is legal.
        reason: &'static str,
    },
    /// The plaintext is longer than announced.
    #[error("the plaintext is longer than the {bound} bytes announced")]
    PlaintextTooLong {
        /// The announced bound in bytes.
        bound: u64,
    },
    /// The plaintext needs more frames than a message can hold (2^32 - 1).
    #[error("the plaintext needs more than 2^32 - 1 frames; use a larger frame length")]
    TooManyFrames,
    /// No message of this layout has this length.
    #[error("no complete message with this header and frame length is {length} bytes long")]
    ImpossibleLength {
        /// The ciphertext length asked about, in bytes.
        length: u64,
    },
    /// The range asked for lies outside the plaintext.
    #[error("the range {start}..{end} lies outside the plaintext of {length} bytes")]
    RangeOutOfBounds {
        /// First byte wanted.
        start: u64,
        /// One past the last byte wanted.
        end: u64,
        /// Plaintext length in bytes.
        length: u64,
    },

    // Keys
    /// A keyring could not produce or wrap a data key.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// No wrapping key at hand opens any of the message's encrypted data keys.
    #[error("{0}")]
    NotUnwrapped(Box<NotUnwrapped>),
    /// A keyring or materials manager returned materials that break a rule.
    #[error("the materials are inconsistent: {reason}")]
    InconsistentMaterials {
        /// The rule that is broken.
        reason: &'static str,
    },
    /// A wrapping or data key has the wrong length.
    #[error("a key of {length} bytes does not fit; legal is {legal}")]
    KeyLength {
        /// The length found, in bytes.
        length: usize,
        /// The legal lengths in bytes.
        legal: &'static str,
    },
    /// A key cannot be read or used.
    #[error("the key cannot be used: it {reason}")]
    KeyNotValid {
        /// What is wrong with it, or with the text that holds it.
        reason: &'static str,
    },
    /// An RSA private key does not decrypt what it was given.
    #[error(
        "the RSA ciphertext does not decrypt: another private key, another padding, or tampered"
    )]
    NotDecrypted,
    /// The operating system's source of randomness failed.
    #[error("the operating system's source of randomness failed")]
    Randomness,
    /// The cryptography library refused to seal.
    #[error("the cryptography library failed to encrypt or sign")]
    SealFailed,

    // What must be authentic and is not
    /// The data key does not match the key commitment in the header.
    #[error(
        "the data key does not match the message's key commitment; the message or its encrypted data keys were tampered with"
    )]
    CommitmentMismatch,
    /// The public key of a signed message is missing, malformed, or stands in an unsigned message.
    #[error("the public key in the message's encryption context {reason}")]
    PublicKeyNotValid {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The header's tag does not verify.
    #[error(
        "the message header is not authentic; it was tampered with, or the encryption context given is not the one it was written with"
    )]
    HeaderNotAuthentic,
    /// A frame carries another number than its place.
    #[error("frame {expected} carries sequence number {found}; frames were reordered or dropped")]
    FrameOutOfOrder {
        /// The number that belongs here.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// The final frame claims more content than the frame length.
    #[error(
        "the final frame claims {length} bytes of content, above the frame length of {frame_length}"
    )]
    FinalFrameTooLong {
        /// The claimed content length in bytes.
        length: u32,
        /// The header's frame length in bytes.
        frame_length: u32,
    },
    /// A frame's tag or IV does not verify.
    #[error("frame {sequence} is not authentic; the message was tampered with")]
    FrameNotAuthentic {
        /// The frame's sequence number.
        sequence: u32,
    },
    /// The signature over the message does not verify.
    #[error("the signature of the message does not verify; discard everything read from it")]
    SignatureNotValid,
    /// Bytes follow the end of the message.
    #[error(
        "bytes follow the end of the message; a message must stand alone: discard everything read from it"
    )]
    TrailingBytes,
    /// An earlier error already ended this transformation.
    #[error("an earlier error ended this operation; start again with a new one")]
    AlreadyFailed,

    /// Another format than the message refused an object, in its own words.
    #[error("{source}")]
    Format {
        /// What to do about it.
        kind: ErrorKind,
        /// The format's own error.
        #[source]
        source: FormatError,
    },
}

/// What a caller would do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong, or may not use the key: fix the options, the context, the key or
    /// its permissions.
    InvalidRequest,
    /// No wrapping key at hand opens the message: find the right key.
    NoKey,
    /// The message is not what was written, or breaks the rules it is read under: do not use it.
    NotAuthentic,
    /// A key service, the randomness or the cryptography library failed: try again or repair it.
    Unavailable,
}

impl Error {
    /// Sorts the failure by what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ReservedContextKey { .. }
            | Self::RequiredContextKeyMissing { .. }
            | Self::ContextTooLong { .. }
            | Self::PolicyForbidsEncrypt { .. }
            | Self::HeaderDoesNotFit { .. }
            | Self::InvalidOption { .. }
            | Self::PlaintextTooLong { .. }
            | Self::TooManyFrames
            | Self::RangeOutOfBounds { .. }
            | Self::NotFramed
            | Self::KeyLength { .. }
            | Self::KeyNotValid { .. }
            | Self::AlreadyFailed => ErrorKind::InvalidRequest,
            Self::Keyring(error) if error.is_misconfigured() => ErrorKind::InvalidRequest,
            Self::NotUnwrapped(report) if report.is_unavailable() => ErrorKind::Unavailable,
            Self::NotUnwrapped(report) if report.is_misconfigured() => ErrorKind::InvalidRequest,
            Self::NotUnwrapped(report) if !report.context_in_doubt() => ErrorKind::NoKey,
            Self::NotDecrypted => ErrorKind::NoKey,
            Self::Keyring(_)
            | Self::InconsistentMaterials { .. }
            | Self::Randomness
            | Self::SealFailed => ErrorKind::Unavailable,
            Self::Format { kind, .. } => *kind,
            _ => ErrorKind::NotAuthentic,
        }
    }
}

#[cfg(test)]
mod tests;
