use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Encryptor, OutputBuffer};
use futures::FutureExt;
use futures::future::{ready, try_join_all};
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use crate::error::Error;

/// A multipart upload that seals frames as parts come in, and sends parts of one length.
#[derive(Debug)]
pub(crate) struct EncryptedUpload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    /// Taken when the upload is completed.
    encryptor: Option<Encryptor>,
    /// Ciphertext of a part that is not full yet.
    sealed: OutputBuffer,
    part_length: usize,
}

impl EncryptedUpload {
    pub(crate) fn new(
        inner: Box<dyn MultipartUpload>,
        location: Path,
        encryptor: Encryptor,
        part_length: usize,
    ) -> Self {
        Self {
            inner,
            location,
            encryptor: Some(encryptor),
            sealed: OutputBuffer::new(),
            part_length,
        }
    }

    fn seal(&mut self, data: &PutPayload) -> envelope::Result<()> {
        let encryptor = self.encryptor.as_mut();
        let encryptor = encryptor.ok_or(envelope::Error::AlreadyFailed)?;
        data.iter()
            .try_for_each(|bytes| encryptor.update(bytes, &mut self.sealed))
    }

    /// Cuts off the parts that are full; at the end also the last one, full or not.
    fn full_parts(&mut self, at_end: bool) -> Vec<Bytes> {
        if self.sealed.len() < self.part_length && !at_end {
            return Vec::new();
        }
        let mut sealed = Bytes::from(std::mem::take(&mut self.sealed).into_vec());
        let mut parts = Vec::new();
        while sealed.len() >= self.part_length {
            parts.push(sealed.split_to(self.part_length));
        }
        if at_end && !sealed.is_empty() {
            parts.push(sealed);
        } else {
            self.sealed.extend_from_slice(&sealed);
        }
        parts
    }

    /// Sends parts side by side.
    fn send(&mut self, parts: Vec<Bytes>) -> UploadPart {
        let sending: Vec<_> = parts
            .into_iter()
            .map(|part| self.inner.put_part(part.into()))
            .collect();
        try_join_all(sending).map(|sent| sent.map(drop)).boxed()
    }
}

#[async_trait]
impl MultipartUpload for EncryptedUpload {
    /// Frames are numbered in the order of these calls, so they are sealed here and not in the
    /// future that is returned.
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if let Err(error) = self.seal(&data) {
            return ready(Err(Error::envelope(&self.location)(error))).boxed();
        }
        let parts = self.full_parts(false);
        self.send(parts)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let refused = Error::envelope(&self.location);
        let encryptor = self.encryptor.take();
        encryptor
            .ok_or(envelope::Error::AlreadyFailed)
            .and_then(|encryptor| encryptor.finish(&mut self.sealed))
            .map_err(refused)?;
        let parts = self.full_parts(true);
        self.send(parts).await?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.encryptor = None;
        self.inner.abort().await
    }
}
