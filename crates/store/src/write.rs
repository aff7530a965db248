//! Writes: whole objects and multipart uploads, under the store's keys or others.

use envelope::{MaterialsManager, OutputBuffer};
use object_store::path::Path;
use object_store::{
    Extensions, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use crate::attributes::hide_encoding;
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
        let sealed = self.seal(manager, location, &options.extensions, Some(length));
        let Sealed {
            mut body,
            capacity,
            instruction_file,
        } = sealed.await?;
        let refused = Error::envelope(location);
        let mut sealed = OutputBuffer::with_capacity(capacity.unwrap_or_default());
        for bytes in payload.iter() {
            body.update(bytes, &mut sealed).map_err(&refused)?;
        }
        body.finish(&mut sealed).map_err(&refused)?;
        let object = PutPayload::from(sealed.into_vec());
        let options = PutOptions {
            attributes: hide_encoding(&options.attributes),
            ..options
        };
        let write = self.inner().put_opts(location, object, options);
        match instruction_file {
            Some(file) => self.write_with_file(location, file, write).await,
            None => write.await,
        }
    }

    pub(crate) async fn upload_with(
        &self,
        manager: &dyn MaterialsManager,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let sealed = self.seal(manager, location, &options.extensions, None);
        let sealed = sealed.await?;
        let options = PutMultipartOptions {
            attributes: hide_encoding(&options.attributes),
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
        extensions: &Extensions,
        plaintext_length: Option<u64>,
    ) -> Result<Sealed> {
        let context = self.settings().context(location, extensions)?;
        let object = NewObject {
            location,
            context: &context,
            plaintext_length,
        };
        let sealed = self.format().seal(manager, object).await;
        sealed.map_err(Error::envelope(location))
    }
}
