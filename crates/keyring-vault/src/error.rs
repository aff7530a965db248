use std::path::PathBuf;

use envelope::ErrorKind;

use crate::answer::Answer;

/// The status of a refusal whose cause is not the request.
const FORBIDDEN: u16 = 403;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a connection could not be set up, or the server did not do what was asked.
///
/// `path` is the path of the server's interface behind `/v1/`: it names the operation, the mount and
/// the key, and is what policies are written for. No variant, and no text made from one, holds a
/// token, a data key or a wrapped one. What a caller would *do* about it is its
/// [`kind`](Error::kind).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Configuration
    /// The address is not one of a server.
    #[error("the address {reason}; give one such as https://vault.example.com:8200")]
    NotAnAddress {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The address is not encrypted, and nobody asked for that.
    #[error(
        "{address} is plain HTTP, which shows the token and the data keys to the network; use https, or allow it by `allow_http`"
    )]
    PlainHttp {
        /// The address that was configured.
        address: String,
    },
    /// A name cannot stand in a path of the server's interface.
    #[error("{what} is {name:?}, which is no name that the server could have; correct it")]
    NotAName {
        /// Which name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// No token was given.
    #[error("no token is configured; give one, or the file that holds it")]
    NoToken,
    /// The token cannot be sent.
    #[error(
        "the token is empty or holds something else than printable ASCII; give the token alone, as the server printed it"
    )]
    TokenNotValid,
    /// The token's file cannot be read.
    #[error("the token file {path} cannot be read: {source}; check the path and who may read it", path = path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The token's environment variable is not set.
    #[error("the environment variable {variable} holds no token; set it")]
    TokenVariable {
        /// The variable.
        variable: String,
    },
    /// The certificates of an authority cannot be used.
    #[error(
        "the certificates of {path} cannot be used: {reason}; give a file of certificates in PEM",
        path = path.display()
    )]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {reason}")]
    HttpClient {
        /// What is wrong with its settings or the system.
        reason: String,
    },

    // The server
    /// The server did not answer, or only that it cannot serve this now.
    #[error(
        "{path}: no success (attempts: {attempts}): {reason}; check the address, the network and the server's health"
    )]
    Unreachable {
        /// Where.
        path: String,
        /// How many times it was tried.
        attempts: usize,
        /// How the last time ended.
        reason: String,
    },
    /// The server is sealed.
    #[error("{path}: the server is sealed ({answer}); an operator must unseal it")]
    Sealed {
        /// Where.
        path: String,
        /// What the server said.
        answer: Answer,
    },
    /// The server knows the token and its policies do not permit this.
    #[error(
        "{path}: permission denied ({answer}); the token needs a policy with capability {capability:?} on this path"
    )]
    PermissionDenied {
        /// Where.
        path: String,
        /// The capability that is missing.
        capability: &'static str,
        /// What the server said.
        answer: Answer,
    },
    /// The server does not take the token.
    #[error(
        "{path}: the server does not accept the token ({answer}); it expired, was revoked or is another server's or namespace's: get a new one"
    )]
    TokenRefused {
        /// Where.
        path: String,
        /// What the server said.
        answer: Answer,
    },
    /// No secrets engine is mounted there.
    #[error(
        "{path}: no secrets engine is mounted here ({answer}); correct the mount or the namespace, or enable the transit engine"
    )]
    NoMount {
        /// Where.
        path: String,
        /// What the server said.
        answer: Answer,
    },
    /// There is no such key.
    #[error("{path}: there is no such key ({answer}); correct its name, or create it")]
    NoKey {
        /// Where.
        path: String,
        /// What the server said.
        answer: Answer,
    },
    /// The key is no use for the binding that is configured.
    #[error("{path}: {reason}")]
    KeyUnfit {
        /// Where.
        path: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A version of the key that the server no longer decrypts with.
    #[error(
        "{path}: the data key is wrapped by version {version} of the key, which is below its min_decryption_version ({answer}); lower that to read what is left, and encrypt it anew"
    )]
    VersionRetired {
        /// Where.
        path: String,
        /// The version that wrapped the data key.
        version: u32,
        /// What the server said.
        answer: Answer,
    },
    /// The wrapped data key is not what was wrapped, or not under this context.
    #[error(
        "{path}: not authentic ({answer}): another key, another encryption context, or tampered"
    )]
    NotAuthentic {
        /// Where.
        path: String,
        /// What the server said.
        answer: Answer,
    },
    /// What was unwrapped is no data key for the algorithm suite.
    #[error("{path}: the unwrapped key has the wrong length for the algorithm suite")]
    KeyLength {
        /// Where.
        path: String,
    },
    /// The server refused for another reason, or with status 403 and the look-up of the token, which
    /// tells why, was not answered.
    #[error("{path}: refused ({answer})")]
    Refused {
        /// Where.
        path: String,
        /// What the server said.
        answer: Answer,
    },
    /// The server's answer is not what its interface promises.
    #[error("{path}: the answer {reason}; check that the address is that of OpenBao or Vault")]
    AnswerNotValid {
        /// Where.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    // Rewrapping
    /// The server cannot rewrap a data key that is bound by associated data.
    #[error(
        "the server cannot rewrap data keys of {key}, as they are bound to their context by associated data, which its `rewrap` does not take; unwrap and wrap them anew, or use a derived key for new ones"
    )]
    CannotRewrap {
        /// Mount and name of the key.
        key: String,
    },
    /// The data key was wrapped by another key.
    #[error("the data key is not wrapped by {key}: {reason}")]
    AnotherKey {
        /// Mount and name of the key.
        key: String,
        /// What differs.
        reason: &'static str,
    },
}

impl Error {
    /// Sorts the failure by what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Sealed { .. } => ErrorKind::Unavailable,
            Self::AnotherKey { .. } | Self::KeyLength { .. } => ErrorKind::NoKey,
            Self::NotAuthentic { .. } => ErrorKind::NotAuthentic,
            _ => ErrorKind::InvalidRequest,
        }
    }

    /// Whether it is about the one wrapped data key, so that another may well be unwrapped.
    pub(crate) fn is_about_one_key(&self) -> bool {
        match self {
            Self::NotAuthentic { .. } | Self::VersionRetired { .. } | Self::KeyLength { .. } => {
                true
            }
            // About the token or its policies, even where nobody knows which of the two.
            Self::Refused { answer, .. } => answer.status() != FORBIDDEN,
            _ => false,
        }
    }
}
