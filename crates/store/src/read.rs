//! Reads: whole objects, ranges and sizes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use envelope::stream::{StreamError, TransformStream};
use envelope::{DecryptOptions, EncryptionContext, HeaderReader, RangePlan, UnverifiedHeader};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
    Result,
};

use crate::attributes::show_encoding;
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::header_cache::VerifiedHeader;
use crate::opened::Opened;

/// Times that a read begins again because the object was overwritten under it.
const TRIES: usize = 8;
/// Most that a first request asks for when the header's length is not known, in bytes.
const FIRST_READ: usize = 1024;
/// Ranges that are closer to each other than this many bytes are fetched at once.
const COALESCE: u64 = 1 << 20;

type ByteStream = BoxStream<'static, Result<Bytes>>;

/// The beginning of an object, before any of it is trusted.
pub(crate) struct Beginning {
    pub(crate) header: UnverifiedHeader,
    meta: ObjectMeta,
    attributes: object_store::Attributes,
    /// All that was fetched, from the object's first byte on.
    bytes: Bytes,
}

/// A verified header, and the first bytes of its object if they were fetched for it.
struct Fetched {
    header: Arc<VerifiedHeader>,
    bytes: Bytes,
    cached: bool,
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// One request; frames are released as they verify.
    pub(crate) async fn read_whole(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let refused = Error::envelope(location);
        let decrypt_options = self
            .settings()
            .decrypt_options(location, &options.extensions)?;
        let result = self.inner().get_opts(location, options).await?;
        let (meta, attributes) = (result.meta.clone(), show_encoding(&result.attributes));
        let mut extensions = result.extensions.clone();
        let mut message = result.into_stream();

        let mut reader = HeaderReader::new(decrypt_options);
        let (header, body) = loop {
            match message.try_next().await? {
                None => break reader.finish().map_err(&refused)?,
                Some(bytes) => {
                    if let Some(found) = reader.feed(&bytes).map_err(&refused)? {
                        break found;
                    }
                }
            }
        };
        let layout = header.claims().layout().map_err(&refused)?;
        let size = layout.plaintext_len(meta.size).map_err(&refused)?;
        let materials = self.manager().decryption_materials(header.request()).await;
        let decryptor = materials
            .and_then(|materials| header.verify(materials))
            .map_err(&refused)?;
        extensions.insert(Opened::new(decryptor.context().clone(), decryptor.suite()));
        let body = stream::iter([Ok(Bytes::from(body))]).chain(message).boxed();
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
            let wanted = match range.as_range(size) {
                Ok(wanted) if !fetched.cached || !wanted.is_empty() => wanted,
                Err(error) if !fetched.cached => return Err(invalid_range(error)),
                _ => {
                    self.headers().remove(location);
                    continue;
                }
            };
            let plan = header.plan(location, wanted.clone())?;
            let Some(frames) = self.frames(location, &options, &fetched, &plan).await? else {
                continue;
            };
            let mut extensions = options.extensions.clone();
            extensions.insert(header.opened.clone());
            return Ok(GetResult {
                payload: payload(
                    location,
                    TransformStream::new(frames, header.ranges.open(plan)),
                ),
                meta: ObjectMeta {
                    size,
                    ..header.meta.clone()
                },
                range: wanted,
                attributes: header.attributes.clone(),
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
                Err(error) if !fetched.cached => return Err(invalid_range(error)),
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
        let plaintext = TransformStream::new(frames, fetched.header.ranges.open(plan));
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
        let decrypt_options = self
            .settings()
            .decrypt_options(location, &options.extensions)?;
        let beginning = self.beginning(location, &options, &decrypt_options).await?;
        let refused = Error::envelope(location);
        let layout = beginning.header.claims().layout().map_err(&refused)?;
        let size = layout
            .plaintext_len(beginning.meta.size)
            .map_err(&refused)?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::empty().boxed()),
            meta: ObjectMeta {
                size,
                ..beginning.meta
            },
            range: 0..size,
            attributes: beginning.attributes,
            extensions: options.extensions,
        })
    }

    /// The verified header of the object: the cached one, if the caller has no conditions of its
    /// own. Whether it still is the object's the next request will tell.
    async fn header(&self, location: &Path, options: &GetOptions) -> Result<Fetched> {
        let settings = self.settings();
        let decrypt_options = settings.decrypt_options(location, &options.extensions)?;
        let expected = settings.context(location, &options.extensions)?;
        if let Some(header) = self.cached(location, options, &expected) {
            return Ok(Fetched {
                header,
                bytes: Bytes::new(),
                cached: true,
            });
        }
        let beginning = self.beginning(location, options, &decrypt_options).await?;
        let Beginning {
            header,
            meta,
            attributes,
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
            meta,
            attributes,
        });
        if options.version.is_none() && header.meta.e_tag.is_some() {
            self.headers().insert(location, Arc::clone(&header));
        }
        Ok(Fetched {
            header,
            bytes,
            cached: false,
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
        let refused = Error::envelope(location);
        let mut length = self.settings().header_length.max(FIRST_READ) as u64;
        let first = GetOptions {
            range: Some(GetRange::Bounded(0..length)),
            head: false,
            ..options.clone()
        };
        let result = match self.inner().get_opts(location, first).await {
            Ok(result) => result,
            Err(error) => return Err(self.explain_empty(location, options, error).await),
        };
        let (meta, attributes) = (result.meta.clone(), show_encoding(&result.attributes));
        let mut bytes = result.bytes().await?;
        loop {
            let parsed = match (bytes.len() as u64) < meta.size {
                true => UnverifiedHeader::parse(&bytes, decrypt_options),
                false => UnverifiedHeader::parse_whole(&bytes, decrypt_options).map(Some),
            };
            if let Some(header) = parsed.map_err(&refused)? {
                return Ok(Beginning {
                    header,
                    meta,
                    attributes,
                    bytes,
                });
            }
            length = length.saturating_mul(2);
            let more = pinned(location, options, &meta, bytes.len() as u64..length)?;
            let more = self.inner().get_opts(location, more).await?.bytes().await?;
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
    ) -> Result<Option<ByteStream>> {
        let wanted = plan.ciphertext();
        let at_hand = usize::try_from(wanted.start)
            .ok()
            .zip(usize::try_from(wanted.end).ok())
            .filter(|(_, end)| *end <= fetched.bytes.len());
        if let Some((start, end)) = at_hand {
            let bytes = fetched.bytes.slice(start..end);
            return Ok(Some(stream::iter([Ok(bytes)]).boxed()));
        }
        if wanted.is_empty() {
            return Ok(Some(stream::empty().boxed()));
        }
        let request = pinned(location, options, &fetched.header.meta, wanted)?;
        match self.inner().get_opts(location, request).await {
            Ok(result) => Ok(Some(result.into_stream())),
            Err(object_store::Error::Precondition { .. }) => {
                self.headers().remove(location);
                Ok(None)
            }
            Err(object_store::Error::NotFound { path, source }) => {
                self.headers().remove(location);
                match fetched.cached {
                    // The cold read will say so in its own words.
                    true => Ok(None),
                    false => Err(object_store::Error::NotFound { path, source }),
                }
            }
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

/// A request for these bytes of this version and no other.
fn pinned(
    location: &Path,
    options: &GetOptions,
    meta: &ObjectMeta,
    range: Range<u64>,
) -> Result<GetOptions> {
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
    Ok(GetOptions {
        range: Some(GetRange::Bounded(range)),
        if_match: meta.e_tag.clone(),
        version,
        extensions: options.extensions.clone(),
        ..GetOptions::default()
    })
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
    let refused = Error::envelope(location);
    plaintext.map_err(move |error| match error {
        StreamError::Input(error) => error,
        StreamError::Envelope(error) => refused(error),
        other => object_store::Error::Generic {
            store: "EncryptedStore",
            source: other.to_string().into(),
        },
    })
}

fn invalid_range(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "EncryptedStore",
        source: Box::new(error),
    }
}

fn changes(location: &Path) -> object_store::Error {
    Error::ChangesWhileRead {
        location: location.clone(),
    }
    .into()
}
