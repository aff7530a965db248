use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    ClientConfigKey, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::attributes;
use crate::error::Error;

/// A bucket that refuses attributes S3 could not keep, before it sends anything, and plain HTTP
/// unless that was asked for.
///
/// It is to be wrapped in an `EncryptedStore` of `envelope-store`. On its own it encrypts nothing.
/// It signs no URLs: whoever followed one would read and write ciphertext.
#[derive(Debug, Clone)]
pub struct S3Store {
    inner: AmazonS3,
}

impl S3Store {
    /// The bucket that is configured.
    ///
    /// # Errors
    /// [`Error::PlainHttp`] when the endpoint, also one from the environment, is plain HTTP and the
    /// configuration does not allow that, and as [`AmazonS3Builder::build`].
    pub fn new(builder: AmazonS3Builder) -> Result<Self> {
        check_endpoint(&builder)?;
        Ok(Self {
            inner: builder.build()?,
        })
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Store({})", self.inner)
    }
}

/// `object_store` refuses plain HTTP too, but only at the first request, and names no remedy.
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for S3Store {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        attributes::check(&opts.attributes)?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        attributes::check(&opts.attributes)?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
