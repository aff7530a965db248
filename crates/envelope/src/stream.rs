//! Transforms over streams of [`Bytes`].

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::decrypt::{DecryptOptions, HeaderReader, UnverifiedHeader};
use crate::decryptor::Decryptor;
use crate::encrypt::{EncryptOptions, Encryptor};
use crate::error::Error;
use crate::manager::MaterialsManager;
use crate::transform::{OutputBuffer, Transform};

/// Why a transformed stream ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError<E> {
    /// The input stream failed.
    #[error("reading the input failed")]
    Input(#[source] E),
    /// The transform refused the input.
    #[error(transparent)]
    Envelope(#[from] Error),
}

/// A stream passed through a transform. An item is whatever one input item released.
///
/// The stream ends only after the transform finished: reading it to the end without an error
/// means that everything verified.
#[derive(Debug)]
pub struct TransformStream<S, T> {
    inner: S,
    /// Body bytes that came with the header.
    first: Bytes,
    /// Taken when it finished or failed.
    transform: Option<Box<T>>,
    /// Comes after what was released before it.
    error: Option<Error>,
}

impl<S, T> TransformStream<S, T> {
    /// A stream behind `inner`.
    pub fn new(inner: S, transform: T) -> Self {
        Self {
            inner,
            first: Bytes::new(),
            transform: Some(Box::new(transform)),
            error: None,
        }
    }

    /// The transform, until the stream ended.
    pub fn transform(&self) -> Option<&T> {
        self.transform.as_deref()
    }
}

impl<S, T, E> Stream for TransformStream<S, T>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    T: Transform,
{
    type Item = Result<Bytes, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(error) = self.error.take() {
                self.transform = None;
                return Poll::Ready(Some(Err(error.into())));
            }
            if self.transform.is_none() {
                return Poll::Ready(None);
            }
            let input = if self.first.is_empty() {
                ready!(self.inner.poll_next_unpin(context)).transpose()
            } else {
                Ok(Some(std::mem::take(&mut self.first)))
            };
            // Handed out as `Bytes`, so each item needs memory of its own. About as much comes out
            // as went in, and a buffer that grows is copied.
            let expected = input
                .as_ref()
                .ok()
                .and_then(Option::as_ref)
                .map_or(0, Bytes::len);
            let mut output = OutputBuffer::with_capacity(expected);
            let result = match input {
                Err(error) => Err(StreamError::Input(error)),
                Ok(Some(bytes)) => {
                    let transform = self.transform.as_mut();
                    self.error =
                        transform.and_then(|transform| transform.update(&bytes, &mut output).err());
                    Ok(())
                }
                Ok(None) => match self.transform.take() {
                    Some(transform) => transform.finish(&mut output).map_err(StreamError::from),
                    None => Ok(()),
                },
            };
            if let Err(error) = result {
                self.transform = None;
                return Poll::Ready(Some(Err(error)));
            }
            if !output.is_empty() {
                return Poll::Ready(Some(Ok(output.into_vec().into())));
            }
        }
    }
}

/// Encrypts a stream into one message.
///
/// # Errors
/// As [`encrypt`](crate::encrypt), before the first item.
pub async fn encrypt<M, S, E>(
    manager: &M,
    plaintext: S,
    options: &EncryptOptions,
) -> Result<TransformStream<S, Encryptor>, Error>
where
    M: MaterialsManager + ?Sized,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let materials = manager.encryption_materials(options.request()?).await?;
    Ok(TransformStream::new(
        plaintext,
        Encryptor::new(materials, options)?,
    ))
}

/// Reads up to the end of the header, and returns it with the body bytes that came along.
///
/// # Errors
/// The input stream's, and those of [`HeaderReader`].
pub async fn read_header<S, E>(
    message: &mut S,
    options: &DecryptOptions,
) -> Result<(UnverifiedHeader, Bytes), StreamError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut reader = HeaderReader::new(options.clone());
    let (header, body) = loop {
        match message.next().await {
            Some(Err(error)) => return Err(StreamError::Input(error)),
            None => break reader.finish()?,
            Some(Ok(bytes)) => {
                if let Some(found) = reader.feed(&bytes)? {
                    break found;
                }
            }
        }
    };
    Ok((header, body.into()))
}

/// Decrypts a stream that is one message. Each frame is released once it verified; a signed
/// message needs [`DecryptOptions::allow_unverified_signature`].
///
/// ```
/// # futures::executor::block_on(async {
/// use bytes::Bytes;
/// use envelope::{AlgorithmSuite, DecryptOptions, EncryptOptions, RawAes, WrappingKey, stream};
/// use futures::{TryStreamExt, stream::iter};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let plaintext = iter([Ok::<_, std::io::Error>(Bytes::from("hel")), Ok(Bytes::from("lo"))]);
/// let sealing = EncryptOptions::default()
///     .with_suite(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
///
/// let message = stream::encrypt(&keyring, plaintext, &sealing).await?;
/// let opened = stream::decrypt(&keyring, message, &DecryptOptions::default()).await?;
/// assert_eq!(opened.try_collect::<Vec<_>>().await?.concat(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// Those of the header and its keys, and the input stream's, before the first item.
pub async fn decrypt<M, S, E>(
    manager: &M,
    mut message: S,
    options: &DecryptOptions,
) -> Result<TransformStream<S, Decryptor>, StreamError<E>>
where
    M: MaterialsManager + ?Sized,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let (header, body) = read_header(&mut message, options).await?;
    let materials = manager.decryption_materials(header.request()).await?;
    Ok(TransformStream {
        first: body,
        ..TransformStream::new(message, header.verify(materials)?)
    })
}
