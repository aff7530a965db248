//! What happens to an instruction file when its object is written, moved or deleted.
//!
//! A file is written before its object and dropped after it. Whatever stops in between leaves a
//! file without an object, which harms nobody.
//!
//! No store offers to change two objects at once, so two cases remain in which an object can end up
//! without its file: its path is given back to it, by a copy or a rename, in the very moment in which
//! another client drops that file; and the process dies in the middle of a copy whose source was
//! overwritten while it was copied.

use std::collections::BTreeSet;

use futures::future::ready;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error as StoreError, GetOptions, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutOptions, PutResult, RenameOptions, RenameTargetMode, Result,
};

use crate::attributes::stored;
use crate::beginning::{Closed, Request, TRIES};
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::format::{InstructionFile, Opening};

/// Objects that are deleted at once when their headers must be read first.
const DELETES: usize = 16;

impl<S: ObjectStore> EncryptedStore<S> {
    /// Whether an object at this place would be an instruction file of any format.
    pub(crate) fn is_instruction_file(&self, location: &Path) -> bool {
        let mut formats = self.formats().iter();
        formats.any(|keyed| keyed.format.object_of_instruction_file(location).is_some())
    }

    /// The files that an object at this place may have, whatever it is.
    fn files_by_place(&self, location: &Path) -> Vec<Path> {
        let formats = self.formats().iter();
        formats
            .flat_map(|keyed| keyed.format.instruction_files_of(location))
            .collect()
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
    /// that was there before. With `create` the write fails where there is an object already.
    pub(crate) async fn write<F>(
        &self,
        location: &Path,
        file: Option<InstructionFile>,
        create: bool,
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
            let current = file.location.clone();
            let write = self.write_over_file(location, file, create, write);
            let written = write.await?;
            self.drop_files_of_before(location, Some(&current)).await;
            return Ok(written);
        }
        let before = self.current_file(location).await?;
        self.put_file(&file).await?;
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

    /// As [`write`](Self::write), where the file of the object before may have the same name. It is
    /// put back when the object is still there after all.
    async fn write_over_file<T, F>(
        &self,
        location: &Path,
        file: InstructionFile,
        create: bool,
        write: F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let object_before = match self.inner().head(location).await {
            Ok(_) if create => {
                return Err(StoreError::AlreadyExists {
                    path: location.to_string(),
                    source: "the object is there".into(),
                });
            }
            Ok(meta) => Some(meta),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let file_before = match object_before {
            Some(_) => self.stored_file(&file.location).await?,
            None => None,
        };
        self.put_file(&file).await?;
        let written = write.await;
        if written.is_err() {
            self.put_back(location, &file, object_before, file_before)
                .await;
        }
        written
    }

    /// Undoes the change of an instruction file whose object was not written. What fails here leaves
    /// what the first error left.
    async fn put_back(
        &self,
        location: &Path,
        file: &InstructionFile,
        object_before: Option<ObjectMeta>,
        file_before: Option<InstructionFile>,
    ) {
        let untouched = match (self.inner().head(location).await, &object_before) {
            (Ok(now), Some(before)) => {
                now.e_tag == before.e_tag && now.last_modified == before.last_modified
            }
            (Err(StoreError::NotFound { .. }), None) => true,
            _ => false,
        };
        // Another client may have written its own since.
        let ours = matches!(self.stored_file(&file.location).await,
            Ok(Some(now)) if now.content == file.content);
        match file_before {
            Some(before) if untouched && ours => {
                let _ = self.put_file(&before).await;
            }
            None if untouched && ours => self.drop_file(&file.location).await,
            _ => {}
        }
    }

    async fn put_file(&self, file: &InstructionFile) -> Result<PutResult> {
        let options = PutOptions::from(stored(&Attributes::new(), file.metadata.clone()));
        let content = file.content.clone().into();
        self.inner()
            .put_opts(&file.location, content, options)
            .await
    }

    /// An instruction file as it is stored; nothing when there is none.
    async fn stored_file(&self, location: &Path) -> Result<Option<InstructionFile>> {
        let result = match self.inner().get(location).await {
            Ok(result) => result,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = result
            .attributes
            .iter()
            .filter_map(|(name, value)| match name {
                Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
                _ => None,
            });
        Ok(Some(InstructionFile {
            location: location.clone(),
            metadata: metadata.collect(),
            content: result.bytes().await?,
        }))
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

    /// Copies an object that has no instruction file, and drops the one of the object that was at
    /// `to` before, as far as the place tells it.
    async fn copy_alone(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.copy_object(from, to, options).await?;
        self.drop_files_of_before(to, None).await;
        Ok(())
    }

    /// Copies an object and what its format says in its metadata. Where nothing may be overwritten,
    /// some stores copy the bytes alone, as `object_store` does on S3: that is no copy.
    async fn copy_object(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let create = options.mode == CopyMode::Create;
        self.inner().copy_opts(from, to, options).await?;
        if !create || !self.keeps_keys_in_metadata() {
            return Ok(());
        }
        if self.own_metadata(from).await? == self.own_metadata(to).await? {
            return Ok(());
        }
        self.inner().delete(to).await?;
        Err(Error::MetadataNotCopied {
            location: from.clone(),
        }
        .into())
    }

    /// Whether the bytes of an object alone may not be enough to read it.
    fn keeps_keys_in_metadata(&self) -> bool {
        let mut formats = self.formats().iter();
        formats.any(|keyed| keyed.format.beginning_length() == 0)
    }

    /// Names of an object's metadata that are the formats' own.
    async fn own_metadata(&self, location: &Path) -> Result<BTreeSet<String>> {
        let head = GetOptions::new().with_head(true);
        let result = self.inner().get_opts(location, head).await?;
        let names = result.attributes.iter().filter_map(|(name, _)| match name {
            Attribute::Metadata(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let own = |name: &String| {
            let mut formats = self.formats().iter();
            formats.any(|keyed| keyed.format.owns_metadata(name))
        };
        Ok(names.filter(own).collect())
    }

    /// Drops the files that the object at this place before may have had, and the one that is there
    /// now, whose file is `current`, does not need.
    async fn drop_files_of_before(&self, location: &Path, current: Option<&Path>) {
        for file in self.files_by_place(location) {
            if Some(&file) != current && self.inner().head(&file).await.is_ok() {
                self.drop_unless_current(location, &file).await;
            }
        }
    }

    /// Copies an object and its file to where a file may have the same name already. False when the
    /// source changed meanwhile. With `optional` the object may be one that has no file.
    async fn copy_over_file(
        &self,
        (from, source): (&Path, &Path),
        (to, target): (&Path, &Path),
        optional: bool,
        options: &CopyOptions,
    ) -> Result<bool> {
        let Some(file) = self.stored_file(source).await? else {
            if !optional {
                return Ok(false);
            }
            self.copy_alone(from, to, options.clone()).await?;
            return Ok(true);
        };
        if source == target {
            self.inner().copy_opts(from, to, options.clone()).await?;
            return Ok(true);
        }
        let content = file.content.clone();
        let file = InstructionFile {
            location: target.clone(),
            ..file
        };
        let create = options.mode == CopyMode::Create;
        let copy = self.copy_object(from, to, options.clone());
        self.write_over_file(to, file, create, copy).await?;
        let now = self.stored_file(source).await?;
        let unchanged = now.is_some_and(|now| now.content == content);
        // It is copied once more, and what was made is no object of somebody else.
        if !unchanged && create {
            self.inner().delete(to).await?;
        }
        Ok(unchanged)
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
    async fn drop_unless_current(&self, location: &Path, file: &Path) {
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

    /// Drops the files that an object may have had which is gone.
    async fn delete_files_by_place(self, location: Path) -> Result<Path> {
        for file in self.files_by_place(&location) {
            match self.inner().delete(&file).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(location)
    }
}

/// Whether the answer says that nothing was written. Any other error leaves that open.
fn is_untouched<T>(answer: &Result<T>) -> bool {
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
