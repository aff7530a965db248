//! Reads keys that only their owner may read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// No key file is longer, in bytes; more is not worth reading.
const LONGEST_KEY_FILE: u32 = 64 << 10;

/// The file's bytes, if only its owner may use it. `field` names it in errors.
pub(super) fn read_private(
    field: &str,
    keyring_file: &Path,
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = beside(keyring_file, path);
    File::open(&path)
        .map_err(|error| format!("cannot open the file: {error}"))
        .and_then(|file| {
            check_private(&file, &path)?;
            read(file)
        })
        .map_err(|fault| format!("field {field:?}: {}: {fault}", path.display()))
}

/// The path of a file that only its owner may use, and that somebody else reads.
pub(super) fn private_path(
    field: &str,
    keyring_file: &Path,
    path: &Path,
) -> Result<PathBuf, String> {
    let path = beside(keyring_file, path);
    let checked = File::open(&path)
        .map_err(|error| format!("cannot open the file: {error}"))
        .and_then(|file| check_private(&file, &path));
    match checked {
        Ok(()) => Ok(path),
        Err(fault) => Err(format!("field {field:?}: {}: {fault}", path.display())),
    }
}

/// As [`read_private`], for text that need not be secret.
pub(super) fn read_public(field: &str, keyring_file: &Path, path: &Path) -> Result<String, String> {
    let path = beside(keyring_file, path);
    File::open(&path)
        .map_err(|error| format!("cannot open the file: {error}"))
        .and_then(read)
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).map_err(|_| "is not text".to_owned()))
        .map_err(|fault| format!("field {field:?}: {}: {fault}", path.display()))
}

/// A key within the keyring file makes that file one that only its owner may read.
pub(super) fn check_private_itself(keyring_file: &Path) -> Result<(), String> {
    File::open(keyring_file)
        .map_err(|error| error.to_string())
        .and_then(|opened| check_private(&opened, keyring_file))
        .map_err(|fault| format!("the keyring file holds a key: {fault}"))
}

/// A secret in an environment variable. The name is shown only if it can be one: people put the secret
/// itself there.
pub(super) fn read_variable(field: &str, name: &str) -> Result<Zeroizing<String>, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        return Err(format!(
            "field {field:?}: is no name of an environment variable; name one, and put the secret there"
        ));
    }
    std::env::var(name)
        .map(Zeroizing::new)
        .map_err(|_| format!("field {field:?}: the environment has no variable {name:?}; set it"))
}

/// Paths are relative to the keyring file.
pub(super) fn beside(keyring_file: &Path, path: &Path) -> PathBuf {
    keyring_file.parent().unwrap_or(Path::new("")).join(path)
}

fn read(file: File) -> Result<Zeroizing<Vec<u8>>, String> {
    // Room for all of it: a vector that grows leaves its old memory behind, key and all.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_KEY_FILE as usize + 1));
    file.take(LONGEST_KEY_FILE.into())
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read the file: {error}"))?;
    Ok(bytes)
}

/// Only the owner may read or write a file with a key.
fn check_private(file: &File, path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "others may use the file (mode {mode:03o}); run: chmod 600 {}",
                path.display()
            ));
        }
    }
    let _ = (file, path);
    Ok(())
}
