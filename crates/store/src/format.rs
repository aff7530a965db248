//! How an object is laid out: where its keys are, and what turns its bytes into plaintext.
//!
//! A format knows keys and bytes and never a store: [`EncryptedStore`](crate::EncryptedStore) does
//! the fetching and writing for all of them.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{EncryptionContext, Error, MaterialsManager, Result, Transform};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::inspection::Inspection;
use crate::opened::Opened;

/// A layout of encrypted objects.
#[async_trait]
pub trait Format: Debug + Send + Sync + 'static {
    /// Whether the keys of new objects lie in instruction files.
    fn writes_instruction_files(&self) -> bool;

    /// The object that this is the instruction file of, by its path. Such paths are hidden from
    /// callers; nothing for any other.
    fn object_of_instruction_file(&self, location: &Path) -> Option<Path>;

    /// Bytes of an object's beginning that [`parse`](Self::parse) usually needs.
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
}

/// How a new object is to be written.
pub struct Sealed {
    /// Turns the plaintext into the object.
    pub body: Box<dyn Transform + Send>,
    /// Length of the object in bytes, where the plaintext's was told.
    pub capacity: Option<usize>,
    /// What must be written before the object, and where.
    pub instruction_file: Option<(Path, Bytes)>,
}

impl Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed")
            .field("capacity", &self.capacity)
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

    /// Where that file must be when the object is copied to `location`.
    fn instruction_file_at(&self, location: &Path) -> Option<Path>;

    /// Length of the plaintext in bytes, as claimed by an object of `object_length` bytes.
    ///
    /// # Errors
    /// When no such object has this length.
    fn plaintext_length(&self, object_length: u64) -> Result<u64>;

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

    /// The content of an instruction file that opens the same object with keys of `to`.
    ///
    /// # Errors
    /// As [`open`](Self::open), and those of `to`.
    async fn rewrap(
        &self,
        manager: &dyn MaterialsManager,
        to: &dyn MaterialsManager,
        instruction_file: Bytes,
    ) -> Result<Bytes>;
}

/// An object that is read from its beginning to its end.
pub struct OpenedBody {
    /// What opened it.
    pub opened: Opened,
    /// Bytes of the object before the transform's first.
    pub skipped: usize,
    /// Turns the object's bytes into plaintext, and releases none before it verified.
    pub transform: Box<dyn Transform + Send>,
}

impl Debug for OpenedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedBody")
            .field("opened", &self.opened)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
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
    /// Length of the plaintext in bytes, of an object of `object_length` bytes.
    ///
    /// # Errors
    /// When no such object has this length.
    fn plaintext_length(&self, object_length: u64) -> Result<u64>;

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
    /// Turns them into the plaintext of the range, and releases none before it verified.
    pub transform: Box<dyn Transform + Send>,
}

impl Debug for OpenedRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedRange")
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}
