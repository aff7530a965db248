//! Objects that can be trusted only when all of them was seen, and where they wait until then.

use bytes::{Bytes, BytesMut};
use envelope::stream::TransformStream;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, Result};

use crate::body::ByteStream;
use crate::error::Error;
use crate::format::{Longer, Waiting, WholeBody};

/// The plaintext of an object that verified.
pub(crate) enum Verified {
    AtHand(Bytes),
    #[cfg_attr(
        not(all(feature = "fs", not(target_arch = "wasm32"))),
        expect(dead_code, reason = "without files nothing waits in one")
    )]
    Stored(
        u64,
        TransformStream<ByteStream, Box<dyn envelope::Transform + Send>>,
    ),
}

/// Takes all of an object, and opens it when it verified.
pub(crate) async fn verified(
    location: &Path,
    body: ByteStream,
    whole: Box<dyn WholeBody>,
    waiting: Waiting,
    meta: &ObjectMeta,
) -> Result<Verified> {
    if meta.size <= waiting.in_memory {
        return in_memory(location, body, whole, meta).await;
    }
    let refused = || {
        Err(Error::TooLongToWait {
            location: location.clone(),
            length: meta.size,
            maximum: waiting.in_memory,
        }
        .into())
    };
    match waiting.longer {
        Longer::Refused => refused(),
        #[cfg(all(feature = "fs", not(target_arch = "wasm32")))]
        Longer::TemporaryFile => temporary_file::verified(location, body, whole, meta).await,
        #[cfg(not(all(feature = "fs", not(target_arch = "wasm32"))))]
        Longer::TemporaryFile => refused(),
    }
}

async fn in_memory(
    location: &Path,
    mut body: ByteStream,
    whole: Box<dyn WholeBody>,
    meta: &ObjectMeta,
) -> Result<Verified> {
    // The caller's limit is above this.
    let length = usize::try_from(meta.size).unwrap_or_default();
    let mut object = BytesMut::with_capacity(length);
    while let Some(bytes) = body.try_next().await? {
        if object.len().saturating_add(bytes.len()) > length {
            return Err(Error::length_not_as_told(location, meta.size));
        }
        object.extend_from_slice(&bytes);
    }
    if object.len() < length {
        return Err(Error::length_not_as_told(location, meta.size));
    }
    let plaintext = whole.open_at_once(object.into());
    let plaintext = plaintext.map_err(Error::envelope(location))?;
    Ok(Verified::AtHand(plaintext.into()))
}

#[cfg(all(feature = "fs", not(target_arch = "wasm32")))]
mod temporary_file {
    use std::fs::File;
    use std::io::Write;

    use envelope::stream::TransformStream;
    use futures::TryStreamExt;
    use object_store::path::Path;
    use object_store::{ObjectMeta, Result};

    use super::Verified;
    use crate::body::{ByteStream, pieces};
    use crate::error::{Error, STORE};
    use crate::format::{VerifiedBody, WholeBody};

    /// The file holds ciphertext, and nobody else can open it: it has no name.
    pub(super) async fn verified(
        location: &Path,
        mut body: ByteStream,
        mut whole: Box<dyn WholeBody>,
        meta: &ObjectMeta,
    ) -> Result<Verified> {
        let refused = Error::envelope(location);
        let mut file = blocking(tempfile::tempfile).await?;
        let mut length: u64 = 0;
        while let Some(bytes) = body.try_next().await? {
            length = length.saturating_add(bytes.len() as u64);
            if length > meta.size {
                return Err(Error::length_not_as_told(location, meta.size));
            }
            whole.verify(&bytes).map_err(&refused)?;
            file = blocking(move || file.write_all(&bytes).map(|()| file)).await?;
        }
        if length < meta.size {
            return Err(Error::length_not_as_told(location, meta.size));
        }
        let VerifiedBody {
            plaintext_length,
            transform,
        } = whole.verified().map_err(&refused)?;
        let stored = pieces(file, std::path::PathBuf::new(), meta.clone(), 0..length);
        Ok(Verified::Stored(
            plaintext_length,
            TransformStream::new(stored, transform),
        ))
    }

    /// Works on the file elsewhere, where there is an elsewhere.
    async fn blocking(
        work: impl FnOnce() -> std::io::Result<File> + Send + 'static,
    ) -> Result<File> {
        let done = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(work).await?,
            Err(_) => work(),
        };
        done.map_err(|error| object_store::Error::Generic {
            store: STORE,
            source: Box::new(TemporaryFileFailed(error)),
        })
    }

    /// Objects wait in the system's temporary folder.
    #[derive(Debug, thiserror::Error)]
    #[error(
        "the temporary file for an object that is not verified yet failed: {0}; make room in {folder}, choose another with TMPDIR, or let longer objects wait in memory",
        folder = std::env::temp_dir().display()
    )]
    struct TemporaryFileFailed(#[source] std::io::Error);
}
