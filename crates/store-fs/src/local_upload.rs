use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, RenameTargetMode, Result, UploadPart};

use crate::error::Error;
use crate::local_store::{LocalStore, run_blocking};
use crate::staged_file::StagedFile;

/// A multipart upload into a temporary file.
#[derive(Debug)]
pub(crate) struct LocalUpload {
    store: LocalStore,
    location: Path,
    target: PathBuf,
    /// Nothing once the upload has ended, be it by a part that failed.
    staged: Arc<Mutex<Option<StagedFile>>>,
    /// Bytes of all parts so far.
    length: u64,
}

impl LocalUpload {
    pub(crate) fn new(
        store: LocalStore,
        location: Path,
        target: PathBuf,
        staged: StagedFile,
    ) -> Self {
        Self {
            store,
            location,
            target,
            staged: Arc::new(Mutex::new(Some(staged))),
            length: 0,
        }
    }

    fn take(&self) -> Result<StagedFile> {
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = broken(&self.target);
        Ok(staged.take().ok_or_else(ended)?)
    }
}

fn broken(target: &std::path::Path) -> impl FnOnce() -> Error + Send + 'static {
    let path = target.to_owned();
    move || Error::BrokenUpload { path }
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    /// Parts follow each other in the order of these calls, whichever is written first.
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.length;
        self.length += data.content_length() as u64;
        let staged = Arc::clone(&self.staged);
        let ended = broken(&self.target);
        run_blocking(move || {
            let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            // Put back only if all went well, so that nothing torn can be completed.
            let mut file = staged.take().ok_or_else(ended)?;
            file.write_at(offset, &data)?;
            *staged = Some(file);
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.take()?;
        if staged.written() != self.length {
            return Err(broken(&self.target)().into());
        }
        let staged = run_blocking(move || {
            staged.sync()?;
            Ok(staged)
        })
        .await?;
        let mode = RenameTargetMode::Overwrite;
        self.store.publish(staged, &self.location, mode).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.take().map(drop)
    }
}
