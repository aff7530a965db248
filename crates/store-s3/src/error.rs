/// Name of this store in errors of `object_store`.
const STORE: &str = "S3";

/// Characters of a stored value that an error shows.
const SHOWN: usize = 64;

/// Why a bucket was not opened, or an object of the Amazon S3 Encryption Client not written or read.
/// It is the source of the [`object_store::Error`] that an operation returns.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Configuration
    /// The endpoint is not encrypted, and nobody asked for that.
    #[error(
        "{endpoint} is plain HTTP; use https, or allow it by `with_allow_http(true)` or AWS_ALLOW_HTTP=true"
    )]
    PlainHttp {
        /// The endpoint that was configured.
        endpoint: String,
    },
    /// The format has no name for this way to wrap a data key.
    #[error(
        "format V{version} cannot say that a data key is wrapped by {wrap}; use a keyring that wraps by kms+context, AES/GCM or RSA-OAEP-SHA1"
    )]
    WrapNotInFormat {
        /// The wrap algorithm, by its name in format V2.
        wrap: &'static str,
        /// The format's version, 1 to 3.
        version: u8,
    },
    /// The data key was wrapped by no keyring of this crate.
    #[error(
        "the keyring wraps data keys as {provider_id:?}, which this format cannot store; use one of envelope_s3::keyring"
    )]
    ForeignKeyring {
        /// The beginning of the keyring's provider id.
        provider_id: String,
    },
    /// The format stores one encrypted data key.
    #[error(
        "an object holds exactly one encrypted data key; use envelope_s3::keyring::Keys instead of a keyring that wraps several times"
    )]
    NotOneKey,
    /// A pair of the encryption context belongs to the client.
    #[error(
        "the encryption-context key {key:?} belongs to the S3 Encryption Client; choose another"
    )]
    ReservedContextKey {
        /// The key at fault.
        key: &'static str,
    },
    /// Only KMS binds an encryption context.
    #[error(
        "the object's data key is wrapped by a raw key, which is bound to no encryption context; give none, or use KMS"
    )]
    ContextWithRawKey,
    /// The object's metadata is more than the store keeps.
    #[error(
        "the object's user metadata takes {length} bytes with its keys, and the store keeps {limit}; put the keys into instruction files, or shorten the metadata"
    )]
    MetadataTooLong {
        /// Bytes of all names and values.
        length: usize,
        /// Bytes that the store keeps.
        limit: usize,
    },
    /// The plaintext is longer than AES-GCM allows under one key and initialisation vector.
    #[error(
        "the plaintext is longer than {bound} bytes, the most that one object of this format holds; write several, or framed ones"
    )]
    PlaintextTooLong {
        /// The bound in bytes.
        bound: u64,
    },
    /// Parts of an object are not authenticated.
    #[error(
        "a part of such an object cannot be authenticated; read the whole object, or allow it by read_legacy_unauthenticated"
    )]
    RangeNotAuthenticated,
    /// Keys of CBC content cannot be bound to it.
    #[error(
        "the keys of an AES-CBC object are not wrapped anew; use reencrypt, which makes it a new one"
    )]
    ContentCannotBeRewrapped,
    /// A new wrapping key must be told from the old one.
    #[error(
        "the new keyring has the material description of the old one, so nobody could tell which of them opens the object; give it another"
    )]
    SameDescription,
    /// The old keys open what was wrapped anew.
    #[error("the old keys open the new instruction file too; use another wrapping key")]
    NotRotated,

    // Format
    /// Neither the object's metadata nor an instruction file says how it is encrypted.
    #[error(
        "neither metadata nor an instruction file says how the object is encrypted; it may not be one of the S3 Encryption Client, its instruction file may be missing or have another suffix, or instruction files are off"
    )]
    NoEnvelope,
    /// The instruction file is not a JSON object of strings.
    #[error(
        "the instruction file is not one of the S3 Encryption Client: {reason}; restore it, or look for one with another suffix"
    )]
    InstructionFileNotValid {
        /// What is wrong with it.
        reason: String,
    },
    /// A part of what the format needs is not there.
    #[error(
        "the metadata has no {missing}, without which the object cannot be read; restore its metadata and its instruction file"
    )]
    IncompleteEnvelope {
        /// The metadata key that is missing.
        missing: &'static str,
    },
    /// The metadata names an algorithm that the format does not have.
    #[error(
        "{key} names {value:?}, which is no algorithm of this format; read the object with the client that wrote it"
    )]
    UnknownAlgorithm {
        /// The metadata key.
        key: &'static str,
        /// The beginning of its value.
        value: String,
    },
    /// The metadata has a value that the format forbids.
    #[error("{key} is not valid: {reason}; restore the object's metadata and its instruction file")]
    InvalidValue {
        /// The metadata key.
        key: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A field of the object's metadata, decoded, has a length that the format does not allow.
    #[error("{field} has {length} bytes and must have {needed}; the object's metadata is damaged")]
    FieldLength {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The length that the format demands, in bytes.
        needed: usize,
    },
    /// Nothing authenticates the object's content, and nobody asked for that.
    #[error(
        "the object is encrypted with AES-CBC, which authenticates nothing; allow it by read_legacy_unauthenticated, and write it anew"
    )]
    LegacyContent,
    /// The object's data key is wrapped in a way that binds it to nothing, and nobody asked for that.
    #[error(
        "the object's data key is wrapped by {wrap}, which binds it to nothing; allow it by read_legacy_wraps, and write it anew"
    )]
    LegacyWrap {
        /// The wrap algorithm.
        wrap: &'static str,
    },
    /// The object's body ends too early.
    #[error("the object's body is truncated: it ends after {length} bytes; fetch the whole object")]
    BodyTruncated {
        /// Length of what there is, in bytes.
        length: u64,
    },
    /// The body of an object without authentication does not decrypt. There is one error for
    /// every reason, so that it helps no attacker.
    #[error("the object's AES-CBC body does not decrypt; it was damaged, or another key wrote it")]
    CbcNotValid,

    // Security
    /// The metadata has keys of more than one format, so that the one could pass for the other.
    #[error(
        "{one} and {other} belong to different formats, so somebody changed the metadata; restore it from a copy that you trust"
    )]
    MixedEnvelope {
        /// A metadata key of the one format.
        one: &'static str,
        /// A metadata key of the other.
        other: &'static str,
    },
    /// What the object must say itself is in the instruction file, whose writer could choose it to
    /// fit other keys.
    #[error(
        "{key} is in the instruction file and counts only on the object itself, so somebody changed the file; restore it from a copy that you trust"
    )]
    CommitmentInInstructionFile {
        /// The metadata key.
        key: &'static str,
    },
    /// The object was written under another encryption context than the reader expects.
    #[error(
        "the object's encryption context is not the one given; give exactly the pairs that it was written with, or find out who changed it"
    )]
    ContextMismatch,
    /// The data key is bound to another cipher than the one that the metadata names.
    #[error(
        "the object's data key is bound to another cipher than its metadata names, so somebody changed the metadata; restore it from a copy that you trust"
    )]
    BoundToAnotherCipher,
    /// The data key is not the one that the object was written with.
    #[error(
        "the data key does not match the object's key commitment; the object or its instruction file was tampered with"
    )]
    CommitmentMismatch,
    /// The tag of the object's body does not verify.
    #[error(
        "the object's body is not authentic; it was tampered with: discard everything read from it"
    )]
    BodyNotAuthentic,
}

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The client is configured, or was called, wrongly: change that.
    Configuration,
    /// The object is not readable as it is: it is no object of the client, or is damaged.
    Format,
    /// The object or its instruction file breaks a rule that guards against tampering: do not use it.
    Security,
}

impl Error {
    /// The error of this crate inside one of `object_store`'s.
    #[must_use]
    pub fn of(error: &object_store::Error) -> Option<&Self> {
        let first: &(dyn std::error::Error + 'static) = error;
        std::iter::successors(Some(first), |error| error.source())
            .find_map(|error| error.downcast_ref())
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::PlainHttp { .. }
            | Self::WrapNotInFormat { .. }
            | Self::ForeignKeyring { .. }
            | Self::NotOneKey
            | Self::ReservedContextKey { .. }
            | Self::ContextWithRawKey
            | Self::MetadataTooLong { .. }
            | Self::PlaintextTooLong { .. }
            | Self::RangeNotAuthenticated
            | Self::ContentCannotBeRewrapped
            | Self::SameDescription
            | Self::NotRotated => ErrorClass::Configuration,
            Self::NoEnvelope
            | Self::InstructionFileNotValid { .. }
            | Self::IncompleteEnvelope { .. }
            | Self::UnknownAlgorithm { .. }
            | Self::InvalidValue { .. }
            | Self::FieldLength { .. }
            | Self::LegacyContent
            | Self::LegacyWrap { .. }
            | Self::BodyTruncated { .. }
            | Self::CbcNotValid => ErrorClass::Format,
            Self::MixedEnvelope { .. }
            | Self::CommitmentInInstructionFile { .. }
            | Self::ContextMismatch
            | Self::BoundToAnotherCipher
            | Self::CommitmentMismatch
            | Self::BodyNotAuthentic => ErrorClass::Security,
        }
    }

    pub(crate) fn unknown_algorithm(key: &'static str, value: &str) -> Self {
        let value = shown(value);
        Self::UnknownAlgorithm { key, value }
    }

    pub(crate) fn invalid_value(key: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::InvalidValue { key, reason }
    }

    pub(crate) fn invalid_file(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::InstructionFileNotValid { reason }
    }

    pub(crate) fn unknown_key(name: &str) -> Self {
        let name = shown(name);
        Self::invalid_file(format!("it has the unknown key {name:?}"))
    }

    pub(crate) fn foreign_keyring(provider_id: &str) -> Self {
        let provider_id = shown(provider_id);
        Self::ForeignKeyring { provider_id }
    }
}

/// The beginning of a text that anyone could have written, at any length.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl From<Error> for envelope::Error {
    fn from(error: Error) -> Self {
        Self::Format {
            kind: match error.class() {
                ErrorClass::Configuration => envelope::ErrorKind::InvalidRequest,
                ErrorClass::Format | ErrorClass::Security => envelope::ErrorKind::NotAuthentic,
            },
            source: envelope::FormatError::new(error),
        }
    }
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        Self::Generic {
            store: STORE,
            source: error.into(),
        }
    }
}
