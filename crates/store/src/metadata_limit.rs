use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};

use crate::error::Error;

/// A store that refuses attributes which the one behind it could not keep, before it sends anything.
///
/// It is to be wrapped in an [`EncryptedStore`](crate::EncryptedStore), which keeps a
/// `Content-Encoding` in metadata of its own. On its own it encrypts nothing. It signs no URLs:
/// whoever followed one would read and write ciphertext.
#[derive(Debug, Clone)]
pub struct MetadataLimit<S> {
    inner: S,
    limit: usize,
}

impl<S> MetadataLimit<S> {
    /// Lets `limit` bytes of user metadata pass, names and values of an object together, and only
    /// ASCII: other text cannot be read back from the headers that carry it.
    #[must_use]
    pub fn new(store: S, limit: usize) -> Self {
        Self {
            inner: store,
            limit,
        }
    }

    fn check(&self, location: &Path, attributes: &Attributes) -> Result<()> {
        for (attribute, value) in attributes {
            let name = match attribute {
                Attribute::Metadata(name) => &**name,
                _ => "",
            };
            if !name.is_ascii() || !value.is_ascii() {
                return Err(Error::NotAscii {
                    location: location.clone(),
                    attribute: attribute.clone(),
                }
                .into());
            }
        }
        let size = metadata_length(attributes);
        if size > self.limit {
            return Err(Error::MetadataTooLong {
                location: location.clone(),
                size,
                limit: self.limit,
            }
            .into());
        }
        Ok(())
    }
}

/// Bytes of user metadata among these attributes: all names and values.
#[must_use]
pub fn metadata_length(attributes: &Attributes) -> usize {
    let lengths = attributes.iter().map(|(attribute, value)| match attribute {
        Attribute::Metadata(name) => name.len() + value.len(),
        _ => 0,
    });
    lengths.sum()
}

impl<S: fmt::Display> fmt::Display for MetadataLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for MetadataLimit<S> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.check(location, &opts.attributes)?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check(location, &opts.attributes)?;
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
