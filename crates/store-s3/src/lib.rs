#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod keyring;

mod content;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metadata;
mod s3ec;

use envelope_store::MetadataLimit;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, Result};

pub use envelope_store::Rotation;
pub use error::{Error, ErrorClass};
pub use s3ec::{Danger, InstructionSuffix, S3ec};

/// Bytes of user metadata that S3 keeps for an object: names, without `x-amz-meta-`, and values.
pub const METADATA_LIMIT: usize = 2 << 10;

/// Opens the bucket that is configured. It refuses attributes that S3 could not keep.
///
/// # Errors
/// [`Error::PlainHttp`] when the endpoint, also one from the environment, is plain HTTP and the
/// configuration does not allow that, and as [`AmazonS3Builder::build`].
pub fn open(builder: AmazonS3Builder) -> Result<MetadataLimit<AmazonS3>> {
    check_endpoint(&builder)?;
    Ok(MetadataLimit::new(builder.build()?, METADATA_LIMIT))
}

/// `object_store` refuses plain HTTP too, but only at the first request, and retries that.
fn check_endpoint(builder: &AmazonS3Builder) -> Result<()> {
    let value = |key| builder.get_config_value(&key);
    let endpoint = value(AmazonS3ConfigKey::S3Endpoint).or(value(AmazonS3ConfigKey::Endpoint));
    let allowed = value(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    // The words that `object_store` takes for yes.
    let allowed = allowed.is_some_and(|allowed| {
        ["1", "true", "on", "yes", "y"].contains(&allowed.to_ascii_lowercase().as_str())
    });
    match endpoint {
        Some(endpoint) if !allowed && endpoint.to_ascii_lowercase().starts_with("http://") => {
            Err(Error::PlainHttp { endpoint }.into())
        }
        _ => Ok(()),
    }
}
