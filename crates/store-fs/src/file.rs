use std::fs::{File, Metadata};
use std::path::Path;

use envelope::io::{copy, read_header};
use envelope::{DecryptOptions, EncryptOptions, EncryptionContext, Encryptor, MaterialsManager};
use same_file::is_same_file;

use crate::error::{Error, Result};
use crate::pending_file::PendingFile;

/// Encrypts a file into one message, in constant memory. The target appears whole or not at all,
/// readable by its owner only; an older file in its place is replaced.
///
/// The manager is awaited; the bytes move on the calling thread. From asynchronous code that
/// must not block, call it where blocking is allowed.
///
/// # Errors
/// When source and target are the same file, when either cannot be used, and as
/// [`envelope::encrypt`]. The target is then as it was before.
pub async fn encrypt_file<M: MaterialsManager + ?Sized>(
    manager: &M,
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    options: &EncryptOptions,
) -> Result<()> {
    let (source, target) = (source.as_ref(), target.as_ref());
    let mut plaintext = open_source(source, Some(target))?;
    let refused = || Error::envelope(source);
    let mut request = options.request().map_err(refused())?;
    // Only of a regular file is the length known: that of a pipe is 0.
    if let Some(metadata) = plaintext.metadata().ok().filter(Metadata::is_file) {
        request.plaintext_length.get_or_insert(metadata.len());
    }
    let materials = manager.encryption_materials(request).await;
    let encryptor = Encryptor::new(materials.map_err(refused())?, options).map_err(refused())?;
    let mut message = PendingFile::create(target)?;
    copy(&mut plaintext, encryptor, &mut message).map_err(Error::copy(source, target))?;
    message.commit()
}

/// Decrypts a file that is one message, in constant memory, and returns its authenticated
/// context. The target appears only when the whole message verified, its signature included;
/// readable by its owner only. An older file in its place is replaced.
///
/// Blocks as [`encrypt_file`] does.
///
/// # Errors
/// When source and target are the same file, when either cannot be used, and as
/// [`envelope::decrypt`]. The target is then as it was before.
pub async fn decrypt_file<M: MaterialsManager + ?Sized>(
    manager: &M,
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    options: &DecryptOptions,
) -> Result<EncryptionContext> {
    let (source, target) = (source.as_ref(), target.as_ref());
    let failed = || Error::copy(source, target);
    let message = open_source(source, Some(target))?;
    // Nothing is at the target before the signature verified, so frames may go to the
    // temporary file as they come.
    let options = options.clone().allow_unverified_signature();
    let (header, mut body) = read_header(message, &options).map_err(failed())?;
    let materials = manager.decryption_materials(header.request()).await;
    let refused = || Error::envelope(source);
    let decryptor = header.verify(materials.map_err(refused())?);
    let decryptor = decryptor.map_err(refused())?;
    let context = decryptor.context().clone();
    let mut plaintext = PendingFile::create(target)?;
    copy(&mut body, decryptor, &mut plaintext).map_err(failed())?;
    plaintext.commit()?;
    Ok(context)
}

/// Opens what is to be read on the way to `target`, if that is a file.
///
/// # Errors
/// [`Error::NotAFile`] for a folder, [`Error::SameFile`] when it is the target itself, and
/// [`Error::Io`] when it cannot be opened.
pub fn open_source(source: impl AsRef<Path>, target: Option<&Path>) -> Result<File> {
    let source = source.as_ref();
    let cannot_open = || Error::io("open", source);
    let file = File::open(source).map_err(cannot_open())?;
    if file.metadata().map_err(cannot_open())?.is_dir() {
        return Err(Error::NotAFile {
            path: source.to_owned(),
        });
    }
    // An error means that there is no target yet, or that creating it will fail with a reason.
    match target {
        Some(target) if is_same_file(source, target).unwrap_or(false) => Err(Error::SameFile {
            path: target.to_owned(),
        }),
        _ => Ok(file),
    }
}
