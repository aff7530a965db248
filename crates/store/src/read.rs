//! Reads: whole objects, ranges and sizes.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use envelope::stream::{StreamError, TransformStream};
use envelope::{EncryptionContext, OutputBuffer, Transform};
use futures::future::ready;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, Result,
};

use crate::beginning::{About, Beginning, Closed, Request, TRIES};
use crate::body::{ByteStream, body};
use crate::encrypted_store::EncryptedStore;
use crate::error::{Error, STORE};
use crate::foreign::{ForeignObjects, NotEncrypted};
use crate::format::{Body, OpenedRange};
use crate::header_cache::VerifiedHeader;
use crate::opened::Opened;
use crate::waiting::{Verified, verified};

/// Ranges that are closer to each other than this many bytes are fetched at once.
const COALESCE: u64 = 1 << 20;

/// Ranges up to this many bytes are handed out in one piece: whoever collects several copies them.
const WHOLE: usize = 8 << 20;
/// Room in bytes for what is opened and not wanted of the first and last frame.
const FRAMES: usize = 128 << 10;

type Plaintext = TransformStream<ByteStream, Box<dyn Transform + Send>>;

/// A verified header.
struct Fetched {
    header: Arc<VerifiedHeader>,
    /// What was fetched for it, the first bytes of the object among it; nothing when the header was
    /// remembered.
    beginning: Option<(Bytes, About)>,
}

/// The bytes of some frames, and what the store said with them.
struct Frames {
    body: ByteStream,
    about: About,
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// One request, and one for an instruction file; frames are released as they verify.
    pub(crate) async fn read_whole(
        &self,
        location: &Path,
        options: GetOptions,
        foreign: ForeignObjects,
    ) -> Result<GetResult> {
        let expected = self.settings().context(location, &options.extensions)?;
        let request = Request {
            location,
            options: &options,
            expected: &expected,
        };
        for _ in 0..TRIES {
            let result = self.inner().get_opts(location, options.clone()).await?;
            let about = About::of(&result);
            let mut message = body(result);
            let (object, first) = self.first_of(request, &about, &mut message).await?;
            let object = self.with_instruction_file(request, &about.meta, object);
            let Some((object, file)) = object.await? else {
                continue;
            };
            let claimed = plaintext_length(location, &object, file.as_ref(), &about.meta)?;
            let (opened, skipped, transform) =
                self.open_body(location, object, file, foreign).await?;
            let attributes = self.shown_attributes(&about);
            let About {
                meta,
                mut extensions,
                ..
            } = about;
            mark(&mut extensions, opened);
            let first = first.get(skipped..).map(|rest| first.slice_ref(rest));
            let body = stream::iter(first.map(Ok)).chain(message).boxed();
            let (size, payload) = match transform {
                Body::Pieces(transform) => {
                    let plaintext = TransformStream::new(body, transform);
                    (known(location, claimed)?, payload(location, plaintext))
                }
                Body::Whole(whole, waiting) => {
                    match verified(location, body, whole, waiting, &meta).await? {
                        Verified::AtHand(plaintext) => (plaintext.len() as u64, at_hand(plaintext)),
                        Verified::Stored(size, plaintext) => (size, payload(location, plaintext)),
                    }
                }
            };
            return Ok(GetResult {
                payload,
                meta: ObjectMeta { size, ..meta },
                range: 0..size,
                attributes,
                extensions,
            });
        }
        Err(Error::changes(location))
    }

    /// Reads up to the end of the header.
    async fn first_of(
        &self,
        request: Request<'_>,
        about: &About,
        message: &mut ByteStream,
    ) -> Result<(Closed, Bytes)> {
        let beginning = message.try_next().await?;
        let mut complete = beginning.is_none();
        let mut first = beginning.unwrap_or_default();
        loop {
            if let Some(object) = self.parse(request, about, &first, complete)? {
                return Ok((object, first));
            }
            // A header that was too short is looked at again when there is twice as much of it.
            let enough = 2 * first.len();
            let mut longer = BytesMut::from(first);
            while longer.len() <= enough && !complete {
                match message.try_next().await? {
                    Some(more) => longer.extend_from_slice(&more),
                    None => complete = true,
                }
            }
            first = longer.freeze();
        }
    }

    /// One request when the header is known, two otherwise; the second is pinned to the version
    /// that the first one saw. Only a request tells whether a known header is still the object's,
    /// so what would be answered without one is asked anew.
    pub(crate) async fn read_range(
        &self,
        location: &Path,
        options: GetOptions,
        range: &GetRange,
    ) -> Result<GetResult> {
        for _ in 0..TRIES {
            let Some(fetched) = self.header(location, &options).await? else {
                continue;
            };
            let header = &fetched.header;
            let size = header.plaintext_length;
            let remembered = fetched.beginning.is_none();
            let wanted = match range.as_range(size) {
                Ok(wanted) if !remembered || !wanted.is_empty() => wanted,
                Err(error) if !remembered => return Err(Error::range(location, error)),
                _ => {
                    self.headers().remove(location);
                    continue;
                }
            };
            let OpenedRange { stored, transform } = header.open(location, wanted.clone())?;
            let frames = self.frames(location, &options, &fetched, stored);
            let Some(Frames { body, about }) = frames.await? else {
                continue;
            };
            let attributes = self.shown_attributes(&about);
            let mut extensions = about.extensions;
            mark(&mut extensions, header.opened.clone());
            let length = wanted.end.saturating_sub(wanted.start);
            let payload = match usize::try_from(length) {
                Ok(length) if length <= WHOLE => {
                    let location = location.clone();
                    let plaintext = async move { open(&location, body, transform, length).await };
                    GetResultPayload::Stream(stream::once(plaintext).boxed())
                }
                _ => payload(location, TransformStream::new(body, transform)),
            };
            return Ok(GetResult {
                payload,
                meta: ObjectMeta { size, ..about.meta },
                range: wanted,
                attributes,
                extensions,
            });
        }
        Err(Error::changes(location))
    }

    /// All ranges of one version.
    pub(crate) async fn read_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let options = GetOptions::default();
        for _ in 0..TRIES {
            let Some(fetched) = self.header(location, &options).await? else {
                continue;
            };
            let size = fetched.header.plaintext_length;
            let wanted: Result<Vec<_>, _> = ranges
                .iter()
                .map(|range| GetRange::Bounded(range.clone()).as_range(size))
                .collect();
            let wanted = match wanted {
                Ok(wanted) => wanted,
                Err(error) if fetched.beginning.is_some() => {
                    return Err(Error::range(location, error));
                }
                Err(_) => {
                    self.headers().remove(location);
                    continue;
                }
            };
            let read = |range| self.read_one(location, &options, &fetched, range);
            match object_store::coalesce_ranges(&wanted, read, COALESCE).await {
                Err(Stopped::Overwritten) => {}
                Err(Stopped::Failed(error)) => return Err(error),
                Ok(bytes) => return Ok(bytes),
            }
        }
        Err(Error::changes(location))
    }

    async fn read_one(
        &self,
        location: &Path,
        options: &GetOptions,
        fetched: &Fetched,
        range: Range<u64>,
    ) -> Result<Bytes, Stopped> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let OpenedRange { stored, transform } = fetched.header.open(location, range)?;
        let frames = self.frames(location, options, fetched, stored).await?;
        let body = frames.ok_or(Stopped::Overwritten)?.body;
        Ok(open(location, body, transform, length).await?)
    }

    /// The size that the header claims. One request.
    pub(crate) async fn read_head(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let expected = self.settings().context(location, &options.extensions)?;
        let request = Request {
            location,
            options: &options,
            expected: &expected,
        };
        for _ in 0..TRIES {
            let Beginning { object, about, .. } = self.beginning(request).await?;
            // Without its file such an object may be none.
            let asks = matches!(&object, Closed::Encrypted(opening, _)
                if opening.foreign_without_file().is_some());
            let (object, file) = match asks {
                false => (object, None),
                true => {
                    let object = self.with_instruction_file(request, &about.meta, object);
                    match object.await? {
                        Some(found) => found,
                        None => continue,
                    }
                }
            };
            let size = plaintext_length(location, &object, file.as_ref(), &about.meta)?;
            let size = match size {
                Some(size) => size,
                // Whoever may read parts of such an object can also find its length.
                None => match self.header(location, &options).await {
                    Ok(Some(fetched)) => fetched.header.plaintext_length,
                    Ok(None) => continue,
                    Err(_) => known(location, None)?,
                },
            };
            let attributes = self.shown_attributes(&about);
            let About {
                meta,
                mut extensions,
                ..
            } = about;
            if let Closed::Foreign(_) = object {
                extensions.insert(NotEncrypted);
            }
            return Ok(GetResult {
                payload: GetResultPayload::Stream(stream::empty().boxed()),
                meta: ObjectMeta { size, ..meta },
                range: 0..size,
                attributes,
                extensions,
            });
        }
        Err(Error::changes(location))
    }

    /// The verified header of the object: the cached one, if the caller has no conditions of its
    /// own. Whether it still is the object's the next request will tell. Nothing when the object is
    /// another version by now.
    async fn header(&self, location: &Path, options: &GetOptions) -> Result<Option<Fetched>> {
        let expected = self.settings().context(location, &options.extensions)?;
        if let Some(header) = self.cached(location, options, &expected) {
            return Ok(Some(Fetched {
                header,
                beginning: None,
            }));
        }
        let request = Request {
            location,
            options,
            expected: &expected,
        };
        let Beginning {
            object,
            about,
            bytes,
        } = self.beginning(request).await?;
        let object = self.with_instruction_file(request, &about.meta, object);
        let Some((object, file)) = object.await? else {
            return Ok(None);
        };
        let (opened, ranges) = self.open_ranges(location, object, file).await?;
        let length_bytes = ranges.length_bytes(about.meta.size);
        let length_bytes = match length_bytes.is_empty() {
            true => Bytes::new(),
            false => {
                let bytes = self.pinned(location, options, &about.meta, length_bytes);
                let Some(bytes) = bytes.await? else {
                    return Ok(None);
                };
                bytes.bytes().await?
            }
        };
        let length = ranges.plaintext_length(about.meta.size, &length_bytes);
        let header = Arc::new(VerifiedHeader {
            plaintext_length: length.map_err(Error::envelope(location))?,
            ranges,
            opened,
            meta: about.meta.clone(),
            expected,
        });
        let ordinary = self.is_ordinary(options);
        if ordinary && options.version.is_none() && header.meta.e_tag.is_some() {
            self.headers().insert(location, Arc::clone(&header));
        }
        Ok(Some(Fetched {
            header,
            beginning: Some((bytes, about)),
        }))
    }

    fn cached(
        &self,
        location: &Path,
        options: &GetOptions,
        expected: &EncryptionContext,
    ) -> Option<Arc<VerifiedHeader>> {
        let conditions = options.if_match.is_some()
            || options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some()
            || options.version.is_some();
        match conditions || !self.is_ordinary(options) {
            true => None,
            false => self.headers().get(location, expected),
        }
    }

    /// Whether a remembered header serves these wishes, whatever its format.
    fn is_ordinary(&self, options: &GetOptions) -> bool {
        let mut formats = self.formats().iter();
        formats.all(|keyed| keyed.format.is_ordinary(&options.extensions))
    }

    /// These bytes of the object: from what was fetched already, or by one request pinned to the
    /// header's version. Nothing when the object is another version by now.
    async fn frames(
        &self,
        location: &Path,
        options: &GetOptions,
        fetched: &Fetched,
        wanted: Range<u64>,
    ) -> Result<Option<Frames>> {
        if let Some((bytes, about)) = &fetched.beginning {
            let at_hand = usize::try_from(wanted.start)
                .ok()
                .zip(usize::try_from(wanted.end).ok())
                .filter(|(_, end)| *end <= bytes.len() || wanted.is_empty());
            if let Some((start, end)) = at_hand {
                let bytes = bytes.get(start..end).map(|frames| bytes.slice_ref(frames));
                return Ok(Some(Frames {
                    body: stream::iter(bytes.map(Ok)).boxed(),
                    about: about.clone(),
                }));
            }
        }
        match self
            .pinned(location, options, &fetched.header.meta, wanted)
            .await
        {
            Ok(Some(result)) => Ok(Some(Frames {
                about: About::of(&result),
                body: body(result),
            })),
            Ok(None) => {
                self.headers().remove(location);
                Ok(None)
            }
            // Gone: reading it anew says so in the store's own words.
            Err(object_store::Error::NotFound { .. }) if fetched.beginning.is_none() => {
                self.headers().remove(location);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// All plaintext of a range at once, this many bytes.
async fn open(
    location: &Path,
    mut body: ByteStream,
    mut transform: Box<dyn Transform + Send>,
    length: usize,
) -> Result<Bytes> {
    let refused = Error::envelope(location);
    // A frame is opened in place, and what is not wanted of it cut off. What is longer grows with the
    // frames that verified: a store may lie about the object's length.
    let mut plaintext = OutputBuffer::with_capacity(length.min(WHOLE).saturating_add(FRAMES));
    while let Some(bytes) = body.try_next().await? {
        transform.update(&bytes, &mut plaintext).map_err(&refused)?;
    }
    transform.finish(&mut plaintext).map_err(&refused)?;
    Ok(plaintext.into_vec().into())
}

/// Why a range of several was not read.
enum Stopped {
    Overwritten,
    Failed(object_store::Error),
}

impl From<object_store::Error> for Stopped {
    fn from(error: object_store::Error) -> Self {
        Self::Failed(error)
    }
}

impl VerifiedHeader {
    fn open(&self, location: &Path, range: Range<u64>) -> Result<OpenedRange> {
        let opened = self.ranges.open(range, self.meta.size);
        opened.map_err(Error::envelope(location))
    }
}

/// What an object claims, or the stored size of one that claims nothing. Nothing when only a key
/// tells.
fn plaintext_length(
    location: &Path,
    object: &Closed,
    instruction_file: Option<&Bytes>,
    meta: &ObjectMeta,
) -> Result<Option<u64>> {
    match object {
        Closed::Encrypted(opening, _) => {
            let length = opening.plaintext_length(meta.size, instruction_file);
            length.map_err(Error::envelope(location))
        }
        Closed::Foreign(_) => Ok(Some(meta.size)),
    }
}

fn known(location: &Path, length: Option<u64>) -> Result<u64> {
    length.ok_or_else(|| {
        Error::SizeUnknown {
            location: location.clone(),
        }
        .into()
    })
}

/// Tells the caller what opened the object.
fn mark(extensions: &mut object_store::Extensions, opened: Option<Opened>) {
    match opened {
        Some(opened) => extensions.insert(opened).map(drop),
        None => extensions.insert(NotEncrypted).map(drop),
    };
}

fn at_hand(plaintext: Bytes) -> GetResultPayload {
    GetResultPayload::Stream(stream::once(ready(Ok(plaintext))).boxed())
}

fn payload(location: &Path, plaintext: Plaintext) -> GetResultPayload {
    let refused = Error::envelope(location);
    let plaintext = plaintext.map_err(move |error| match error {
        StreamError::Input(error) => error,
        StreamError::Envelope(error) => refused(error),
        other => object_store::Error::Generic {
            store: STORE,
            source: other.to_string().into(),
        },
    });
    GetResultPayload::Stream(plaintext.boxed())
}
