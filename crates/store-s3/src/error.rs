/// Name of this store in errors of `object_store`.
const STORE: &str = "S3";

/// Characters of a stored value that an error shows.
const SHOWN: usize = 64;

/// Why a bucket was not opened, or an object of the Amazon S3 Encryption Client not written or read.
/// It is the source of the [`object_store::Error`] that an operation returns.
#[derive(Debug, thiserror::Error)]
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
    /// What kind of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::PlainHttp { .. } | Self::WrapNotInFormat { .. } => ErrorClass::Configuration,
            Self::NoEnvelope
            | Self::InstructionFileNotValid { .. }
            | Self::IncompleteEnvelope { .. }
            | Self::UnknownAlgorithm { .. }
            | Self::InvalidValue { .. } => ErrorClass::Format,
            Self::MixedEnvelope { .. } | Self::CommitmentInInstructionFile { .. } => {
                ErrorClass::Security
            }
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
}

/// The beginning of a text that anyone could have written, at any length.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        Self::Generic {
            store: STORE,
            source: error.into(),
        }
    }
}
