use std::io;
use std::path::{Path, PathBuf};

use envelope::io::CopyError;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file was not encrypted or decrypted. The target is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The content could not be encrypted or decrypted.
    #[error("{}", path.display())]
    Envelope {
        /// The source file.
        path: PathBuf,
        /// What is wrong with its content, the keys or the options.
        source: envelope::Error,
    },
    /// The operating system refused an operation.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or folder that it was to be done with.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The source is a folder, or the target a folder, a device or a pipe.
    #[error("{} is not a regular file; name one", path.display())]
    NotAFile {
        /// The path given.
        path: PathBuf,
    },
    /// Source and target are one file.
    #[error("{} is both source and target; name another target", path.display())]
    SameFile {
        /// The path given.
        path: PathBuf,
    },
    /// Another process is writing the same target now.
    #[error(
        "{} is being written by another process; wait for it, or remove {} if there is none",
        target.display(), temporary.display()
    )]
    InUse {
        /// The target given.
        target: PathBuf,
        /// The temporary file that the other process holds.
        temporary: PathBuf,
    },
    /// An object would have the name of a temporary file, and be seen by nobody.
    #[cfg(feature = "object_store")]
    #[error("{} is the name of a temporary file; choose another", path.display())]
    ReservedName {
        /// The file that it would be.
        path: PathBuf,
    },
    /// A multipart upload was completed or aborted before, or not all of it was written.
    #[cfg(feature = "object_store")]
    #[error("the upload to {} has ended or lacks a part; begin another", path.display())]
    BrokenUpload {
        /// The file that it was for.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Names the side of a copy that failed.
    pub(crate) fn copy(source: &Path, target: &Path) -> impl Fn(CopyError) -> Self {
        move |error| match error {
            CopyError::Read(error) => Self::io("read", source)(error),
            CopyError::Write(error) => Self::io("write", target)(error),
            CopyError::Envelope(error) => Self::envelope(source)(error),
            // Not known here; nothing else can fail but the content.
            other => Self::io("copy", source)(io::Error::other(other)),
        }
    }

    pub(crate) fn envelope(path: &Path) -> impl FnOnce(envelope::Error) -> Self {
        move |source| Self::Envelope {
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(feature = "object_store")]
impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        match &error {
            Error::ReservedName { .. } => Self::NotSupported {
                source: error.into(),
            },
            _ => Self::Generic {
                store: "LocalStore",
                source: error.into(),
            },
        }
    }
}
