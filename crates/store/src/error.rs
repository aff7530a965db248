use envelope::ErrorKind;
use object_store::Attribute;
use object_store::path::Path;

/// Name of this store in errors of `object_store`.
pub(crate) const STORE: &str = "EncryptedStore";

/// Why an encrypted object could not be written or read. It is the source of the
/// [`object_store::Error`] that an operation returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object is no message, or one that does not open.
    #[error("{location}: {source}")]
    Envelope {
        /// The object.
        location: Path,
        /// What is wrong with it, its keys or the options.
        source: envelope::Error,
    },
    /// The object is not encrypted in a format that the store reads.
    #[error(
        "{location} is not encrypted in a format that this store reads; move it elsewhere, or allow such objects with ForeignObjects"
    )]
    Foreign {
        /// The object.
        location: Path,
        /// What its beginning looks like.
        source: envelope::Error,
    },
    /// The object's user metadata is more than the store keeps.
    #[error(
        "{location}: its user metadata takes {size} bytes, names and values together, and the store keeps {limit}; shorten it, or put it into an object"
    )]
    MetadataTooLong {
        /// The object.
        location: Path,
        /// Bytes of all names and values.
        size: usize,
        /// Bytes that the store keeps.
        limit: usize,
    },
    /// An attribute could be written and the object not be read again.
    #[error(
        "{location}: {attribute:?} is not ASCII, and with it the object could not be read again; encode it"
    )]
    NotAscii {
        /// The object.
        location: Path,
        /// The attribute whose name or value it is.
        attribute: Attribute,
    },
    /// The path is one that instruction files have.
    #[error("{location} is the path of an instruction file; choose another name")]
    ReservedPath {
        /// The path.
        location: Path,
    },
    /// The file that holds an object's keys is not where it must be.
    #[error("{location}: its keys are in {instruction_file}, which is missing; restore that file")]
    InstructionFileMissing {
        /// The object.
        location: Path,
        /// The missing file.
        instruction_file: Path,
        /// The store's answer.
        source: Box<object_store::Error>,
    },
    /// An object has the name of an instruction file and is none.
    #[error("{location} has the name of an instruction file and is none; move it elsewhere")]
    NotAnInstructionFile {
        /// The object.
        location: Path,
    },
    /// The file that holds an object's keys is longer than any that was written.
    #[error("{location} has {length} bytes; an instruction file has at most {maximum}")]
    InstructionFileTooLong {
        /// The file.
        location: Path,
        /// Its length in bytes.
        length: u64,
        /// The longest that is read, in bytes.
        maximum: u64,
    },
    /// The object itself holds its keys, and is never rewritten.
    #[error(
        "{location}: its keys are in the object itself, which is never rewritten; use reencrypt instead"
    )]
    KeysInHeader {
        /// The object.
        location: Path,
    },
    /// An object's length does not tell its plaintext's.
    #[error(
        "{location}: the object's length does not tell its plaintext's; in listings look sizes up with ListedSizes::LookedUp, and read objects that do not tell it at all"
    )]
    SizeUnknown {
        /// The object.
        location: Path,
    },
    /// The object's metadata has a name that the format keeps for itself.
    #[error("{location}: metadata of the name {name:?} belongs to the format; choose another name")]
    ReservedMetadata {
        /// The object.
        location: Path,
        /// The name.
        name: String,
    },
    /// The object cannot wait in memory until it verified, and may not wait elsewhere.
    #[error(
        "{location}: {length} bytes must be seen before the first can be released, above the {maximum} that may wait in memory; raise that limit, let objects wait in temporary files, or allow delayed authentication by name"
    )]
    TooLongToWait {
        /// The object.
        location: Path,
        /// Its stored length in bytes.
        length: u64,
        /// Bytes that may wait.
        maximum: u64,
    },
    /// The store sent more or fewer bytes than it said.
    #[error(
        "{location}: the store did not send the {length} bytes that it announced; read it again"
    )]
    LengthNotAsTold {
        /// The object.
        location: Path,
        /// The announced length in bytes.
        length: u64,
    },
    /// The range is not one of the plaintext.
    #[error("{location}: {source}")]
    Range {
        /// The object.
        location: Path,
        /// What `object_store` says of the range.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An upload has parts that were not sent.
    #[error("{location}: a part of the upload failed or was not awaited; abort it and begin again")]
    PartsMissing {
        /// The object.
        location: Path,
    },
    /// The store changed the object between two requests of one read, more often than it was
    /// tried again.
    #[error("{location} is overwritten again and again while it is read; read it later")]
    ChangesWhileRead {
        /// The object.
        location: Path,
    },
    /// The store says nothing that tells two versions of an object apart.
    #[error(
        "{location}: the store gives neither an ETag nor a version, so a range cannot be read safely; read the whole object"
    )]
    NoVersion {
        /// The object.
        location: Path,
    },
    /// A request asks for another value of the encryption context than the store has.
    #[error(
        "{location}: the request's encryption context contradicts the store's at key {key:?}; use a store of its own"
    )]
    ContextConflict {
        /// The object.
        location: Path,
        /// The key whose values differ.
        key: String,
    },
    /// The store copies an object without its metadata where nothing may be overwritten.
    #[error(
        "{location}: the store copied it without its metadata, which holds keys, so the copy was deleted; copy it so that it may overwrite, or read it and write it anew"
    )]
    MetadataNotCopied {
        /// The object.
        location: Path,
    },
    /// The object's path is bound to its content.
    #[error(
        "{location}: paths are bound to content, so objects cannot be copied or renamed; read and write them anew"
    )]
    PathsAreBound {
        /// The object.
        location: Path,
    },
}

impl Error {
    /// The error of an encrypted store inside one of `object_store`'s; nothing when the inner store's
    /// own came through.
    #[must_use]
    pub fn of(error: &object_store::Error) -> Option<&Self> {
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            source = error.source();
        }
        None
    }

    pub(crate) fn foreign(location: &Path, source: envelope::Error) -> object_store::Error {
        let location = location.clone();
        Self::Foreign { location, source }.into()
    }

    pub(crate) fn range(
        location: &Path,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> object_store::Error {
        Self::Range {
            location: location.clone(),
            source: Box::new(source),
        }
        .into()
    }

    pub(crate) fn length_not_as_told(location: &Path, length: u64) -> object_store::Error {
        let location = location.clone();
        Self::LengthNotAsTold { location, length }.into()
    }

    pub(crate) fn not_an_instruction_file(location: &Path) -> object_store::Error {
        let location = location.clone();
        Self::NotAnInstructionFile { location }.into()
    }

    pub(crate) fn changes(location: &Path) -> object_store::Error {
        let location = location.clone();
        Self::ChangesWhileRead { location }.into()
    }

    pub(crate) fn envelope(
        location: &Path,
    ) -> impl Fn(envelope::Error) -> object_store::Error + Send + use<> {
        let location = location.clone();
        move |source| {
            Self::Envelope {
                location: location.clone(),
                source,
            }
            .into()
        }
    }
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        match &error {
            Error::Envelope { location, source } if source.kind() == ErrorKind::NoKey => {
                Self::PermissionDenied {
                    path: location.to_string(),
                    source: error.into(),
                }
            }
            Error::PathsAreBound { .. }
            | Error::KeysInHeader { .. }
            | Error::MetadataNotCopied { .. } => Self::NotSupported {
                source: error.into(),
            },
            _ => Self::Generic {
                store: STORE,
                source: error.into(),
            },
        }
    }
}
