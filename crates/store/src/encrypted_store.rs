use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::MaterialsManager;
use futures::future::ready;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::builder::EncryptedStoreBuilder;
use crate::error::Error;
use crate::foreign::ForeignObjects;
use crate::format::Format;
use crate::header_cache::HeaderCache;
use crate::keyed_format::KeyedFormat;
use crate::settings::{ListedSizes, Settings};

/// An object store over another one that sees only ciphertext.
///
/// Each object is encrypted under a data key of its own, in the store's [`Format`]: one framed message
/// under suite `0478` unless another is chosen. Whoever holds the wrapping keys reads whole objects
/// and ranges, authenticated frame by frame; sizes are those of the plaintext. ETags, versions and
/// times are the inner store's. Cloning shares everything.
///
/// A size that is listed, or told by `head`, is what the object claims; it is verified when the
/// end of the object is read.
pub struct EncryptedStore<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    inner: S,
    /// The format that is written, and then those that are read too.
    formats: Vec<Arc<KeyedFormat>>,
    writing: Arc<KeyedFormat>,
    settings: Settings,
    headers: HeaderCache,
}

impl<S> EncryptedStore<S> {
    /// Encrypts what goes into `store` with these keys: frames of 64 KiB, headers of 1024 bytes,
    /// parts of 8 MiB, an empty context.
    #[must_use]
    pub fn new(store: S, manager: impl MaterialsManager + 'static) -> Self {
        Self::builder(store).build(manager)
    }

    /// Sets up something else.
    #[must_use]
    pub fn builder(store: S) -> EncryptedStoreBuilder<S> {
        EncryptedStoreBuilder::new(store)
    }

    pub(crate) fn from_parts(
        inner: S,
        writing: KeyedFormat,
        also_read: Vec<Arc<KeyedFormat>>,
        settings: Settings,
    ) -> Self {
        let writing = Arc::new(writing);
        let formats = std::iter::once(Arc::clone(&writing)).chain(also_read);
        Self {
            shared: Arc::new(Shared {
                inner,
                formats: formats.collect(),
                writing,
                headers: HeaderCache::new(settings.header_lifetime),
                settings,
            }),
        }
    }

    pub(crate) fn inner(&self) -> &S {
        &self.shared.inner
    }

    /// The keys of new objects.
    pub(crate) fn manager(&self) -> &dyn MaterialsManager {
        &*self.shared.writing.manager
    }

    /// The format of new objects.
    pub(crate) fn format(&self) -> &dyn Format {
        &*self.shared.writing.format
    }

    /// Every format that is read, the written one first.
    pub(crate) fn formats(&self) -> &[Arc<KeyedFormat>] {
        &self.shared.formats
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn headers(&self) -> &HeaderCache {
        &self.shared.headers
    }
}

impl<S> Clone for EncryptedStore<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore")
            .field("inner", self.inner())
            .field("formats", &self.shared.formats)
            .field("settings", self.settings())
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Display> fmt::Display for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedStore({})", self.inner())
    }
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// The plaintext's size in place of the ciphertext's; nothing when the object is gone.
    async fn plain_meta(self, meta: ObjectMeta) -> Result<Option<ObjectMeta>> {
        if self.lookups().is_some() {
            let options = GetOptions::new().with_head(true);
            return match self.read_head(&meta.location, options).await {
                Ok(looked_up) => Ok(Some(looked_up.meta)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let listed = self.format().listed_length(meta.size);
        match listed.map_err(Error::envelope(&meta.location))? {
            Some(size) => Ok(Some(ObjectMeta { size, ..meta })),
            None => Err(Error::SizeUnknown {
                location: meta.location,
            }
            .into()),
        }
    }

    /// Sizes to look up at once; nothing when they are computed.
    fn lookups(&self) -> Option<usize> {
        let refused = self.settings().foreign_objects == ForeignObjects::Refuse;
        match self.settings().listed_sizes {
            ListedSizes::LookedUp { concurrency } => Some(concurrency.max(1)),
            ListedSizes::Computed if refused && self.formats().len() == 1 => None,
            ListedSizes::Computed => Some(DEFAULT_LOOKUPS),
        }
    }

    fn plain_list(
        &self,
        listed: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let hidden = self.clone();
        listed
            .try_filter(move |meta| ready(!hidden.is_instruction_file(&meta.location)))
            .map_ok(move |meta| store.clone().plain_meta(meta))
            .try_buffered(self.lookups().unwrap_or(1))
            .try_filter_map(|meta| ready(Ok(meta)))
            .boxed()
    }
}

/// Sizes that are looked up at once when no number is named.
const DEFAULT_LOOKUPS: usize = 16;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for EncryptedStore<S> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.check_not_reserved(location)?;
        self.put_with(self.manager(), location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check_not_reserved(location)?;
        self.upload_with(self.manager(), location, opts).await
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        self.check_shown(location)?;
        if options.head {
            return self.read_head(location, options).await;
        }
        match options.range.take() {
            None => {
                let foreign = self.settings().foreign_objects;
                self.read_whole(location, options, foreign).await
            }
            Some(range) => self.read_range(location, options, &range).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check_shown(location)?;
        self.read_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.delete_with_keys(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.plain_list(self.inner().list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.plain_list(self.inner().list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.inner().list_with_delimiter(prefix).await?;
        let objects = futures::stream::iter(listed.objects.into_iter().map(Ok));
        Ok(ListResult {
            objects: self.plain_list(objects.boxed()).try_collect().await?,
            ..listed
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.copy_with_keys(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.rename_with_keys(from, to, options).await
    }
}
