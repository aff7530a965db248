//! The first bytes of an object, and what it needs to be opened.

use std::ops::Range;

use bytes::Bytes;
use envelope::EncryptionContext;
use object_store::path::Path;
use object_store::{
    Attributes, Extensions, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore,
    ObjectStoreExt, Result,
};

use crate::attributes::show_encoding;
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::foreign::{ForeignObjects, StoredRanges, Unchanged};
use crate::format::{OpenedBody, Opening, Parsed, Ranges, Stored};
use crate::opened::Opened;

/// Times that a read begins again because the object was overwritten under it.
pub(crate) const TRIES: usize = 8;
/// Longest instruction file that is read, in bytes: its header and one short frame.
const LONGEST_INSTRUCTION_FILE: u64 = (envelope::DEFAULT_MAXIMUM_HEADER_LENGTH + 1024) as u64;

/// What the inner store said about an object beside its bytes.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) meta: ObjectMeta,
    pub(crate) attributes: Attributes,
    pub(crate) extensions: Extensions,
}

impl About {
    pub(crate) fn of(result: &GetResult) -> Self {
        Self {
            meta: result.meta.clone(),
            attributes: show_encoding(&result.attributes),
            extensions: result.extensions.clone(),
        }
    }
}

/// The content of an instruction file; nothing for objects that need none.
pub(crate) type InstructionFile = Option<Bytes>;

/// An object that is still closed.
pub(crate) enum Closed {
    Encrypted(Box<dyn Opening>),
    /// Not encrypted in a format that the store reads, for this reason.
    Foreign(envelope::Error),
}

/// The beginning of an object, before any of it is trusted.
pub(crate) struct Beginning {
    pub(crate) object: Closed,
    pub(crate) about: About,
    /// All that was fetched, from the object's first byte on.
    pub(crate) bytes: Bytes,
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// Fetches as much of the object's beginning as its header takes. The caller's conditions go
    /// with the first request; later ones are pinned to what it saw.
    pub(crate) async fn beginning(
        &self,
        location: &Path,
        options: &GetOptions,
        expected: &EncryptionContext,
    ) -> Result<Beginning> {
        for _ in 0..TRIES {
            let length = self.format().beginning_length().max(1);
            let first = GetOptions {
                range: Some(GetRange::Bounded(0..length)),
                head: false,
                ..options.clone()
            };
            let result = match self.inner().get_opts(location, first).await {
                Ok(result) => result,
                Err(error) => return self.empty_object(location, options, expected, error).await,
            };
            let about = About::of(&result);
            let bytes = result.bytes().await?;
            let complete = self.complete_header(location, options, expected, &about, bytes);
            if let Some((object, bytes)) = complete.await? {
                return Ok(Beginning {
                    object,
                    about,
                    bytes,
                });
            }
        }
        Err(Error::changes(location))
    }

    /// Fetches more until the header is whole. Nothing when the object is another version by then.
    async fn complete_header(
        &self,
        location: &Path,
        options: &GetOptions,
        expected: &EncryptionContext,
        about: &About,
        mut bytes: Bytes,
    ) -> Result<Option<(Closed, Bytes)>> {
        let mut complete = bytes.len() as u64 >= about.meta.size;
        loop {
            if let Some(object) = self.parse(location, expected, &bytes, complete)? {
                return Ok(Some((object, bytes)));
            }
            let fetched = bytes.len() as u64;
            let more = fetched..fetched.saturating_mul(2).max(1);
            let Some(more) = self.pinned(location, options, &about.meta, more).await? else {
                return Ok(None);
            };
            let more = more.bytes().await?;
            bytes = [&bytes[..], &more].concat().into();
            // The store may have fewer bytes than it said.
            complete = more.is_empty() || bytes.len() as u64 >= about.meta.size;
        }
    }

    /// What these first bytes are; nothing when they are too few to tell.
    pub(crate) fn parse(
        &self,
        location: &Path,
        expected_context: &EncryptionContext,
        beginning: &[u8],
        complete: bool,
    ) -> Result<Option<Closed>> {
        let parsed = self.format().parse(Stored {
            location,
            beginning,
            complete,
            expected_context,
        });
        match parsed.map_err(Error::envelope(location))? {
            Parsed::Opening(opening) => Ok(Some(Closed::Encrypted(opening))),
            Parsed::Incomplete => Ok(None),
            Parsed::Foreign(reason)
                if self.settings().foreign_objects == ForeignObjects::Refuse =>
            {
                Err(Error::foreign(location, reason))
            }
            Parsed::Foreign(reason) => Ok(Some(Closed::Foreign(reason))),
        }
    }

    /// Stores refuse a range of an object without bytes, each in its own words.
    async fn empty_object(
        &self,
        location: &Path,
        options: &GetOptions,
        expected: &EncryptionContext,
        error: object_store::Error,
    ) -> Result<Beginning> {
        if !matches!(error, object_store::Error::Generic { .. }) || options.version.is_some() {
            return Err(error);
        }
        let Ok(meta) = self.inner().head(location).await else {
            return Err(error);
        };
        if meta.size > 0 {
            return Err(error);
        }
        let result = self.inner().get_opts(location, options.clone()).await?;
        let about = About::of(&result);
        let bytes = result.bytes().await?;
        match self.parse(location, expected, &bytes, true)? {
            Some(object) => Ok(Beginning {
                object,
                about,
                bytes,
            }),
            None => Err(error),
        }
    }

    /// The instruction file that an object needs. Nothing when the object is another version by
    /// now, whose file is another one.
    pub(crate) async fn instruction_file(
        &self,
        location: &Path,
        options: &GetOptions,
        meta: &ObjectMeta,
        object: &Closed,
    ) -> Result<Option<InstructionFile>> {
        let file = match object {
            Closed::Encrypted(opening) => opening.instruction_file(),
            Closed::Foreign(_) => None,
        };
        let Some(file) = file else {
            return Ok(Some(None));
        };
        let missing = match self.inner().get(file).await {
            Ok(result) if result.meta.size > LONGEST_INSTRUCTION_FILE => {
                return Err(Error::InstructionFileTooLong {
                    location: file.clone(),
                    length: result.meta.size,
                    maximum: LONGEST_INSTRUCTION_FILE,
                }
                .into());
            }
            Ok(result) => return result.bytes().await.map(|bytes| Some(Some(bytes))),
            Err(error @ object_store::Error::NotFound { .. }) => error,
            Err(error) => return Err(error),
        };
        // Files are dropped after the object that named them.
        if options.version.is_none() {
            let now = self.inner().head(location).await?;
            if now.e_tag != meta.e_tag || now.last_modified != meta.last_modified {
                return Ok(None);
            }
        }
        Err(Error::InstructionFileMissing {
            location: location.clone(),
            instruction_file: file.clone(),
            source: Box::new(missing),
        }
        .into())
    }

    /// Opens an object for reading from beginning to end. Nothing opened one that is passed on as it
    /// is stored.
    pub(crate) async fn open_body(
        &self,
        location: &Path,
        object: Closed,
        instruction_file: InstructionFile,
        foreign: ForeignObjects,
    ) -> Result<(Option<Opened>, usize, Box<dyn envelope::Transform + Send>)> {
        match object {
            Closed::Encrypted(opening) => {
                let opened = opening.open(self.manager(), instruction_file).await;
                let OpenedBody {
                    opened,
                    skipped,
                    transform,
                } = opened.map_err(Error::envelope(location))?;
                Ok((Some(opened), skipped, transform))
            }
            Closed::Foreign(reason) => {
                pass(location, reason, foreign)?;
                Ok((None, 0, Box::new(Unchanged)))
            }
        }
    }

    /// Opens an object for reading parts of it.
    pub(crate) async fn open_ranges(
        &self,
        location: &Path,
        object: Closed,
        instruction_file: InstructionFile,
    ) -> Result<(Option<Opened>, Box<dyn Ranges>)> {
        match object {
            Closed::Encrypted(opening) => {
                let opened = opening.open_for_ranges(self.manager(), instruction_file);
                let opened = opened.await.map_err(Error::envelope(location))?;
                Ok((Some(opened.opened), opened.ranges))
            }
            Closed::Foreign(reason) => {
                pass(location, reason, self.settings().foreign_objects)?;
                Ok((None, Box::new(StoredRanges)))
            }
        }
    }

    /// These bytes of this version and no other; nothing when the object is another one by now.
    pub(crate) async fn pinned(
        &self,
        location: &Path,
        options: &GetOptions,
        meta: &ObjectMeta,
        range: Range<u64>,
    ) -> Result<Option<GetResult>> {
        // An ETag goes first: unlike a version it tells when the object has been overwritten.
        let version = match (&meta.e_tag, &options.version) {
            (_, Some(version)) => Some(version.clone()),
            (Some(_), None) => None,
            (None, None) => meta.version.clone(),
        };
        if meta.e_tag.is_none() && version.is_none() {
            return Err(Error::NoVersion {
                location: location.clone(),
            }
            .into());
        }
        let request = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: meta.e_tag.clone(),
            version,
            extensions: options.extensions.clone(),
            ..GetOptions::default()
        };
        match self.inner().get_opts(location, request).await {
            // A store that ignores the condition still tells what it sent.
            Ok(result) if result.meta.e_tag == meta.e_tag => Ok(Some(result)),
            Ok(_) | Err(object_store::Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn pass(location: &Path, reason: envelope::Error, foreign: ForeignObjects) -> Result<()> {
    match foreign {
        ForeignObjects::Pass => Ok(()),
        ForeignObjects::Refuse | ForeignObjects::Report => Err(Error::foreign(location, reason)),
    }
}
