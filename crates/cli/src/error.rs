use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use envelope::io::CopyError;
use envelope::{ErrorKind, NotUnwrapped};

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line, the keyring file or another file of settings is wrong.
    #[error("{0}")]
    Usage(String),
    /// The message, its keys or the options.
    #[error("{name}")]
    Envelope {
        name: String,
        source: envelope::Error,
    },
    #[error("cannot read {name}")]
    Read { name: String, source: io::Error },
    #[error("cannot write {name}")]
    Write { name: String, source: io::Error },
    #[error(transparent)]
    File(#[from] envelope_fs::Error),
    #[error("interrupted; nothing was left half-written")]
    Interrupted,
}

/// What the exit code says: the contract of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Usage,
    NoKey,
    NotAuthentic,
    Store,
    Interrupted,
}

impl Failure {
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage => 2,
            Self::NoKey => 3,
            Self::NotAuthentic => 4,
            Self::Store => 5,
            Self::Interrupted => 130,
        })
    }

    /// As programs read it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NoKey => "no-key",
            Self::NotAuthentic => "not-authentic",
            Self::Store => "store",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Error {
    pub(crate) fn envelope(name: impl Into<String>, source: envelope::Error) -> Self {
        Self::Envelope {
            name: name.into(),
            source,
        }
    }

    /// Names the side of a copy that failed.
    pub(crate) fn copy(source: &str, target: &str) -> impl Fn(CopyError) -> Self {
        let (source, target) = (source.to_owned(), target.to_owned());
        move |error| match error {
            CopyError::Read(error) => Self::Read {
                name: source.clone(),
                source: error,
            },
            CopyError::Write(error) => Self::Write {
                name: target.clone(),
                source: error,
            },
            CopyError::Envelope(error) => Self::envelope(&source, error),
            other => Self::Read {
                name: source.clone(),
                source: io::Error::other(other),
            },
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Usage(_) => Failure::Usage,
            Self::Interrupted => Failure::Interrupted,
            Self::Envelope { source, .. }
            | Self::File(envelope_fs::Error::Envelope { source, .. }) => of_envelope(source),
            Self::File(
                envelope_fs::Error::NotAFile { .. } | envelope_fs::Error::SameFile { .. },
            ) => Failure::Usage,
            Self::File(_) | Self::Read { .. } | Self::Write { .. } => Failure::Store,
        }
    }

    /// The report on each encrypted data key, when that is what went wrong.
    pub(crate) fn not_unwrapped(&self) -> Option<&NotUnwrapped> {
        match self {
            Self::Envelope {
                source: envelope::Error::NotUnwrapped(report),
                ..
            } => Some(report),
            _ => None,
        }
    }

    /// What, which object, and why, from the outermost to the innermost.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            message.push_str(": ");
            message.push_str(&error.to_string());
            source = error.source();
        }
        message
    }
}

fn of_envelope(error: &envelope::Error) -> Failure {
    match (error, error.kind()) {
        (envelope::Error::PolicyForbidsEncrypt { .. }, _) => Failure::NotAuthentic,
        (_, ErrorKind::InvalidRequest) => Failure::Usage,
        (_, ErrorKind::NoKey) => Failure::NoKey,
        (_, ErrorKind::Unavailable) => Failure::Store,
        _ => Failure::NotAuthentic,
    }
}
