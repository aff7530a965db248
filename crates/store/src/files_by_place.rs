//! Instruction files that are named by the place of their object alone, so that the file of an object
//! is overwritten by that of the next one.
//!
//! A file is written before its object, and only over the file that was seen before, where the store
//! has conditional writes. When the object is not written after all, the file of before is put back;
//! when another writer's file came over ours while our object stayed, ours is written again. What no
//! order of writes can help: a process that dies, or a write that is dropped, between file and object
//! leaves the old object without its keys; and so may two writers of one object at once in a store
//! without conditional writes, or three and more of which all but one fail. A key commitment on the
//! object turns a file of another object into an error.

use std::collections::BTreeSet;

use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error as StoreError, GetOptions, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult, Result, UpdateVersion,
};

use crate::attributes::stored;
use crate::beginning::{LONGEST_INSTRUCTION_FILE, TRIES};
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::format::InstructionFile;
use crate::instruction_files::is_untouched;

/// An instruction file, and which version of it.
pub(crate) struct StoredFile {
    pub(crate) file: InstructionFile,
    pub(crate) version: UpdateVersion,
}

/// Where an object is written, and how.
pub(crate) struct Write<'a> {
    pub(crate) location: &'a Path,
    pub(crate) mode: PutMode,
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// The files that an object at this place may have, whatever it is.
    pub(crate) fn files_by_place(&self, location: &Path) -> Vec<Path> {
        let formats = self.formats().iter();
        formats
            .flat_map(|keyed| keyed.format.instruction_files_of(location))
            .collect()
    }

    /// Writes an object behind its instruction file, over the file of the object before.
    pub(crate) async fn write_over_file<F>(
        &self,
        to: Write<'_>,
        file: &InstructionFile,
        write: F,
    ) -> Result<PutResult>
    where
        F: Future<Output = Result<PutResult>> + Send,
    {
        let (object_before, file_before) = self.put_file_before(&to, file).await?;
        let written = write.await;
        match &written {
            Ok(put) => self.put_file_again(&to, file, put).await?,
            Err(_) => {
                let untouched = is_untouched(&written);
                self.put_back(&to, file, untouched, object_before, file_before)
                    .await;
            }
        }
        written
    }

    /// Writes the file, unless the object cannot be written anyway.
    async fn put_file_before(
        &self,
        to: &Write<'_>,
        file: &InstructionFile,
    ) -> Result<(Option<ObjectMeta>, Option<StoredFile>)> {
        for _ in 0..TRIES {
            let object_before = self.object_before(to).await?;
            let file_before = self.stored_file(&file.location).await?;
            let mode = match &file_before {
                Some(before) => PutMode::Update(before.version.clone()),
                None => PutMode::Create,
            };
            // Otherwise another writer is at it.
            if self.put_file_if(file, mode).await? {
                return Ok((object_before, file_before));
            }
        }
        Err(Error::changes(to.location))
    }

    /// The object that is to be replaced, if the write's own conditions let it be.
    async fn object_before(&self, to: &Write<'_>) -> Result<Option<ObjectMeta>> {
        let found = match self.inner().head(to.location).await {
            Ok(meta) => Some(meta),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let path = to.location.to_string();
        match (&to.mode, &found) {
            (PutMode::Create, Some(_)) => Err(StoreError::AlreadyExists {
                path,
                source: "the object is there".into(),
            }),
            (PutMode::Update(version), Some(meta)) if version.e_tag == meta.e_tag => Ok(found),
            (PutMode::Update(_), _) => Err(StoreError::Precondition {
                path,
                source: "the object is another version".into(),
            }),
            _ => Ok(found),
        }
    }

    /// Another writer that failed, or was overwritten by this one, may have put its file over ours.
    async fn put_file_again(
        &self,
        to: &Write<'_>,
        file: &InstructionFile,
        put: &PutResult,
    ) -> Result<()> {
        let mut replaced: Option<StoredFile> = None;
        for _ in 0..TRIES {
            let now = self.stored_file(&file.location).await?;
            let ours = now
                .as_ref()
                .is_some_and(|now| now.file.content == file.content);
            if ours && replaced.is_none() {
                return Ok(());
            }
            let object = match self.inner().head(to.location).await {
                Ok(meta) => meta.e_tag,
                Err(StoreError::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let mode = match &now {
                Some(now) => PutMode::Update(now.version.clone()),
                None => PutMode::Create,
            };
            match (object == put.e_tag, ours, &replaced) {
                (true, true, _) | (false, false, _) | (false, true, None) => return Ok(()),
                // It is somebody else's object by now, whose file we replaced.
                (false, true, Some(theirs)) => {
                    self.put_file_if(&theirs.file, mode).await?;
                    return Ok(());
                }
                (true, false, _) => {
                    if self.put_file_if(file, mode).await? {
                        replaced = now;
                    }
                }
            }
        }
        Err(Error::changes(to.location))
    }

    /// Undoes the change of an instruction file whose object was not written. What fails here leaves
    /// what the first error left.
    async fn put_back(
        &self,
        to: &Write<'_>,
        file: &InstructionFile,
        untouched: bool,
        object_before: Option<ObjectMeta>,
        file_before: Option<StoredFile>,
    ) {
        let untouched = untouched
            || match (self.inner().head(to.location).await, &object_before) {
                (Ok(now), Some(before)) => {
                    now.e_tag == before.e_tag && now.last_modified == before.last_modified
                }
                (Err(StoreError::NotFound { .. }), None) => true,
                _ => false,
            };
        if !untouched {
            return;
        }
        // Of several that lose at once, the last to come has the file of the one before it to put
        // back, which then has another.
        for _ in 0..TRIES {
            match self.stored_file(&file.location).await {
                Ok(Some(now)) if now.file.content == file.content => {
                    match &file_before {
                        Some(before) => {
                            let mode = PutMode::Update(now.version);
                            let _ = self.put_file_if(&before.file, mode).await;
                        }
                        None => self.drop_unless_current(to.location, &file.location).await,
                    }
                    return;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Writes a file on this condition, where the store has conditional writes. False when it does
    /// not hold.
    pub(crate) async fn put_file_if(&self, file: &InstructionFile, mode: PutMode) -> Result<bool> {
        match self.put_file(file, mode).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
                self.put_file(file, PutMode::Overwrite).await.map(|_| true)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn put_file(
        &self,
        file: &InstructionFile,
        mode: PutMode,
    ) -> Result<PutResult> {
        let options = PutOptions {
            attributes: stored(&Attributes::new(), file.metadata.clone()),
            mode,
            ..PutOptions::default()
        };
        let content = file.content.clone().into();
        self.inner()
            .put_opts(&file.location, content, options)
            .await
    }

    /// An instruction file as it is stored; nothing when there is none.
    ///
    /// # Errors
    /// [`Error::NotAnInstructionFile`] for an object that has such a name by chance.
    pub(crate) async fn stored_file(&self, location: &Path) -> Result<Option<StoredFile>> {
        let Some(stored) = self.fetch_file(location).await? else {
            return Ok(None);
        };
        let content = &stored.file.content;
        let mut formats = self.formats().iter();
        match formats.any(|keyed| keyed.format.is_instruction_file(content)) {
            true => Ok(Some(stored)),
            false => Err(Error::not_an_instruction_file(location)),
        }
    }

    /// What is stored where an instruction file is.
    pub(crate) async fn fetch_file(&self, location: &Path) -> Result<Option<StoredFile>> {
        let result = match self.inner().get(location).await {
            Ok(result) if result.meta.size > LONGEST_INSTRUCTION_FILE => {
                return Err(Error::not_an_instruction_file(location));
            }
            Ok(result) => result,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let pairs = result.attributes.iter();
        let metadata = pairs.filter_map(|(name, value)| match name {
            Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
            _ => None,
        });
        let metadata = metadata.collect();
        let version = UpdateVersion {
            e_tag: result.meta.e_tag.clone(),
            version: result.meta.version.clone(),
        };
        let file = InstructionFile {
            location: location.clone(),
            content: result.bytes().await?,
            metadata,
        };
        Ok(Some(StoredFile { file, version }))
    }

    /// Drops the files that the object at this place before may have had, and the one that is there
    /// now, whose file is `current`, does not need. Objects that only have such a name stay.
    pub(crate) async fn drop_files_of_before(&self, location: &Path, current: Option<&Path>) {
        for file in self.files_by_place(location) {
            if Some(&file) != current {
                self.drop_unless_current(location, &file).await;
            }
        }
    }

    /// Drops the files that an object may have had which is gone.
    pub(crate) async fn delete_files_by_place(self, location: Path) -> Result<Path> {
        for file in self.files_by_place(&location) {
            match self.stored_file(&file).await {
                Ok(None) => {}
                Ok(Some(_)) => match self.inner().delete(&file).await {
                    Ok(()) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                },
                Err(error) if Error::of(&error).is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(location)
    }

    /// Copies an object and its file to where a file may have the same name already. False when the
    /// source changed meanwhile. With `optional` the object may be one that has no file.
    pub(crate) async fn copy_over_file(
        &self,
        (from, source): (&Path, &Path),
        (to, target): (&Path, &Path),
        optional: bool,
        options: &CopyOptions,
    ) -> Result<bool> {
        let found = match self.stored_file(source).await {
            // An object that only has such a name tells nothing of one that may have none.
            Err(error) if optional && Error::of(&error).is_some() => None,
            found => found?,
        };
        let Some(StoredFile { file, .. }) = found else {
            if !optional {
                return Ok(false);
            }
            self.copy_alone(from, to, options.clone()).await?;
            return Ok(true);
        };
        if from == to {
            self.inner().copy_opts(from, to, options.clone()).await?;
            return Ok(true);
        }
        let content = file.content.clone();
        let file = InstructionFile {
            location: target.clone(),
            ..file
        };
        let create = options.mode == CopyMode::Create;
        let write = Write {
            location: to,
            mode: match create {
                true => PutMode::Create,
                false => PutMode::Overwrite,
            },
        };
        let copy = async {
            self.copy_object(from, to, options.clone()).await?;
            let copied = self.inner().head(to).await?;
            Ok(PutResult {
                e_tag: copied.e_tag,
                version: copied.version,
                extensions: Default::default(),
            })
        };
        self.write_over_file(write, &file, copy).await?;
        let now = self.stored_file(source).await?;
        let unchanged = now.is_some_and(|now| now.file.content == content);
        // It is copied once more, and what was made is no object of somebody else.
        if !unchanged && create {
            self.inner().delete(to).await?;
        }
        if unchanged {
            self.copy_further_files(from, to, target).await?;
        }
        Ok(unchanged)
    }

    /// Copies the other files of an object, and drops those of the object that was there before.
    async fn copy_further_files(&self, from: &Path, to: &Path, current: &Path) -> Result<()> {
        let files = self.files_by_place(from).into_iter();
        for (source, target) in files.zip(self.files_by_place(to)) {
            if target == *current {
                continue;
            }
            match self.stored_file(&source).await {
                Ok(Some(StoredFile { file, .. })) => {
                    let location = target;
                    let file = InstructionFile { location, ..file };
                    self.put_file(&file, PutMode::Overwrite).await?;
                }
                Ok(None) => {
                    if let Ok(Some(_)) = self.stored_file(&target).await {
                        self.inner().delete(&target).await?;
                    }
                }
                // An object that only has such a name.
                Err(error) if Error::of(&error).is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Copies an object that has no instruction file, and drops the one of the object that was at
    /// `to` before, as far as the place tells it.
    pub(crate) async fn copy_alone(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> Result<()> {
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
    pub(crate) fn keeps_keys_in_metadata(&self) -> bool {
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
}
