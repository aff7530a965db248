//! Writes: whole objects and multipart uploads, under the store's keys or others.

use envelope::{MaterialsManager, OutputBuffer};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Extensions, MultipartUpload, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::attributes::stored;
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::format::{NewObject, Sealed};
use crate::upload::EncryptedUpload;

impl<S: ObjectStore> EncryptedStore<S> {
    pub(crate) async fn put_with(
        &self,
        manager: &dyn MaterialsManager,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let length = payload.content_length() as u64;
        let (own, extensions) = (&options.attributes, &options.extensions);
        let sealed = self.seal(manager, location, own, extensions, Some(length));
        let Sealed {
            mut body,
            capacity,
            metadata,
            instruction_file,
        } = sealed.await?;
        let refused = Error::envelope(location);
        let mut sealed = OutputBuffer::with_capacity(capacity.unwrap_or_default());
        let pieces: &[bytes::Bytes] = payload.as_ref();
        let (last, pieces) = pieces.split_last().unzip();
        for bytes in pieces.into_iter().flatten() {
            body.update(bytes, &mut sealed).map_err(&refused)?;
        }
        let last = last.map(bytes::Bytes::as_ref).unwrap_or_default();
        body.finish_with(last, &mut sealed).map_err(&refused)?;
        let object = PutPayload::from(sealed.into_vec());
        let mode = options.mode.clone();
        let options = PutOptions {
            attributes: stored(&options.attributes, metadata),
            ..options
        };
        let write = self.inner().put_opts(location, object, options);
        self.write(location, instruction_file, mode, write).await
    }

    pub(crate) async fn upload_with(
        &self,
        manager: &dyn MaterialsManager,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (own, extensions) = (&options.attributes, &options.extensions);
        let sealed = self.seal(manager, location, own, extensions, None);
        let mut sealed = sealed.await?;
        let options = PutMultipartOptions {
            attributes: stored(&options.attributes, std::mem::take(&mut sealed.metadata)),
            ..options
        };
        let inner = self.inner().put_multipart_opts(location, options).await?;
        let upload = EncryptedUpload::new(self.clone(), inner, location.clone(), sealed);
        Ok(Box::new(upload))
    }

    async fn seal(
        &self,
        manager: &dyn MaterialsManager,
        location: &Path,
        attributes: &Attributes,
        extensions: &Extensions,
        plaintext_length: Option<u64>,
    ) -> Result<Sealed> {
        let context = self.settings().context(location, extensions)?;
        for (attribute, _) in attributes {
            // A name of any format would make readers of that one claim the object, or hide the pair.
            if let Attribute::Metadata(name) = attribute
                && let mut formats = self.formats().iter()
                && formats.any(|keyed| keyed.format.owns_metadata(name))
            {
                return Err(Error::ReservedMetadata {
                    location: location.clone(),
                    name: name.to_string(),
                }
                .into());
            }
        }
        let object = NewObject {
            location,
            context: &context,
            plaintext_length,
            attributes,
        };
        let sealed = self.format().seal(manager, object).await;
        sealed.map_err(Error::envelope(location))
    }
}
