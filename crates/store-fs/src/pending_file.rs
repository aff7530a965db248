use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use same_file::Handle;

use crate::error::{Error, Result};

/// Ends the name of a temporary file. A dot begins it.
pub(crate) const SUFFIX: &str = ".envelope-tmp";
/// Longer names, in bytes, are shortened: most file systems end at 255.
const LONGEST_NAME: usize = 200;
/// Times that another process may snatch the temporary file from under us.
const TRIES: usize = 8;

/// A file that is being written and appears at its place only when [`commit`](Self::commit)ted.
///
/// It is written beside its target, readable by its owner only, as `.NAME.envelope-tmp`. Dropped
/// without a commit it is removed. Whatever a killed process left behind is removed when the same
/// target is written again; a lock tells that from the file of a process still at work.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("report.txt");
/// use std::io::Write;
///
/// let mut file = envelope_fs::PendingFile::create(&path)?;
/// file.write_all(b"content")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"content");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PendingFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl PendingFile {
    /// Begins a file for `target`. A symbolic link is followed: the file that it names is
    /// replaced, not the link.
    ///
    /// # Errors
    /// [`Error::NotAFile`] when something else than a file is there, [`Error::InUse`] when
    /// another process is writing it, [`Error::Io`] when the folder cannot be written.
    pub fn create(target: impl AsRef<Path>) -> Result<Self> {
        let given = target.as_ref();
        let target = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
        let not_a_file = || Error::NotAFile {
            path: given.to_owned(),
        };
        if fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(not_a_file());
        }
        let name = target.file_name().ok_or_else(not_a_file)?;
        let temporary = target.with_file_name(temporary_name(name));
        let cannot_create = || Error::io("create", given);
        for _ in 0..TRIES {
            let file = match create_new(&temporary) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_leftover(&temporary, given)?;
                    continue;
                }
                Err(error) => return Err(cannot_create()(error)),
            };
            // Where the file system has no locks, leftovers stay until a person removes them.
            let _ = file.lock();
            // Before the lock was there, another process may have taken it for a leftover.
            if is_at(&file, &temporary) {
                return Ok(Self {
                    file,
                    temporary,
                    target,
                    committed: false,
                });
            }
        }
        Err(Error::InUse {
            target: given.to_owned(),
            temporary,
        })
    }

    /// Puts the file in its place: content on disk first, then the name.
    ///
    /// A folder that may be written and not read cannot be synced: there the name reaches the disk
    /// when the operating system pleases.
    ///
    /// # Errors
    /// [`Error::Io`]; the target is then as it was before, unless it was the disk that refused to
    /// sync its folder.
    pub fn commit(mut self) -> Result<()> {
        let target = self.target.clone();
        let written = |error| Error::io("write to disk", &target)(error);
        self.file.sync_all().map_err(written)?;
        let folder = open_folder(&target)?;
        fs::rename(&self.temporary, &target).map_err(Error::io("replace", &target))?;
        self.committed = true;
        folder.map_or(Ok(()), |folder| folder.sync_all().map_err(written))
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to tell of an error; the next writer of the target tries again.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn temporary_name(name: &std::ffi::OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    if name.len() <= LONGEST_NAME {
        temporary.push(name);
    } else {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        temporary.push(format!("{:016x}", hasher.finish()));
    }
    temporary.push(SUFFIX);
    temporary
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes a temporary file that no process holds.
fn remove_leftover(temporary: &Path, target: &Path) -> Result<()> {
    let cannot_remove = || Error::io("remove the leftover", temporary);
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let leftover = match OpenOptions::new().write(true).open(temporary) {
        Err(error) if gone(&error) => return Ok(()),
        opened => opened.map_err(cannot_remove())?,
    };
    match leftover.try_lock() {
        // Locked by us, and still the file at that path: its writer is dead.
        Ok(()) if is_at(&leftover, temporary) => match fs::remove_file(temporary) {
            Err(error) if !gone(&error) => Err(cannot_remove()(error)),
            _ => Ok(()),
        },
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            target: target.to_owned(),
            temporary: temporary.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(cannot_remove()(error)),
    }
}

/// Whether the open file is the one at this path.
fn is_at(file: &File, path: &Path) -> bool {
    let same = || -> io::Result<bool> {
        Ok(Handle::from_file(file.try_clone()?)? == Handle::from_path(path)?)
    };
    same().unwrap_or(false)
}

/// The folder of the target, to be synced. Only Unix lets folders be opened for that, and only
/// those who may read them.
pub(crate) fn open_folder(target: &Path) -> Result<Option<File>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match File::open(folder) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Error::io("open", folder)(error)),
    }
}
