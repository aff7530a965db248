//! What happens to an instruction file when its object is written, moved or deleted.
//!
//! A file is written before its object and dropped after it. Whatever stops in between leaves a
//! file without an object, which harms nobody where files have names of their own; those that have
//! the same name for every object of a place are `files_by_place.rs`'s.
//!
//! No store offers to change two objects at once, so two cases remain in which an object can end up
//! without its file: its path is given back to it, by a copy or a rename, in the very moment in which
//! another client drops that file; and the process dies in the middle of a copy whose source was
//! overwritten while it was copied.

use futures::future::ready;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error as StoreError, GetOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutResult, RenameOptions, RenameTargetMode, Result,
};

use crate::beginning::{Closed, Request, TRIES};
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::files_by_place::Write;
use crate::format::{InstructionFile, Opening};

/// Objects that are deleted at once when their headers must be read first.
const DELETES: usize = 16;

impl<S: ObjectStore> EncryptedStore<S> {
    /// Whether an object at this place would be an instruction file of any format.
    pub(crate) fn is_instruction_file(&self, location: &Path) -> bool {
        let mut formats = self.formats().iter();
        formats.any(|keyed| keyed.format.object_of_instruction_file(location).is_some())
    }

    /// Nothing is written over an instruction file.
    pub(crate) fn check_not_reserved(&self, location: &Path) -> Result<()> {
        match self.is_instruction_file(location) {
            true => Err(Error::ReservedPath {
                location: location.clone(),
            }
            .into()),
            false => Ok(()),
        }
    }

    /// Instruction files are hidden: as far as a caller can see there is no such object.
    pub(crate) fn check_shown(&self, location: &Path) -> Result<()> {
        match self.is_instruction_file(location) {
            true => Err(StoreError::NotFound {
                path: location.to_string(),
                source: Box::new(Error::ReservedPath {
                    location: location.clone(),
                }),
            }),
            false => Ok(()),
        }
    }

    /// The object as it is now; nothing when there is none, or none of ours.
    async fn opening(&self, location: &Path) -> Result<Option<Box<dyn Opening>>> {
        let request = Request {
            location,
            options: &GetOptions::default(),
            expected: &envelope::EncryptionContext::default(),
        };
        match self.beginning(request).await {
            Ok(beginning) => Ok(match beginning.object {
                Closed::Encrypted(opening, _) => Some(opening),
                Closed::Foreign(_) => None,
            }),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The instruction file of the object as it is now. Whatever the object is, it may be
    /// overwritten and deleted, so what cannot be read has none.
    pub(crate) async fn current_file(&self, location: &Path) -> Result<Option<Path>> {
        match self.opening(location).await {
            Ok(opening) => Ok(opening.and_then(|opening| opening.instruction_file().cloned())),
            // The inner store did its part, and what it holds is to blame.
            Err(error) if Error::of(&error).is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Drops the file of an object that is gone. What cannot be dropped harms nobody: it is hidden,
    /// and opens nothing.
    async fn drop_file(&self, file: &Path) {
        let _ = self.inner().delete(file).await;
    }

    /// Writes an object, behind its instruction file if it has one, and drops the file of the object
    /// that was there before.
    pub(crate) async fn write<F>(
        &self,
        location: &Path,
        file: Option<InstructionFile>,
        mode: PutMode,
        write: F,
    ) -> Result<PutResult>
    where
        F: Future<Output = Result<PutResult>> + Send,
    {
        let Some(file) = file else {
            let written = write.await?;
            self.drop_files_of_before(location, None).await;
            return Ok(written);
        };
        if self.files_by_place(location).contains(&file.location) {
            let to = Write { location, mode };
            let written = self.write_over_file(to, &file, write).await?;
            self.drop_files_of_before(location, Some(&file.location))
                .await;
            return Ok(written);
        }
        let before = self.current_file(location).await?;
        self.put_file(&file, PutMode::Overwrite).await?;
        let written = write.await;
        let unused = match written {
            Ok(_) => before,
            Err(_) if is_untouched(&written) => Some(file.location),
            Err(_) => None,
        };
        if let Some(unused) = unused {
            self.drop_unless_current(location, &unused).await;
        }
        written
    }

    /// Copies and renames move ciphertext with its keys, which a bound path forbids.
    fn check_movable(&self, from: &Path, to: &Path) -> Result<()> {
        self.check_shown(from)?;
        self.check_not_reserved(to)?;
        match self.settings().bind_paths {
            true => Err(Error::PathsAreBound {
                location: from.clone(),
            }
            .into()),
            false => Ok(()),
        }
    }

    /// Copies ciphertext and keys. The source's header tells where the keys are.
    pub(crate) async fn copy_with_keys(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> Result<()> {
        self.check_movable(from, to)?;
        for _ in 0..TRIES {
            let opening = self.opening(from).await?;
            let files = opening.as_ref().and_then(|opening| {
                Some((
                    opening.instruction_file()?,
                    opening.instruction_file_at(to)?,
                ))
            });
            let (Some(opening), Some((source, target))) = (&opening, files) else {
                return self.copy_alone(from, to, options).await;
            };
            if self.files_by_place(to).contains(&target) {
                let source = source.clone();
                let optional = opening.foreign_without_file().is_some();
                let copied =
                    self.copy_over_file((from, &source), (to, &target), optional, &options);
                match copied.await? {
                    true => return Ok(()),
                    false => continue,
                }
            }
            // What must not be overwritten may have its keys under the same name.
            if options.mode == CopyMode::Create && self.inner().head(to).await.is_ok() {
                return self.inner().copy_opts(from, to, options).await;
            }
            let before = self.current_file(to).await?;
            if !self.copy_file(source, &target).await? {
                continue;
            }
            let copied = self.inner().copy_opts(from, to, options.clone()).await;
            if is_untouched(&copied) {
                self.drop_unless_current(to, &target).await;
            }
            copied?;
            // The source may have been overwritten since its header was read: then the keys of what
            // was copied must follow.
            if let Some(copy) = self.opening(to).await?
                && let (Some(source), Some(now)) =
                    (copy.instruction_file_at(from), copy.instruction_file())
                && *now != target
            {
                self.drop_file(&target).await;
                if !self.copy_file(&source, now).await? {
                    // Nobody can read what was copied, so it is copied anew.
                    if options.mode == CopyMode::Create {
                        self.inner().delete(to).await?;
                    }
                    continue;
                }
            }
            if let Some(before) = before {
                self.drop_unless_current(to, &before).await;
            }
            return Ok(());
        }
        Err(Error::changes(from))
    }

    /// Copies an instruction file. False when it is gone: its object was overwritten.
    async fn copy_file(&self, from: &Path, to: &Path) -> Result<bool> {
        if from == to {
            return Ok(true);
        }
        match self.inner().copy(from, to).await {
            Ok(()) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Drops a file that the object at `location` does not need. A request can be sent twice and
    /// answered once, so the object is asked.
    pub(crate) async fn drop_unless_current(&self, location: &Path, file: &Path) {
        // Somebody's object may have such a name by chance.
        let by_place = self.files_by_place(location).contains(file);
        if by_place && !matches!(self.stored_file(file).await, Ok(Some(_))) {
            return;
        }
        if let Ok(now) = self.current_file(location).await
            && now.as_ref() != Some(file)
        {
            self.drop_file(file).await;
        }
    }

    /// Moves ciphertext and keys.
    pub(crate) async fn rename_with_keys(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
    ) -> Result<()> {
        self.check_movable(from, to)?;
        let opening = self.opening(from).await?;
        let file = opening.and_then(|opening| opening.instruction_file().cloned());
        let Some(file) = file else {
            // The source must not go before its copy is known to be one.
            if options.target_mode == RenameTargetMode::Create && self.keeps_keys_in_metadata() {
                let copying = CopyOptions {
                    mode: CopyMode::Create,
                    extensions: options.extensions,
                };
                self.copy_alone(from, to, copying).await?;
                return self.inner().delete(from).await;
            }
            self.inner().rename_opts(from, to, options).await?;
            self.drop_files_of_before(to, None).await;
            return Ok(());
        };
        if from == to {
            // Stores differ in what is left of it.
            let renamed = self.inner().rename_opts(from, to, options).await;
            self.drop_unless_current(from, &file).await;
            return renamed;
        }
        let copying = CopyOptions {
            mode: match options.target_mode {
                RenameTargetMode::Overwrite => CopyMode::Overwrite,
                RenameTargetMode::Create => CopyMode::Create,
            },
            extensions: options.extensions,
        };
        self.copy_with_keys(from, to, copying).await?;
        self.inner().delete(from).await?;
        self.drop_unless_current(from, &file).await;
        self.clone().delete_files_by_place(from.clone()).await?;
        Ok(())
    }

    /// Deletes objects, and after each its instruction file.
    pub(crate) fn delete_with_keys(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let shown = locations
            .and_then(move |location| ready(store.check_shown(&location).map(|()| location)));
        let mut formats = self.formats().iter();
        if formats.any(|keyed| keyed.format.writes_instruction_files()) {
            let store = self.clone();
            return shown
                .map_ok(move |location| store.clone().delete_with_file(location))
                .try_buffered(DELETES)
                .boxed();
        }
        let store = self.clone();
        // An error keeps its place among the answers.
        let with_files = move |deleted: Result<Path>| {
            let store = store.clone();
            async move { store.delete_files_by_place(deleted?).await }
        };
        let deleted = self.inner().delete_stream(shown.boxed());
        deleted.map(with_files).buffered(DELETES).boxed()
    }

    async fn delete_with_file(self, location: Path) -> Result<Path> {
        // Formats that name their files by place need not be asked where the object's is.
        let asks = self.formats().iter().any(|keyed| {
            let format = &keyed.format;
            format.writes_instruction_files() && format.instruction_files_of(&location).is_empty()
        });
        let file = match asks {
            true => self.current_file(&location).await?,
            false => None,
        };
        self.inner().delete(&location).await?;
        if let Some(file) = file {
            self.drop_unless_current(&location, &file).await;
        }
        self.delete_files_by_place(location).await
    }
}

/// Whether the answer says that nothing was written. Any other error leaves that open.
pub(crate) fn is_untouched<T>(answer: &Result<T>) -> bool {
    matches!(
        answer,
        Err(StoreError::AlreadyExists { .. }
            | StoreError::Precondition { .. }
            | StoreError::NotFound { .. }
            | StoreError::NotImplemented { .. }
            | StoreError::NotSupported { .. }
            | StoreError::PermissionDenied { .. }
            | StoreError::Unauthenticated { .. })
    )
}
