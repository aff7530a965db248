//! Reads: whole objects, ranges and sizes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use envelope::stream::{StreamError, TransformStream, read_header};
use envelope::{DecryptOptions, EncryptionContext, RangePlan, UnverifiedHeader};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
    Result,
};

use crate::attributes::show_encoding;
use crate::body::{ByteStream, body};
use crate::encrypted_store::EncryptedStore;
use crate::error::{Error, STORE};
use crate::header_cache::VerifiedHeader;
use crate::opened::Opened;

/// Times that a read begins again because the object was overwritten under it.
const TRIES: usize = 8;
/// Most that a first request asks for when the header's length is not known, in bytes.
const FIRST_READ: usize = 1024;
/// Ranges that are closer to each other than this many bytes are fetched at once.
const COALESCE: u64 = 1 << 20;

/// The beginning of an object, before any of it is trusted.
pub(crate) struct Beginning {
    pub(crate) header: UnverifiedHeader,
    about: About,
    /// All that was fetched, from the object's first byte on.
    bytes: Bytes,
}

/// What the inner store said about an object beside its bytes.
#[derive(Clone)]
struct About {
    meta: ObjectMeta,
    attributes: object_store::Attributes,
    extensions: object_store::Extensions,
}

impl About {
    fn of(result: &GetResult) -> Self {
        Self {
            meta: result.meta.clone(),
            attributes: show_encoding(&result.attributes),
            extensions: result.extensions.clone(),
        }
    }
}

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
    /// One request; frames are released as they verify.
    pub(crate) async fn read_whole(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let refused = Error::envelope(location);
        let settings = self.settings();
        let expected = settings.context(location, &options.extensions)?;
        let decrypt_options = settings.decrypt_options(expected);
        let result = self.inner().get_opts(location, options).await?;
        let About {
            meta,
            attributes,
            mut extensions,
        } = About::of(&result);
        let mut message = body(result);

        let (header, first) = read_header(&mut message, &decrypt_options)
            .await
            .map_err(from_stream(&refused))?;
        let layout = header.claims().layout().map_err(&refused)?;
        let size = layout.plaintext_len(meta.size).map_err(&refused)?;
        let materials = self.manager().decryption_materials(header.request()).await;
        let decryptor = materials
            .and_then(|materials| header.verify(materials))
            .map_err(&refused)?;
        extensions.insert(Opened::new(decryptor.context().clone(), decryptor.suite()));
        let body = stream::iter([Ok(first)]).chain(message).boxed();
        Ok(GetResult {
            payload: payload(location, TransformStream::new(body, decryptor)),
            meta: ObjectMeta { size, ..meta },
            range: 0..size,
            attributes,
            extensions,
        })
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
            let fetched = self.header(location, &options).await?;
            let header = &fetched.header;
            let size = header.plaintext_len(location)?;
            let remembered = fetched.beginning.is_none();
            let wanted = match range.as_range(size) {
                Ok(wanted) if !remembered || !wanted.is_empty() => wanted,
                Err(error) if !remembered => return Err(invalid_range(error)),
                _ => {
                    self.headers().remove(location);
                    continue;
                }
            };
            let plan = header.plan(location, wanted.clone())?;
            let Some(frames) = self.frames(location, &options, &fetched, &plan).await? else {
                continue;
            };
            let Frames { body, about } = frames;
            let mut extensions = about.extensions;
            extensions.insert(header.opened.clone());
            return Ok(GetResult {
                payload: payload(
                    location,
                    TransformStream::new(body, header.ranges.open(plan)),
                ),
                meta: ObjectMeta { size, ..about.meta },
                range: wanted,
                attributes: about.attributes,
                extensions,
            });
        }
        Err(changes(location))
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
            let fetched = self.header(location, &options).await?;
            let size = fetched.header.plaintext_len(location)?;
            let wanted: Result<Vec<_>, _> = ranges
                .iter()
                .map(|range| GetRange::Bounded(range.clone()).as_range(size))
                .collect();
            let wanted = match wanted {
                Ok(wanted) => wanted,
                Err(error) if fetched.beginning.is_some() => return Err(invalid_range(error)),
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
        Err(changes(location))
    }

    async fn read_one(
        &self,
        location: &Path,
        options: &GetOptions,
        fetched: &Fetched,
        range: Range<u64>,
    ) -> Result<Bytes, Stopped> {
        let plan = fetched.header.plan(location, range)?;
        let frames = self.frames(location, options, fetched, &plan).await?;
        let frames = frames.ok_or(Stopped::Overwritten)?;
        let plaintext = TransformStream::new(frames.body, fetched.header.ranges.open(plan));
        let pieces: Vec<Bytes> = into_object_store(location, plaintext).try_collect().await?;
        Ok(match <[Bytes; 1]>::try_from(pieces) {
            Ok([bytes]) => bytes,
            Err(pieces) => pieces.concat().into(),
        })
    }

    /// The size that the header claims. One request.
    pub(crate) async fn read_head(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let settings = self.settings();
        let expected = settings.context(location, &options.extensions)?;
        let decrypt_options = settings.decrypt_options(expected);
        let beginning = self.beginning(location, &options, &decrypt_options).await?;
        let refused = Error::envelope(location);
        let layout = beginning.header.claims().layout().map_err(&refused)?;
        let About {
            meta,
            attributes,
            extensions,
        } = beginning.about;
        let size = layout.plaintext_len(meta.size).map_err(&refused)?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::empty().boxed()),
            meta: ObjectMeta { size, ..meta },
            range: 0..size,
            attributes,
            extensions,
        })
    }

    /// The verified header of the object: the cached one, if the caller has no conditions of its
    /// own. Whether it still is the object's the next request will tell.
    async fn header(&self, location: &Path, options: &GetOptions) -> Result<Fetched> {
        let settings = self.settings();
        let expected = settings.context(location, &options.extensions)?;
        if let Some(header) = self.cached(location, options, &expected) {
            return Ok(Fetched {
                header,
                beginning: None,
            });
        }
        let decrypt_options = settings.decrypt_options(expected.clone());
        let beginning = self.beginning(location, options, &decrypt_options).await?;
        let Beginning {
            header,
            about,
            bytes,
        } = beginning;
        let suite = header.claims().suite();
        let materials = self.manager().decryption_materials(header.request()).await;
        let ranges = materials
            .and_then(|materials| header.verify_for_ranges(materials))
            .map_err(Error::envelope(location))?;
        let opened = Opened::new(ranges.context().clone(), suite);
        let header = Arc::new(VerifiedHeader {
            ranges,
            opened,
            meta: about.meta.clone(),
            expected,
        });
        if options.version.is_none() && header.meta.e_tag.is_some() {
            self.headers().insert(location, Arc::clone(&header));
        }
        Ok(Fetched {
            header,
            beginning: Some((bytes, about)),
        })
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
        match conditions {
            true => None,
            false => self.headers().get(location, expected),
        }
    }

    /// Fetches as much of the object's beginning as its header takes. The caller's conditions go
    /// with the first request; later ones are pinned to what it saw.
    pub(crate) async fn beginning(
        &self,
        location: &Path,
        options: &GetOptions,
        decrypt_options: &DecryptOptions,
    ) -> Result<Beginning> {
        for _ in 0..TRIES {
            let length = self.settings().header_length.max(FIRST_READ) as u64;
            let first = GetOptions {
                range: Some(GetRange::Bounded(0..length)),
                head: false,
                ..options.clone()
            };
            let result = match self.inner().get_opts(location, first).await {
                Ok(result) => result,
                Err(error) => return Err(self.explain_empty(location, options, error).await),
            };
            let about = About::of(&result);
            let bytes = result.bytes().await?;
            let complete = self.complete_header(location, options, &about, bytes, decrypt_options);
            if let Some((header, bytes)) = complete.await? {
                return Ok(Beginning {
                    header,
                    about,
                    bytes,
                });
            }
        }
        Err(changes(location))
    }

    /// Fetches more until the header is whole. Nothing when the object is another version by then.
    async fn complete_header(
        &self,
        location: &Path,
        options: &GetOptions,
        about: &About,
        mut bytes: Bytes,
        decrypt_options: &DecryptOptions,
    ) -> Result<Option<(UnverifiedHeader, Bytes)>> {
        let refused = Error::envelope(location);
        loop {
            let fetched = bytes.len() as u64;
            let parsed = match fetched < about.meta.size {
                true => UnverifiedHeader::parse(&bytes, decrypt_options),
                false => UnverifiedHeader::parse_whole(&bytes, decrypt_options).map(Some),
            };
            if let Some(header) = parsed.map_err(&refused)? {
                return Ok(Some((header, bytes)));
            }
            let more = fetched..fetched.saturating_mul(2).max(1);
            let Some(more) = self.pinned(location, options, &about.meta, more).await? else {
                return Ok(None);
            };
            let more = more.bytes().await?;
            if more.is_empty() {
                // The store has fewer bytes than it said.
                let header = UnverifiedHeader::parse_whole(&bytes, decrypt_options);
                return Ok(Some((header.map_err(&refused)?, bytes)));
            }
            bytes = [bytes, more].concat().into();
        }
    }

    /// Stores refuse a range of an object without bytes, each in its own words; ours says why.
    async fn explain_empty(
        &self,
        location: &Path,
        options: &GetOptions,
        error: object_store::Error,
    ) -> object_store::Error {
        if !matches!(error, object_store::Error::Generic { .. }) || options.version.is_some() {
            return error;
        }
        match self.inner().head(location).await {
            Ok(meta) if meta.size == 0 => {
                let decrypt_options = DecryptOptions::default();
                match UnverifiedHeader::parse_whole(&[], &decrypt_options) {
                    Err(empty) => Error::envelope(location)(empty),
                    Ok(_) => error,
                }
            }
            _ => error,
        }
    }

    /// The bytes of a plan: from what was fetched already, or by one request pinned to the
    /// header's version. Nothing when the object is another version by now.
    async fn frames(
        &self,
        location: &Path,
        options: &GetOptions,
        fetched: &Fetched,
        plan: &RangePlan,
    ) -> Result<Option<Frames>> {
        let wanted = plan.ciphertext();
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

    /// These bytes of this version and no other; nothing when the object is another one by now.
    async fn pinned(
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
    fn plaintext_len(&self, location: &Path) -> Result<u64> {
        let length = self.ranges.layout().plaintext_len(self.meta.size);
        length.map_err(Error::envelope(location))
    }

    fn plan(&self, location: &Path, range: Range<u64>) -> Result<RangePlan> {
        let plan = self.ranges.layout().plan(range, self.meta.size);
        plan.map_err(Error::envelope(location))
    }
}

fn payload<T>(location: &Path, plaintext: TransformStream<ByteStream, T>) -> GetResultPayload
where
    T: envelope::Transform + Send + 'static,
{
    GetResultPayload::Stream(into_object_store(location, plaintext).boxed())
}

fn into_object_store<T>(
    location: &Path,
    plaintext: TransformStream<ByteStream, T>,
) -> impl futures::Stream<Item = Result<Bytes>> + Send + use<T>
where
    T: envelope::Transform + Send + 'static,
{
    plaintext.map_err(from_stream(Error::envelope(location)))
}

fn from_stream(
    refused: impl Fn(envelope::Error) -> object_store::Error,
) -> impl Fn(StreamError<object_store::Error>) -> object_store::Error {
    move |error| match error {
        StreamError::Input(error) => error,
        StreamError::Envelope(error) => refused(error),
        other => object_store::Error::Generic {
            store: STORE,
            source: other.to_string().into(),
        },
    }
}

fn invalid_range(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: STORE,
        source: Box::new(error),
    }
}

fn changes(location: &Path) -> object_store::Error {
    Error::ChangesWhileRead {
        location: location.clone(),
    }
    .into()
}
