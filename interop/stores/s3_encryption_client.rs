//! `object_store`'s own suite, over stores in the format of the S3 Encryption Client. That format
//! leaves nothing out which the server can do, as long as parts may be read that nothing authenticates.

use anyhow::Result;
use envelope::WrappingKey;
use envelope_s3::S3ec;
use envelope_s3::keyring::Aes;
use envelope_store::EncryptedStore;

use crate::s3::S3;
use crate::suite::{Suite, View};

/// Keys in metadata, and keys in instruction files: each over an empty bucket of its own.
const BUCKETS: [&str; 2] = ["s3ec", "s3ec-files"];

pub(crate) async fn check(suite: &Suite, s3: &S3) -> Result<()> {
    s3.create_buckets(&BUCKETS).await?;
    let [metadata, files] = BUCKETS;
    for (view, bucket, format) in [
        (View::S3ec, metadata, S3ec::v3()),
        (
            View::S3ecInstructionFiles,
            files,
            S3ec::v3().instruction_files(),
        ),
    ] {
        let store = EncryptedStore::builder(suite.listing(s3.open(bucket)?))
            .format(format.danger().read_legacy_unauthenticated())
            .build(Aes::new(WrappingKey::generate()?));
        suite.every_store(view, &store).await?;
    }
    Ok(())
}
