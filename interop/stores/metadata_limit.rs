use anyhow::{Result, bail, ensure};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore};

/// No server that has a limit takes this many bytes.
const BEYOND: usize = 4096;

/// The greatest metadata that the server takes, in bytes of all names and values together. It is
/// the same for a put and for a multipart upload, and for one long value and many short ones.
///
/// # Errors
/// When they differ, when there is no limit below 4 KiB, and when more is refused in another way
/// than as too large.
pub(crate) async fn metadata_limit(store: &dyn ObjectStore) -> Result<usize> {
    let (mut taken, mut refused) = (0, BEYOND);
    ensure!(!put(store, refused, 1).await?, "it takes {BEYOND} bytes");
    while refused - taken > 1 {
        let middle = taken.midpoint(refused);
        match put(store, middle, 1).await? {
            true => taken = middle,
            false => refused = middle,
        }
    }
    for pairs in [1, 7] {
        ensure!(
            put(store, taken, pairs).await? && !put(store, refused, pairs).await?,
            "{pairs} pairs have another limit than {taken} bytes"
        );
        ensure!(
            upload(store, taken, pairs).await? && !upload(store, refused, pairs).await?,
            "a multipart upload of {pairs} pairs has another limit than {taken} bytes"
        );
    }
    Ok(taken)
}

async fn put(store: &dyn ObjectStore, size: usize, pairs: usize) -> Result<bool> {
    let location = Path::from("metadata");
    let put = store.put_opts(&location, "abc".into(), metadata(size, pairs).into());
    taken(put.await.map(drop))
}

async fn upload(store: &dyn ObjectStore, size: usize, pairs: usize) -> Result<bool> {
    let location = Path::from("metadata");
    let started = store.put_multipart_opts(&location, metadata(size, pairs).into());
    let uploaded = async {
        let mut upload = started.await?;
        upload.put_part("abc".into()).await?;
        upload.complete().await.map(drop)
    };
    taken(uploaded.await)
}

fn taken(stored: object_store::Result<()>) -> Result<bool> {
    match stored {
        Ok(()) => Ok(true),
        Err(error) if error.to_string().contains("MetadataTooLarge") => Ok(false),
        Err(object_store::Error::Generic { source, .. })
            if matches!(
                source.downcast_ref(),
                Some(envelope_store::Error::MetadataTooLong { .. })
            ) =>
        {
            Ok(false)
        }
        Err(error) => bail!("not MetadataTooLarge but {error:?}"),
    }
}

/// This many bytes in this many pairs, whose names have one byte each.
fn metadata(size: usize, pairs: usize) -> Attributes {
    let values = size.saturating_sub(pairs);
    ('a'..='z')
        .take(pairs)
        .enumerate()
        .map(|(index, name)| {
            let length = values / pairs + usize::from(index < values % pairs);
            (
                Attribute::Metadata(name.to_string().into()),
                "v".repeat(length),
            )
        })
        .collect()
}
