//! How an object is laid out: where its keys are, and what turns its bytes into plaintext.
//!
//! A format knows keys and bytes and never a store: [`EncryptedStore`](crate::EncryptedStore) does
//! the fetching and writing for all of them.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{EncryptionContext, Error, MaterialsManager, Result, Transform};
use object_store::path::Path;
use object_store::{Attributes, Extensions, ObjectMeta};

use crate::inspection::Inspection;
use crate::opened::Opened;
use crate::rotation::Rotation;

/// A layout of encrypted objects.
#[async_trait]
pub trait Format: Debug + Send + Sync + 'static {
    /// Whether the keys of new objects lie in instruction files.
    fn writes_instruction_files(&self) -> bool;

    /// The object that this is the instruction file of, by its path. Such paths are hidden from
    /// callers; nothing for any other.
    fn object_of_instruction_file(&self, location: &Path) -> Option<Path>;

    /// The instruction files that an object at this place may have, whatever the object says. None
    /// when only the object tells, which is then asked.
    fn instruction_files_of(&self, location: &Path) -> Vec<Path> {
        let _ = location;
        Vec::new()
    }

    /// Whether this is the content of an instruction file of this format, as far as can be told
    /// without its object. An object that only has the name of one is left alone.
    fn is_instruction_file(&self, content: &[u8]) -> bool {
        let _ = content;
        false
    }

    /// Whether what is known of an object by its place alone serves a reader with these wishes.
    fn is_ordinary(&self, wishes: &Extensions) -> bool {
        let _ = wishes;
        true
    }

    /// Whether an object's metadata of this name is the format's own. It is hidden from readers, and
    /// whoever writes must not use it.
    fn owns_metadata(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Bytes of an object's beginning that [`parse`](Self::parse) usually needs. None when
    /// attributes tell.
    fn beginning_length(&self) -> u64;

    /// Length of the plaintext of an object of this store that is `object_length` bytes long.
    /// Nothing when the length alone does not tell.
    ///
    /// # Errors
    /// When no object of this store has that length.
    fn listed_length(&self, object_length: u64) -> Result<Option<u64>>;

    /// Asks for keys and prepares a new object.
    ///
    /// # Errors
    /// The materials manager's own, and when the format cannot hold what is asked for.
    async fn seal(&self, manager: &dyn MaterialsManager, object: NewObject<'_>) -> Result<Sealed>;

    /// Reads the beginning of an object, without a key.
    ///
    /// # Errors
    /// When it is one of this format and malformed, or the format's rules forbid to read it.
    fn parse(&self, stored: Stored<'_>) -> Result<Parsed>;
}

/// An object to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewObject<'a> {
    /// Where it will be.
    pub location: &'a Path,
    /// The encryption context.
    pub context: &'a EncryptionContext,
    /// Length of the plaintext in bytes, where it is known beforehand.
    pub plaintext_length: Option<u64>,
    /// The caller's own attributes.
    pub attributes: &'a Attributes,
}

/// How a new object is to be written.
pub struct Sealed {
    /// Turns the plaintext into the object.
    pub body: Box<dyn Transform + Send>,
    /// Length of the object in bytes, where the plaintext's was told.
    pub capacity: Option<usize>,
    /// Names and values of the object's metadata that the format adds.
    pub metadata: Vec<(String, String)>,
    /// What must be written before the object.
    pub instruction_file: Option<InstructionFile>,
}

/// The keys of an object, beside it.
#[derive(Debug, Clone)]
pub struct InstructionFile {
    /// Where it is.
    pub location: Path,
    /// Its bytes.
    pub content: Bytes,
    /// Names and values of its metadata.
    pub metadata: Vec<(String, String)>,
}

impl Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed")
            .field("capacity", &self.capacity)
            .field("metadata", &self.metadata)
            .field("instruction_file", &self.instruction_file)
            .finish_non_exhaustive()
    }
}

/// The beginning of a stored object.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Where it is.
    pub location: &'a Path,
    /// Its first bytes.
    pub beginning: &'a [u8],
    /// Whether these are all of its bytes.
    pub complete: bool,
    /// Its attributes.
    pub attributes: &'a Attributes,
    /// What the reader wishes beside, for formats that know such wishes.
    pub extensions: &'a Extensions,
    /// The context that the reader expects.
    pub expected_context: &'a EncryptionContext,
}

/// What the beginning of an object turned out to be.
#[derive(Debug)]
pub enum Parsed {
    /// More bytes are needed to tell.
    Incomplete,
    /// Not an object of this format, for this reason.
    Foreign(Error),
    /// An object of this format.
    Opening(Box<dyn Opening>),
}

/// An object whose keys are still to be asked for. Nothing of it is verified.
#[async_trait]
pub trait Opening: Debug + Send + Sync {
    /// The file that holds the object's keys, when the object does not. Whoever opens the object
    /// must fetch it.
    fn instruction_file(&self) -> Option<&Path>;

    /// Why the object is none of the format's when that file is missing. Nothing when it is one for
    /// certain.
    fn foreign_without_file(&self) -> Option<Error> {
        None
    }

    /// Where that file must be when the object is copied to `location`.
    fn instruction_file_at(&self, location: &Path) -> Option<Path>;

    /// Length of the plaintext in bytes, as claimed by an object of `object_length` bytes. Nothing
    /// when only a key tells. `instruction_file` is the content of that file.
    ///
    /// # Errors
    /// When no such object has this length.
    fn plaintext_length(
        &self,
        object_length: u64,
        instruction_file: Option<&Bytes>,
    ) -> Result<Option<u64>>;

    /// What the object claims about itself. `instruction_file` is the content of that file.
    ///
    /// # Errors
    /// When the instruction file is malformed.
    fn inspect(&self, meta: ObjectMeta, instruction_file: Option<Bytes>) -> Result<Inspection>;

    /// Asks for keys, and opens the object for reading from its beginning to its end.
    ///
    /// # Errors
    /// The materials manager's own, and when what is opened is not authentic.
    async fn open(
        self: Box<Self>,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<OpenedBody>;

    /// Asks for keys, and opens the object for reading any parts of it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    async fn open_for_ranges(
        self: Box<Self>,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<OpenedRanges>;

    /// An instruction file that opens the same object with keys of `to`, written as the rotation
    /// says.
    ///
    /// # Errors
    /// As [`open`](Self::open), and those of `to`.
    async fn rewrap(
        &self,
        manager: &dyn MaterialsManager,
        to: &dyn MaterialsManager,
        instruction_file: Bytes,
        rotation: &Rotation,
    ) -> Result<InstructionFile>;
}

/// An object that is read from its beginning to its end.
#[derive(Debug)]
pub struct OpenedBody {
    /// What opened it.
    pub opened: Opened,
    /// Bytes of the object before the transform's first.
    pub skipped: usize,
    /// Turns the object's bytes into plaintext.
    pub body: Body,
}

/// Turns an object's bytes into plaintext.
pub enum Body {
    /// Piece by piece: each is released when it verified, or at once where the format was told to
    /// do so by name.
    Pieces(Box<dyn Transform + Send>),
    /// Not before the end was seen. Until then the object waits as it is.
    Whole(Box<dyn WholeBody>, Waiting),
}

impl Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pieces(_) => "Pieces",
            Self::Whole(..) => "Whole",
        })
    }
}

/// Opens an object that can be trusted only when all of it was seen.
pub trait WholeBody: Send {
    /// Opens all of the object at once: the fast way.
    ///
    /// # Errors
    /// When it is not authentic.
    fn open_at_once(self: Box<Self>, object: Vec<u8>) -> Result<Vec<u8>>;

    /// Takes the object's next bytes, to be verified.
    ///
    /// # Errors
    /// When the object cannot be authentic any more.
    fn verify(&mut self, object: &[u8]) -> Result<()>;

    /// Ends the object. What comes out opens the same bytes, once more from the first on.
    ///
    /// # Errors
    /// When it is not authentic.
    fn verified(self: Box<Self>) -> Result<VerifiedBody>;
}

/// Opens an object that verified.
pub struct VerifiedBody {
    /// Length of the plaintext in bytes.
    pub plaintext_length: u64,
    /// Turns the object's bytes into plaintext, without looking whether they are authentic.
    pub transform: Box<dyn Transform + Send>,
}

impl Debug for VerifiedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedBody")
            .field("plaintext_length", &self.plaintext_length)
            .finish_non_exhaustive()
    }
}

/// Where an object waits until it verified, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The longest object that waits in memory, in bytes.
    pub in_memory: u64,
    /// What happens to longer ones.
    pub longer: Longer,
}

/// 64 MiB, and temporary files for longer objects.
impl Default for Waiting {
    fn default() -> Self {
        Self {
            in_memory: 64 << 20,
            longer: Longer::TemporaryFile,
        }
    }
}

/// What happens to an object that is too long to wait in memory until it verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Longer {
    /// It waits, encrypted as it is, in a file without a name in the system's temporary folder.
    TemporaryFile,
    /// Reading it is an error.
    Refused,
}

/// An object of which any parts are read.
#[derive(Debug)]
pub struct OpenedRanges {
    /// What opened it.
    pub opened: Opened,
    /// Reads the parts.
    pub ranges: Box<dyn Ranges>,
}

/// Reads parts of one object. It serves any number of them.
pub trait Ranges: Debug + Send + Sync {
    /// The bytes of an object of `object_length` bytes that tell the length of its plaintext. None
    /// when the object's length tells.
    fn length_bytes(&self, object_length: u64) -> Range<u64> {
        let _ = object_length;
        0..0
    }

    /// Length of the plaintext in bytes, of an object of `object_length` bytes that has `bytes`
    /// where [`length_bytes`](Self::length_bytes) says.
    ///
    /// # Errors
    /// When no such object has this length.
    fn plaintext_length(&self, object_length: u64, bytes: &[u8]) -> Result<u64>;

    /// How a range of the plaintext is read. Pure arithmetic.
    ///
    /// # Errors
    /// When the range lies outside the plaintext.
    fn open(&self, range: Range<u64>, object_length: u64) -> Result<OpenedRange>;
}

/// One part of an object.
pub struct OpenedRange {
    /// The bytes of the object that are needed.
    pub stored: Range<u64>,
    /// Turns them into the plaintext of the range, and releases none before it verified, unless the
    /// format was told to do so by name.
    pub transform: Box<dyn Transform + Send>,
}

impl Debug for OpenedRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedRange")
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}
