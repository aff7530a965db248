//! The first bytes of an object, and what it needs to be opened.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use envelope::EncryptionContext;
use object_store::path::Path;
use object_store::{
    Attributes, Extensions, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore,
    ObjectStoreExt, Result,
};

use crate::attributes::shown;
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::foreign::{ForeignObjects, StoredRanges, Unchanged};
use crate::format::{Body, OpenedBody, Opening, Parsed, Ranges, Stored};
use crate::keyed_format::KeyedFormat;
use crate::opened::Opened;

/// Times that a read begins again because the object was overwritten under it.
pub(crate) const TRIES: usize = 8;
/// Longest instruction file that is read, in bytes: its header and one short frame.
pub(crate) const LONGEST_INSTRUCTION_FILE: u64 =
    (envelope::DEFAULT_MAXIMUM_HEADER_LENGTH + 1024) as u64;

/// What the inner store said about an object beside its bytes.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) meta: ObjectMeta,
    /// As they are stored, with those that are the format's own.
    stored: Attributes,
    pub(crate) extensions: Extensions,
}

impl About {
    pub(crate) fn of(result: &GetResult) -> Self {
        Self {
            meta: result.meta.clone(),
            stored: result.attributes.clone(),
            extensions: result.extensions.clone(),
        }
    }
}

/// What is to be read, and how.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) location: &'a Path,
    pub(crate) options: &'a GetOptions,
    /// The context that the object must have.
    pub(crate) expected: &'a EncryptionContext,
}

/// The content of an instruction file; nothing for objects that need none.
pub(crate) type InstructionFile = Option<Bytes>;

/// An object that is still closed.
pub(crate) enum Closed {
    /// In this format.
    Encrypted(Box<dyn Opening>, Arc<KeyedFormat>),
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
    /// The attributes that callers see.
    pub(crate) fn shown_attributes(&self, about: &About) -> Attributes {
        let formats = self.formats();
        shown(&about.stored, |name| {
            formats.iter().any(|keyed| keyed.format.owns_metadata(name))
        })
    }

    /// Fetches as much of the object's beginning as its header takes. The caller's conditions go
    /// with the first request; later ones are pinned to what it saw.
    pub(crate) async fn beginning(&self, request: Request<'_>) -> Result<Beginning> {
        let Request {
            location, options, ..
        } = request;
        let lengths = self
            .formats()
            .iter()
            .map(|keyed| keyed.format.beginning_length());
        let length = lengths.max().unwrap_or_default();
        for _ in 0..TRIES {
            let first = GetOptions {
                range: (length > 0).then_some(GetRange::Bounded(0..length)),
                head: length == 0,
                ..options.clone()
            };
            let result = match self.inner().get_opts(location, first).await {
                Ok(result) => result,
                Err(error) => return self.empty_object(request, error).await,
            };
            let about = About::of(&result);
            let bytes = match length {
                0 => Bytes::new(),
                _ => result.bytes().await?,
            };
            if let Some((object, bytes)) = self.complete_header(request, &about, bytes).await? {
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
        request: Request<'_>,
        about: &About,
        mut bytes: Bytes,
    ) -> Result<Option<(Closed, Bytes)>> {
        let Request {
            location, options, ..
        } = request;
        let mut complete = bytes.len() as u64 >= about.meta.size;
        loop {
            if let Some(object) = self.parse(request, about, &bytes, complete)? {
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

    /// What these first bytes are; nothing when they are too few to tell. Of formats that could have
    /// written them, the one that knows it for certain has them.
    pub(crate) fn parse(
        &self,
        request: Request<'_>,
        about: &About,
        beginning: &[u8],
        complete: bool,
    ) -> Result<Option<Closed>> {
        let location = request.location;
        let stored = Stored {
            location,
            beginning,
            complete,
            attributes: &about.stored,
            extensions: &request.options.extensions,
            expected_context: request.expected,
        };
        let (mut possible, mut refused, mut foreign) = (None, None, None);
        let mut incomplete = false;
        for keyed in self.formats() {
            match keyed.format.parse(stored) {
                Ok(Parsed::Opening(opening)) if opening.foreign_without_file().is_none() => {
                    return Ok(Some(Closed::Encrypted(opening, Arc::clone(keyed))));
                }
                Ok(Parsed::Opening(opening)) => {
                    possible = possible.or(Some((opening, Arc::clone(keyed))));
                }
                Ok(Parsed::Incomplete) => incomplete = true,
                Ok(Parsed::Foreign(reason)) => foreign = foreign.or(Some(reason)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match (refused, possible, foreign) {
            _ if incomplete => Ok(None),
            (Some(error), ..) => Err(Error::envelope(location)(error)),
            (None, Some((opening, keyed)), _) => Ok(Some(Closed::Encrypted(opening, keyed))),
            (None, None, Some(reason)) => self.foreign(location, reason).map(Some),
            (None, None, None) => Ok(None),
        }
    }

    fn foreign(&self, location: &Path, reason: envelope::Error) -> Result<Closed> {
        match self.settings().foreign_objects {
            ForeignObjects::Refuse => Err(Error::foreign(location, reason)),
            ForeignObjects::Report | ForeignObjects::Pass => Ok(Closed::Foreign(reason)),
        }
    }

    /// Stores refuse a range of an object without bytes, each in its own words.
    async fn empty_object(
        &self,
        request: Request<'_>,
        error: object_store::Error,
    ) -> Result<Beginning> {
        let Request {
            location, options, ..
        } = request;
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
        match self.parse(request, &about, &bytes, true)? {
            Some(object) => Ok(Beginning {
                object,
                about,
                bytes,
            }),
            None => Err(error),
        }
    }

    /// The object with the instruction file that it needs. Nothing when the object is another version
    /// by now, whose file is another one.
    pub(crate) async fn with_instruction_file(
        &self,
        request: Request<'_>,
        meta: &ObjectMeta,
        object: Closed,
    ) -> Result<Option<(Closed, InstructionFile)>> {
        let Request {
            location, options, ..
        } = request;
        let Closed::Encrypted(opening, _) = &object else {
            return Ok(Some((object, None)));
        };
        let Some(file) = opening.instruction_file() else {
            return Ok(Some((object, None)));
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
            Ok(result) => {
                let bytes = result.bytes().await?;
                return Ok(Some((object, Some(bytes))));
            }
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
        if let Some(reason) = opening.foreign_without_file() {
            return Ok(Some((self.foreign(location, reason)?, None)));
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
    ) -> Result<(Option<Opened>, usize, Body)> {
        match object {
            Closed::Encrypted(opening, keyed) => {
                let opened = opening.open(&*keyed.manager, instruction_file).await;
                let OpenedBody {
                    opened,
                    skipped,
                    body,
                } = opened.map_err(Error::envelope(location))?;
                Ok((Some(opened), skipped, body))
            }
            Closed::Foreign(reason) => {
                pass(location, reason, foreign)?;
                Ok((None, 0, Body::Pieces(Box::new(Unchanged))))
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
            Closed::Encrypted(opening, keyed) => {
                let opened = opening.open_for_ranges(&*keyed.manager, instruction_file);
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
