//! `object_store`'s own suite, over stores in the format of the S3 Encryption Client.

use anyhow::Result;
use envelope::WrappingKey;
use envelope_s3::S3ec;
use envelope_s3::keyring::Aes;
use envelope_store::EncryptedStore;

use crate::s3::S3;
use crate::seaweedfs::{BACKSLASH, OFFSETS};
use crate::suite::{LeftOut, Suite, View};

/// Keys in metadata, and keys in instruction files: each over an empty bucket of its own.
const BUCKETS: [&str; 2] = ["s3ec", "s3ec-files"];

/// What the format cannot do on S3, or the server cannot.
const LEFT_OUT: LeftOut = &[
    BACKSLASH,
    (
        "copy_if_not_exists",
        "object_store copies without metadata there, and keys are in metadata; it is refused",
    ),
];

/// Parts of objects are read without authentication, which the format needs to be told.
pub(crate) async fn check(server: &'static str, s3: &S3) -> Result<()> {
    let suite = Suite {
        server,
        left_out: LEFT_OUT,
        client_offsets: Some(OFFSETS),
        last_writer_wins: true,
    };
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
