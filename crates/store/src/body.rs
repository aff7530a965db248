//! The bytes that the inner store answers with.

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{GetResult, Result};

pub(crate) type ByteStream = BoxStream<'static, Result<Bytes>>;

/// As [`GetResult::into_stream`], but a local file comes in pieces of a sensible length: those of
/// `object_store` have 8 KiB, each read on another thread.
#[cfg(all(feature = "fs", not(target_arch = "wasm32")))]
pub(crate) fn body(result: GetResult) -> ByteStream {
    match result.payload {
        object_store::GetResultPayload::File(file, path) => {
            pieces(file, path, result.meta, result.range)
        }
        _ => result.into_stream(),
    }
}

/// This range of a file. The path is for errors.
#[cfg(all(feature = "fs", not(target_arch = "wasm32")))]
pub(crate) fn pieces(
    file: std::fs::File,
    path: std::path::PathBuf,
    meta: object_store::ObjectMeta,
    range: std::ops::Range<u64>,
) -> ByteStream {
    use futures::stream::{StreamExt, try_unfold};
    use object_store::{Attributes, Error, Extensions, GetResultPayload};

    use crate::error::STORE;

    /// Bytes of a file that are read at once.
    const PIECE: u64 = 1 << 20;

    let end = range.end;
    try_unfold(range.start, move |start| {
        let range = start..end.min(start.saturating_add(PIECE));
        let copied = file.try_clone().map_err(|error| Error::Generic {
            store: STORE,
            source: error.into(),
        });
        let (path, meta) = (path.clone(), meta.clone());
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let next = range.end;
            let piece = GetResult {
                payload: GetResultPayload::File(copied?, path),
                meta,
                range,
                attributes: Attributes::new(),
                extensions: Extensions::new(),
            };
            Ok(Some((piece.bytes().await?, next)))
        }
    })
    .boxed()
}

/// As [`GetResult::into_stream`].
#[cfg(not(all(feature = "fs", not(target_arch = "wasm32"))))]
pub(crate) fn body(result: GetResult) -> ByteStream {
    result.into_stream()
}
