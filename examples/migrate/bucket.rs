use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use envelope::Keyring;
use envelope_s3::S3ec;
use envelope_store::EncryptedStore;
use futures::stream;
use object_store::path::Path;
use object_store::{Attribute, Attributes, DynObjectStore};

use crate::keys::DemonstrationKeys;
use crate::objects::{self, Digest};
use crate::place::Place;

/// Nothing, around a block of the cipher, and more than a part.
const LENGTHS: [u64; 7] = [0, 1, 15, 16, 17, 1000, (9 << 20) + 3];
const LONG: u64 = 64 << 20;
/// What is made up at once, in bytes.
const PIECE: u64 = 64 << 10;

/// A bucket of S3 Encryption Client objects that are made up.
pub(crate) struct Bucket<'a> {
    place: &'a Place,
    /// The SHA-256 of each object's content.
    pub(crate) digests: BTreeMap<Path, Digest>,
}

impl<'a> Bucket<'a> {
    /// Fills it: each format with keys in metadata and in instruction files.
    pub(crate) async fn fill(place: &'a Place, keys: &DemonstrationKeys) -> Result<Self> {
        let mut bucket = Self {
            place,
            digests: BTreeMap::new(),
        };
        let (v1, v2, v3) = (keys.v1.clone(), keys.v2.clone(), keys.v3.clone());
        bucket.put_format("v1", S3ec::legacy_v1(), v1).await?;
        bucket.put_format("v2", S3ec::v2(), v2).await?;
        bucket.put_format("v3", S3ec::v3(), v3.clone()).await?;
        bucket.put("long", S3ec::v3(), v3, &[LONG]).await?;
        Ok(bucket)
    }

    async fn put_format(
        &mut self,
        name: &str,
        format: S3ec,
        keyring: Arc<dyn Keyring>,
    ) -> Result<()> {
        let files = format.clone().instruction_files();
        let folder = format!("{name}/metadata");
        self.put(&folder, format, Arc::clone(&keyring), &LENGTHS)
            .await?;
        let folder = format!("{name}/instruction-file");
        self.put(&folder, files, keyring, &LENGTHS).await
    }

    async fn put(
        &mut self,
        folder: &str,
        format: S3ec,
        keyring: Arc<dyn Keyring>,
        lengths: &[u64],
    ) -> Result<()> {
        let store = EncryptedStore::builder(Arc::clone(&self.place.store))
            .format(format)
            .build(keyring);
        let store: Arc<DynObjectStore> = Arc::new(store);
        let attributes: Attributes = [
            (Attribute::ContentType, "application/octet-stream"),
            (Attribute::Metadata("origin".into()), "made up"),
        ]
        .into_iter()
        .collect();
        for &length in lengths {
            let location = Path::from(format!("{folder}/{length}"));
            let seed = self.digests.len() as u64;
            let content = stream::iter(content(seed, length)?.map(Ok));
            let (digest, _) = objects::put(&store, &location, attributes.clone(), content).await?;
            self.digests.insert(location, digest);
        }
        Ok(())
    }
}

/// Bytes in pieces, each of them another number, repeated. No two objects have the same.
fn content(seed: u64, length: u64) -> Result<impl Iterator<Item = Bytes>> {
    let words = usize::try_from(PIECE / 8)?;
    let last = usize::try_from(length % PIECE)?;
    let whole = length / PIECE;
    let piece = move |index: u64, words| ((seed << 32) | index).to_le_bytes().repeat(words);
    let pieces = (0..whole).map(move |index| Bytes::from(piece(index, words)));
    let mut rest = piece(whole, last.div_ceil(8));
    rest.truncate(last);
    Ok(pieces.chain((last > 0).then(|| rest.into())))
}
