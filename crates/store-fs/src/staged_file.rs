use std::fs::{DirBuilder, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use object_store::PutPayload;
use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};
use crate::pending_file::{SUFFIX, open_folder};

/// Random characters in the name of a temporary file.
const NAME_LENGTH: usize = 12;
/// Times that the folder may be removed from under us.
const TRIES: usize = 8;

/// A file beside its target, readable by its owner only from the first byte on. Removed when
/// dropped, unless it was renamed.
///
/// Unlike a [`PendingFile`](crate::PendingFile), many may be there for one target.
#[derive(Debug)]
pub(crate) struct StagedFile {
    file: NamedTempFile,
    target: PathBuf,
    written: u64,
}

impl StagedFile {
    pub(crate) fn create(target: PathBuf) -> Result<Self> {
        let folder = target.parent().unwrap_or(Path::new("."));
        let cannot_create = || Error::io("create", &target);
        for _ in 0..TRIES {
            let mut builder = Builder::new();
            builder.prefix(".").suffix(SUFFIX).rand_bytes(NAME_LENGTH);
            match builder.tempfile_in(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => create_folder(folder)?,
                created => {
                    return Ok(Self {
                        file: created.map_err(cannot_create())?,
                        target,
                        written: 0,
                    });
                }
            }
        }
        Err(cannot_create()(io::ErrorKind::NotFound.into()))
    }

    /// Writes at this offset; what lies between may come later.
    pub(crate) fn write_at(&mut self, offset: u64, payload: &PutPayload) -> Result<()> {
        let file = self.file.as_file_mut();
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| payload.iter().try_for_each(|bytes| file.write_all(bytes)))
            .map_err(Error::io("write", &self.target))?;
        self.written += payload.content_length() as u64;
        Ok(())
    }

    /// Puts the content on disk. The file is then complete, and waits to be renamed.
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = self.file.as_file().sync_all();
        synced.map_err(Error::io("write to disk", &self.target))
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The name in the folder of its target.
    pub(crate) fn name(&self) -> Option<&str> {
        self.file.path().file_name()?.to_str()
    }
}

/// Whether a file of this name is, or was left behind as, one that is being written.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(SUFFIX)
}

/// Makes what is missing of a folder, for its owner only, and puts that on disk.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    let ancestors = folder.ancestors();
    let missing: Vec<_> = ancestors.take_while(|folder| !folder.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(Error::io("create", folder))?;
    for folder in missing {
        let parent = open_folder(folder)?;
        let synced = parent.as_ref().map_or(Ok(()), File::sync_all);
        synced.map_err(Error::io("write to disk", folder))?;
    }
    Ok(())
}
