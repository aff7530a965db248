#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod connector;
mod error;
mod server_encryption;

use envelope_store::MetadataLimit;
use object_store::Result;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};

pub use builder::GcsBuilder;
pub use error::Error;

/// Bytes of custom metadata that Cloud Storage keeps for an object: names, without `x-goog-meta-`,
/// and values.
pub const METADATA_LIMIT: usize = 8 << 10;

/// Opens the bucket that is configured. It refuses attributes that Cloud Storage could not keep.
/// For encryption by Cloud Storage, and for plain HTTP, there is [`GcsBuilder`].
///
/// # Errors
/// As [`GcsBuilder::build`].
pub fn open(google: GoogleCloudStorageBuilder) -> Result<MetadataLimit<GoogleCloudStorage>> {
    GcsBuilder::new(google).build()
}
