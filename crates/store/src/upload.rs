use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{OutputBuffer, Transform};
use futures::future::{ready, try_join_all};
use futures::{FutureExt, TryFutureExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, PutPayload, PutResult, Result, UploadPart};

use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::format::Sealed;

/// A multipart upload that seals frames as parts come in, and sends parts of one length.
pub(crate) struct EncryptedUpload<S> {
    store: EncryptedStore<S>,
    inner: Box<dyn MultipartUpload>,
    location: Path,
    /// Taken when the upload is completed.
    body: Option<Box<dyn Transform + Send>>,
    /// Written when the upload is completed.
    instruction_file: Option<(Path, Bytes)>,
    /// Written already.
    written_file: Option<Path>,
    /// Ciphertext of a part that is not full yet.
    sealed: OutputBuffer,
    part_length: usize,
    /// Parts that were cut off, and those that the inner store has.
    begun: usize,
    sent: Arc<AtomicUsize>,
}

impl<S> EncryptedUpload<S> {
    pub(crate) fn new(
        store: EncryptedStore<S>,
        inner: Box<dyn MultipartUpload>,
        location: Path,
        object: Sealed,
    ) -> Self {
        Self {
            part_length: store.settings().part_length,
            store,
            inner,
            location,
            body: Some(object.body),
            instruction_file: object.instruction_file,
            written_file: None,
            sealed: OutputBuffer::new(),
            begun: 0,
            sent: Arc::default(),
        }
    }

    fn seal(&mut self, data: &PutPayload) -> envelope::Result<()> {
        let body = self.body.as_mut();
        let body = body.ok_or(envelope::Error::AlreadyFailed)?;
        data.iter()
            .try_for_each(|bytes| body.update(bytes, &mut self.sealed))
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
        self.begun += parts.len();
        let sending: Vec<_> = parts
            .into_iter()
            .map(|part| {
                let sent = Arc::clone(&self.sent);
                let sending = self.inner.put_part(part.into());
                sending.map_ok(move |()| sent.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        try_join_all(sending).map_ok(drop).boxed()
    }
}

#[async_trait]
impl<S: ObjectStore> MultipartUpload for EncryptedUpload<S> {
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
        let body = self.body.take();
        body.ok_or(envelope::Error::AlreadyFailed)
            .and_then(|body| body.finish(&mut self.sealed))
            .map_err(refused)?;
        let parts = self.full_parts(true);
        self.send(parts).await?;
        // Some stores would leave out a part that failed.
        if self.sent.load(Ordering::Relaxed) < self.begun {
            return Err(Error::PartsMissing {
                location: self.location.clone(),
            }
            .into());
        }
        let complete = self.inner.complete();
        match self.instruction_file.take() {
            Some(file) => {
                let store = &self.store;
                self.written_file = Some(file.0.clone());
                store.write_with_file(&self.location, file, complete).await
            }
            None => complete.await,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.body = None;
        self.inner.abort().await?;
        if let Some(file) = self.written_file.take() {
            self.store.drop_unless_current(&self.location, &file).await;
        }
        Ok(())
    }
}

impl<S: fmt::Debug> fmt::Debug for EncryptedUpload<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedUpload")
            .field("inner", &self.inner)
            .field("location", &self.location)
            .field("part_length", &self.part_length)
            .finish_non_exhaustive()
    }
}
