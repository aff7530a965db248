use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error as StoreError, Extensions, GetOptions, GetResult, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::local_upload::LocalUpload;
use crate::staged_file::{StagedFile, create_folder, is_temporary};

/// Local files as objects, private and on disk before a write returns.
///
/// It is to be wrapped in an `EncryptedStore` of `envelope-store`. On its own it encrypts nothing.
///
/// - A file that it writes is readable by its owner only, from its first byte on and whatever the
///   umask. So are folders that it makes. A copy is another name of the same file, so it is as
///   readable as the original, also where somebody else made that.
/// - Content, names and new folders are on disk before a write returns.
/// - An object is the old one or the new one, never half of either. It is written beside its
///   target as `.….envelope-tmp`, a name that objects cannot have and listings leave out. A killed
///   process leaves such a file behind; it may be removed when no process writes.
/// - Attributes and [`PutMode::Update`] are refused, as by [`LocalFileSystem`].
///
/// Only Unix has such modes, and folders that can be synced.
#[derive(Debug, Clone)]
pub struct LocalStore {
    inner: LocalFileSystem,
}

impl LocalStore {
    /// The files below a folder; `LocalFileSystem::new_with_prefix(folder)` names it.
    #[must_use]
    pub fn new(files: LocalFileSystem) -> Self {
        Self {
            inner: files.with_fsync(true),
        }
    }

    /// Where an object is written to.
    fn target(&self, location: &Path) -> Result<std::path::PathBuf> {
        let path = self.inner.path_to_filesystem(location)?;
        match location.filename() {
            Some(name) if is_temporary(name) => Err(Error::ReservedName { path }.into()),
            _ => Ok(path),
        }
    }

    /// Gives a file that is on disk its name.
    pub(crate) async fn publish(
        &self,
        staged: StagedFile,
        location: &Path,
        target_mode: RenameTargetMode,
    ) -> Result<PutResult> {
        let name = staged.name().unwrap_or_default();
        let from = location.parent().unwrap_or_default().join(name);
        // Before the rename: afterwards it might be the file of another writer.
        let meta = self.inner.head(&from).await?;
        let options = RenameOptions::new().with_target_mode(target_mode);
        self.inner.rename_opts(&from, location, options).await?;
        Ok(PutResult {
            e_tag: meta.e_tag,
            version: meta.version,
            extensions: Extensions::new(),
        })
    }

    /// Makes the folder of a copy. The inner store would make it for all to read.
    async fn create_folder_of(&self, from: &Path, to: &Path) -> Result<()> {
        let from = self.inner.path_to_filesystem(from)?;
        let to = self.target(to)?;
        run_blocking(move || match to.parent() {
            Some(folder) if from.exists() && !folder.exists() => Ok(create_folder(folder)?),
            _ => Ok(()),
        })
        .await
    }

    fn not_implemented(&self, operation: &str) -> StoreError {
        StoreError::NotImplemented {
            operation: operation.to_owned(),
            implementer: self.to_string(),
        }
    }

    fn check_attributes(&self, attributes: &Attributes) -> Result<()> {
        match attributes.is_empty() {
            true => Ok(()),
            false => Err(self.not_implemented("attributes of local files")),
        }
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalStore({})", self.inner)
    }
}

/// Runs what blocks where it may, as [`LocalFileSystem`] does: on the thread at hand where there is
/// no runtime.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn is_object(meta: &ObjectMeta) -> bool {
    !meta.location.filename().is_some_and(is_temporary)
}

fn objects(
    listed: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    listed.try_filter(|meta| ready(is_object(meta))).boxed()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.check_attributes(&opts.attributes)?;
        let target_mode = match opts.mode {
            PutMode::Overwrite => RenameTargetMode::Overwrite,
            PutMode::Create => RenameTargetMode::Create,
            PutMode::Update(_) => return Err(self.not_implemented("`PutMode::Update`")),
        };
        let target = self.target(location)?;
        let staged = run_blocking(move || {
            let mut staged = StagedFile::create(target)?;
            staged.write_at(0, &payload)?;
            staged.sync()?;
            Ok(staged)
        });
        self.publish(staged.await?, location, target_mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check_attributes(&opts.attributes)?;
        let target = self.target(location)?;
        let staged = run_blocking({
            let target = target.clone();
            move || Ok(StagedFile::create(target)?)
        });
        let (store, location) = (self.clone(), location.clone());
        let upload = LocalUpload::new(store, location, target, staged.await?);
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        objects(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        objects(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        listed.objects.retain(is_object);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.create_folder_of(from, to).await?;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.create_folder_of(from, to).await?;
        self.inner.rename_opts(from, to, options).await
    }
}
