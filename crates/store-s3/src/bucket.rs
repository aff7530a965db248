use envelope_store::MetadataLimit;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, Result};

use crate::METADATA_LIMIT;
use crate::error::Error;

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
