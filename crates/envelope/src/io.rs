//! Transforms over `std::io`.

use std::io::{self, Read, Write};

use crate::decrypt::{DecryptOptions, HeaderReader, UnverifiedHeader};
use crate::error::{Error, Result};
use crate::transform::{OutputBuffer, Transform};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// An [`Error`] travels through `std::io` as the inner error of an `io::Error`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Why [`copy`] stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The reader failed.
    #[error("reading the input failed")]
    Read(#[source] io::Error),
    /// The writer failed.
    #[error("writing the output failed")]
    Write(#[source] io::Error),
    /// The transform refused the input.
    #[error(transparent)]
    Envelope(#[from] Error),
}

/// Moves everything from a reader through a transform into a writer, in constant memory, and
/// flushes it. Returns how many bytes were read.
///
/// # Errors
/// What was written before an error is a beginning only.
pub fn copy<R, W, T>(reader: &mut R, transform: T, writer: &mut W) -> Result<u64, CopyError>
where
    R: Read + ?Sized,
    W: Write + ?Sized,
    T: Transform,
{
    let mut transform = Box::new(transform);
    let mut input = vec![0; CHUNK];
    let mut output = OutputBuffer::new();
    let mut total: u64 = 0;
    loop {
        let length = match reader.read(&mut input) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        total = total.saturating_add(length as u64);
        let updated = transform.update(input.get(..length).unwrap_or_default(), &mut output);
        // What was released before an error goes out: it is as good as before.
        writer
            .write_all(output.as_slice())
            .map_err(CopyError::Write)?;
        output.clear();
        updated?;
    }
    transform.finish(&mut output)?;
    writer
        .write_all(output.as_slice())
        .and_then(|()| writer.flush())
        .map_err(CopyError::Write)?;
    Ok(total)
}

/// Passes what is written through a transform into a writer.
///
/// ```
/// # futures::executor::block_on(async {
/// use envelope::io::TransformWriter;
/// use envelope::{EncryptOptions, Encryptor, MaterialsManager, RawAes, WrappingKey};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let options = EncryptOptions::default();
/// let materials = keyring.encryption_materials(options.request()?).await?;
///
/// let mut writer = TransformWriter::new(Vec::new(), Encryptor::new(materials, &options)?);
/// std::io::copy(&mut "hello".as_bytes(), &mut writer)?;
/// let message = writer.finish()?; // without it the message is truncated and will not open
/// assert_eq!(envelope::decrypt(&keyring, &message, &Default::default()).await?.plaintext, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TransformWriter<W, T> {
    inner: W,
    transform: Box<T>,
    output: OutputBuffer,
    failed: bool,
}

impl<W: Write, T: Transform> TransformWriter<W, T> {
    /// A writer in front of `inner`.
    pub fn new(inner: W, transform: T) -> Self {
        Self {
            inner,
            transform: Box::new(transform),
            output: OutputBuffer::new(),
            failed: false,
        }
    }

    /// Ends the input, writes the rest, flushes, and returns the inner writer.
    ///
    /// # Errors
    /// Those of the transform, as the inner error of an `io::Error`, and of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.check_unfailed()?;
        self.transform.finish(&mut self.output)?;
        self.inner.write_all(self.output.as_slice())?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W, T: Transform> TransformWriter<W, T> {
    /// The input of a failed write is in the transform already: writing it again would double it.
    fn check_unfailed(&self) -> io::Result<()> {
        match self.failed {
            true => Err(Error::AlreadyFailed.into()),
            false => Ok(()),
        }
    }
}

impl<W: Write, T: Transform> Write for TransformWriter<W, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_unfailed()?;
        self.failed = true;
        // In pieces, so that the output never grows with what is written at once.
        let piece = bytes.get(..CHUNK).unwrap_or(bytes);
        let updated = self.transform.update(piece, &mut self.output);
        // What was released before an error goes out: it is as good as before.
        self.inner.write_all(self.output.as_slice())?;
        self.output.clear();
        updated?;
        self.failed = false;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads from a reader through a transform.
///
/// The end of the input is reported only after the transform finished, so reading to the end
/// without an error means that everything verified.
#[derive(Debug)]
pub struct TransformReader<R, T> {
    inner: R,
    /// Taken when it finished.
    transform: Option<Box<T>>,
    input: Vec<u8>,
    output: OutputBuffer,
    /// Bytes of `output` already handed out.
    taken: usize,
    failed: bool,
    /// Comes after what was released before it.
    error: Option<Error>,
}

impl<R: Read, T: Transform> TransformReader<R, T> {
    /// A reader behind `inner`.
    pub fn new(inner: R, transform: T) -> Self {
        Self {
            inner,
            transform: Some(Box::new(transform)),
            input: vec![0; CHUNK],
            output: OutputBuffer::new(),
            taken: 0,
            failed: false,
            error: None,
        }
    }

    /// The transform, until the end was read.
    pub fn transform(&self) -> Option<&T> {
        self.transform.as_deref()
    }

    fn refill(&mut self) -> io::Result<()> {
        self.output.clear();
        self.taken = 0;
        while self.output.is_empty() {
            if let Some(error) = self.error.take() {
                return Err(error.into());
            }
            let Some(transform) = &mut self.transform else {
                return Ok(());
            };
            let length = match self.inner.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if length > 0 {
                let input = self.input.get(..length).unwrap_or_default();
                self.error = transform.update(input, &mut self.output).err();
            } else if let Some(transform) = self.transform.take() {
                transform.finish(&mut self.output)?;
            }
        }
        Ok(())
    }
}

impl<R: Read, T: Transform> Read for TransformReader<R, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            // An end of input after an error would pass a damaged message off as whole.
            return Err(Error::AlreadyFailed.into());
        }
        if self.taken == self.output.len() && !bytes.is_empty() {
            self.refill().inspect_err(|_| self.failed = true)?;
        }
        let mut ready = self.output.as_slice().get(self.taken..).unwrap_or_default();
        let length = ready.read(bytes)?;
        self.taken += length;
        Ok(length)
    }
}

/// Reads a message's header, and no more of its body than came along.
///
/// Returns the header and a reader of the body.
///
/// # Errors
/// [`CopyError::Read`], and those of [`UnverifiedHeader::parse_whole`].
pub fn read_header<R: Read>(
    mut reader: R,
    options: &DecryptOptions,
) -> Result<(UnverifiedHeader, impl Read + use<R>), CopyError> {
    let mut header = HeaderReader::new(options.clone());
    let mut chunk = vec![0; 4 << 10];
    let (header, body) = loop {
        let length = match reader.read(&mut chunk) {
            Ok(0) => break header.finish()?,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        if let Some(found) = header.feed(chunk.get(..length).unwrap_or_default())? {
            break found;
        }
    };
    Ok((header, io::Cursor::new(body).chain(reader)))
}

/// The envelope error inside an `io::Error`, if that is what it carries.
///
/// # Errors
/// Gives the `io::Error` back when it carries something else.
pub fn into_envelope_error(error: io::Error) -> Result<Error, io::Error> {
    error.downcast::<Error>()
}
