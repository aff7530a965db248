use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Attributes, DynObjectStore, Extensions};
use tokio::io::AsyncWriteExt;

use crate::error::Error;
use crate::interrupt;

/// Where one object goes, and what with it.
pub(crate) struct Upload<'a> {
    pub(crate) store: &'a Arc<DynObjectStore>,
    pub(crate) to: &'a Path,
    pub(crate) attributes: Attributes,
    pub(crate) extensions: Extensions,
    pub(crate) part_length: usize,
}

impl Upload<'_> {
    /// Puts plaintext at its place, at once or in parts, and returns its length in bytes. Nothing
    /// appears there unless all of it came.
    ///
    /// # Errors
    /// Those of the plaintext, and the store's, which is called by `name`.
    pub(crate) async fn send(
        self,
        mut plaintext: BoxStream<'_, Result<Bytes, Error>>,
        name: &str,
    ) -> Result<u64, Error> {
        let failed = |source| Error::store(name, source);
        let store = Arc::clone(self.store);
        let mut upload = BufWriter::with_capacity(store, self.to.clone(), self.part_length)
            .with_attributes(self.attributes)
            .with_extensions(self.extensions);
        let mut total = 0;
        let sent: Result<(), Error> = async {
            while let Some(bytes) = interrupt::or(plaintext.try_next()).await?? {
                total += bytes.len() as u64;
                interrupt::or(upload.put(bytes)).await?.map_err(failed)?;
            }
            Ok(())
        }
        .await;
        if let Err(error) = sent {
            // The first error says more than one of tidying up.
            let _ = upload.abort().await;
            return Err(error);
        }
        // It tidies up by itself.
        upload.shutdown().await.map_err(of_io).map_err(failed)?;
        Ok(total)
    }
}

/// `BufWriter` hides the store's error in one of I/O.
fn of_io(error: io::Error) -> object_store::Error {
    match error.downcast() {
        Ok(error) => error,
        Err(error) => object_store::Error::Generic {
            store: "upload",
            source: error.into(),
        },
    }
}
