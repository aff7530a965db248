use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{OutputBuffer, Transform};
use futures::future::{ready, try_join_all};
use futures::{FutureExt, TryFutureExt};
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, PutMode, PutPayload, PutResult, Result, UploadPart,
};

use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::format::{InstructionFile, Sealed};

/// A multipart upload that seals frames as parts come in, and sends parts of one length.
pub(crate) struct EncryptedUpload<S> {
    store: EncryptedStore<S>,
    inner: Box<dyn MultipartUpload>,
    location: Path,
    /// Taken when the upload is completed.
    body: Option<Box<dyn Transform + Send>>,
    /// Written when the upload is completed.
    instruction_file: Option<InstructionFile>,
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
        let part_length = store.settings().part_length;
        Self {
            part_length,
            store,
            inner,
            location,
            body: Some(object.body),
            instruction_file: object.instruction_file,
            sealed: new_part(part_length),
            begun: 0,
            sent: Arc::default(),
        }
    }

    /// Seals frames, and cuts off each part as it gets full.
    fn seal(&mut self, data: &PutPayload) -> envelope::Result<Vec<Bytes>> {
        let body = self.body.as_mut();
        let body = body.ok_or(envelope::Error::AlreadyFailed)?;
        let mut parts = Vec::new();
        for mut bytes in data.iter().map(Bytes::as_ref) {
            while !bytes.is_empty() {
                // Little more than fills the part: what is sealed beyond it is copied.
                let room = self.part_length.saturating_sub(self.sealed.len());
                let (now, later) = bytes.split_at(room.max(LEAST).min(bytes.len()));
                body.update(now, &mut self.sealed)?;
                bytes = later;
                while self.sealed.len() >= self.part_length {
                    parts.push(cut(&mut self.sealed, self.part_length));
                }
            }
        }
        Ok(parts)
    }

    /// What is left at the end: parts that are full, and the last one, full or not.
    fn last_parts(&mut self) -> Vec<Bytes> {
        let mut sealed = Bytes::from(std::mem::take(&mut self.sealed).into_vec());
        let mut parts = Vec::new();
        while !sealed.is_empty() {
            parts.push(sealed.split_to(self.part_length.min(sealed.len())));
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
        match self.seal(&data) {
            Ok(parts) => self.send(parts),
            Err(error) => ready(Err(Error::envelope(&self.location)(error))).boxed(),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let refused = Error::envelope(&self.location);
        let body = self.body.take();
        body.ok_or(envelope::Error::AlreadyFailed)
            .and_then(|body| body.finish(&mut self.sealed))
            .map_err(refused)?;
        let parts = self.last_parts();
        self.send(parts).await?;
        // Some stores would leave out a part that failed.
        if self.sent.load(Ordering::Relaxed) < self.begun {
            return Err(Error::PartsMissing {
                location: self.location.clone(),
            }
            .into());
        }
        let (store, file) = (&self.store, self.instruction_file.take());
        let complete = self.inner.complete();
        let mode = PutMode::Overwrite;
        store.write(&self.location, file, mode, complete).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.body = None;
        self.inner.abort().await
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

/// Memory for a part and for a frame beyond it, as a buffer that grows is copied and may be twice as
/// long. The system gives it when it is written to.
fn new_part(length: usize) -> OutputBuffer {
    OutputBuffer::with_capacity(length.saturating_add(length / 16))
}

/// Takes a full part and leaves what is beyond it.
fn cut(sealed: &mut OutputBuffer, length: usize) -> Bytes {
    let mut part = std::mem::replace(sealed, new_part(length)).into_vec();
    sealed.extend_from_slice(part.get(length..).unwrap_or_default());
    part.truncate(length);
    // Without what was meant for a frame beyond.
    part.into_boxed_slice().into()
}

/// Bytes of plaintext that are sealed at once at least.
const LEAST: usize = 64 << 10;
