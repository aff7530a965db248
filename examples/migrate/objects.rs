//! Objects as streams: no more than a few parts of one are in memory.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::stream::{Stream, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Attributes, DynObjectStore, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// Parts of one upload that are sent at once.
const PARTS_AT_ONCE: usize = 2;
/// Length of a part in bytes: enough for 78 GiB on S3, and more than the S3 Encryption Client can
/// write.
pub(crate) const PART_LENGTH: usize = 8 << 20;

/// Puts content at its place, in parts, and returns its digest and length. Nothing appears there
/// unless all of it came.
pub(crate) async fn put(
    store: &Arc<DynObjectStore>,
    location: &Path,
    attributes: Attributes,
    content: impl Stream<Item = object_store::Result<Bytes>>,
) -> Result<(Digest, u64)> {
    let mut writer = BufWriter::with_capacity(Arc::clone(store), location.clone(), PART_LENGTH)
        .with_max_concurrency(PARTS_AT_ONCE)
        .with_attributes(attributes);
    let mut digest = Sha256::new();
    let mut length: u64 = 0;
    let mut content = std::pin::pin!(content);
    let sent: Result<()> = async {
        while let Some(bytes) = content.try_next().await? {
            digest.update(&bytes);
            length += bytes.len() as u64;
            writer.put(bytes).await?;
        }
        Ok(())
    }
    .await;
    if let Err(error) = sent {
        // The first error says more than one of tidying up.
        let _ = writer.abort().await;
        return Err(error).with_context(|| format!("{location} was not written"));
    }
    writer.shutdown().await?;
    Ok((digest.finalize().into(), length))
}

/// The digest of an object's content.
pub(crate) async fn digest(store: &Arc<DynObjectStore>, location: &Path) -> Result<Digest> {
    let mut content = store.get(location).await?.into_stream();
    let mut digest = Sha256::new();
    while let Some(bytes) = content.try_next().await? {
        digest.update(&bytes);
    }
    Ok(digest.finalize().into())
}
