//! `object_store`'s own suite, over stores in the format of the S3 Encryption Client.

use anyhow::Result;
use envelope::WrappingKey;
use envelope_s3::S3ec;
use envelope_s3::keyring::Aes;
use envelope_store::EncryptedStore;

use crate::s3::S3;
use crate::seaweedfs::{BACKSLASH, OFFSETS};
use crate::suite::{LeftOut, Suite, View};

/// Why copies that must not overwrite are left out.
const COPY: (&str, &str) = (
    "copy_if_not_exists",
    "object_store copies without metadata there, and keys are in metadata; it is refused",
);
/// Why reads between writes are left out where keys are in instruction files.
const READS: (&str, &str) = (
    "put_opts",
    "who reads between the writes of a file and of its object gets a commitment error",
);

/// Keys in metadata, and keys in instruction files: each over an empty bucket of its own, and with
/// what cannot be done there.
fn cases() -> [(View, &'static str, S3ec, LeftOut); 2] {
    [
        (View::S3ec, "s3ec", S3ec::v3(), &[BACKSLASH, COPY]),
        (
            View::S3ecInstructionFiles,
            "s3ec-files",
            S3ec::v3().instruction_files(),
            &[BACKSLASH, COPY, READS],
        ),
    ]
}

/// Parts of objects are read without authentication, which the format needs to be told.
pub(crate) async fn check(server: &'static str, s3: &S3) -> Result<()> {
    for (view, bucket, format, left_out) in cases() {
        let suite = Suite {
            server,
            left_out,
            client_offsets: Some(OFFSETS),
            last_writer_wins: true,
        };
        s3.create_buckets(&[bucket]).await?;
        let store = EncryptedStore::builder(suite.listing(s3.open(bucket)?))
            .format(format.danger().read_legacy_unauthenticated())
            .build(Aes::new(WrappingKey::generate()?));
        suite.every_store(view, &store).await?;
    }
    Ok(())
}
