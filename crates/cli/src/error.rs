use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use envelope::io::CopyError;
use envelope::{ErrorKind, NotUnwrapped};
use envelope_aws_kms::BranchKeyError;
use envelope_store as store;

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
    #[error("{name}")]
    Store {
        name: String,
        source: object_store::Error,
    },
    /// Some of many objects, each of which was named when it failed.
    #[error("{failed} objects failed")]
    Some { failed: usize },
    /// Branch keys, in their table or under their key of KMS.
    #[error(transparent)]
    BranchKeys(#[from] BranchKeyError),
    /// Some keys of a keyring file, each of which was told about.
    #[error("{failed} of {total} keys failed")]
    Keys { failed: usize, total: usize },
    #[error("interrupted; nothing was left half-written")]
    Interrupted,
}

/// What the exit code says: the contract of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Some,
    Usage,
    NoKey,
    NotAuthentic,
    Store,
    Interrupted,
}

impl Failure {
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Some => 1,
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
            Self::Some => "some",
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

    pub(crate) fn store(name: impl Into<String>, source: object_store::Error) -> Self {
        Self::Store {
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
            Self::Some { .. } | Self::Keys { .. } => Failure::Some,
            Self::BranchKeys(error) => of_kind(error.kind()),
            Self::Store { source, .. } => match store::Error::of(source) {
                Some(store::Error::Envelope { source, .. }) => of_envelope(source),
                Some(
                    store::Error::Foreign { .. } | store::Error::InstructionFileTooLong { .. },
                ) => Failure::NotAuthentic,
                Some(store::Error::InstructionFileMissing { .. }) => Failure::NoKey,
                Some(
                    store::Error::ReservedPath { .. }
                    | store::Error::ContextConflict { .. }
                    | store::Error::Range { .. }
                    | store::Error::MetadataTooLong { .. }
                    | store::Error::NotAscii { .. }
                    | store::Error::ReservedMetadata { .. }
                    | store::Error::NotAnInstructionFile { .. }
                    | store::Error::TooLongToWait { .. }
                    | store::Error::KeysInHeader { .. }
                    | store::Error::PathsAreBound { .. },
                ) => Failure::Usage,
                _ => Failure::Store,
            },
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
            Self::Store { source, .. } => match store::Error::of(source) {
                Some(store::Error::Envelope {
                    source: envelope::Error::NotUnwrapped(report),
                    ..
                }) => Some(report),
                _ => None,
            },
            _ => None,
        }
    }

    /// What, which object, and why, from the outermost to the innermost.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut source = self.source();
        if let Self::Store { source: store, .. } = self
            && let Some(cause) = store::Error::of(store)
        {
            if let store::Error::Foreign { .. } = cause {
                return format!(
                    "{message}: it is not encrypted in a format that this program knows, or its \
                    instruction file is missing; read it with cp --plain-source, or restore that \
                    file or name its suffix with --instruction-suffix"
                );
            }
            // What wraps it has nothing to add.
            source = Some(cause);
        }
        while let Some(error) = source {
            let text = error.to_string();
            // Some texts hold that of their source.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = error.source();
        }
        if let Some(option) = self.option() {
            message.push_str(" (the option is ");
            message.push_str(option);
            message.push(')');
        }
        message
    }

    /// What a library calls by its own names.
    fn option(&self) -> Option<&'static str> {
        let Self::Store { source, .. } = self else {
            return None;
        };
        if let Some(store::Error::TooLongToWait { .. }) = store::Error::of(source) {
            return Some("--wait-in-memory");
        }
        match envelope_s3::Error::of(source)? {
            envelope_s3::Error::RangeNotAuthenticated | envelope_s3::Error::LegacyContent => {
                Some("--allow-legacy-unauthenticated")
            }
            envelope_s3::Error::LegacyWrap { .. } => Some("--allow-legacy-wrapping"),
            envelope_s3::Error::MetadataTooLong { .. } => Some("--instruction-file"),
            _ => None,
        }
    }
}

fn of_envelope(error: &envelope::Error) -> Failure {
    match error {
        envelope::Error::PolicyForbidsEncrypt { .. } => Failure::NotAuthentic,
        // A key that may not be used opens nothing either.
        envelope::Error::NotUnwrapped(_) if error.kind() == ErrorKind::InvalidRequest => {
            Failure::NoKey
        }
        other => of_kind(other.kind()),
    }
}

fn of_kind(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::InvalidRequest => Failure::Usage,
        ErrorKind::NoKey => Failure::NoKey,
        ErrorKind::Unavailable => Failure::Store,
        _ => Failure::NotAuthentic,
    }
}
