//! Writes: whole objects and multipart uploads, under the store's keys or others.

use envelope::{Encryptor, MaterialsManager, OutputBuffer};
use object_store::path::Path;
use object_store::{
    Extensions, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use crate::attributes::hide_encoding;
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
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
        let mut encryptor = self
            .encryptor(manager, location, &options.extensions, Some(length))
            .await?;
        let refused = Error::envelope(location);
        let layout = self.settings().layout().map_err(&refused)?;
        let capacity = layout.ciphertext_len(length).map_err(&refused)?;
        let mut sealed = OutputBuffer::with_capacity(usize::try_from(capacity).unwrap_or(0));
        for bytes in payload.iter() {
            encryptor.update(bytes, &mut sealed).map_err(&refused)?;
        }
        encryptor.finish(&mut sealed).map_err(&refused)?;
        let message = PutPayload::from(sealed.into_vec());
        let options = PutOptions {
            attributes: hide_encoding(&options.attributes),
            ..options
        };
        self.inner().put_opts(location, message, options).await
    }

    pub(crate) async fn upload_with(
        &self,
        manager: &dyn MaterialsManager,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let encryptor = self
            .encryptor(manager, location, &options.extensions, None)
            .await?;
        let options = PutMultipartOptions {
            attributes: hide_encoding(&options.attributes),
            ..options
        };
        let inner = self.inner().put_multipart_opts(location, options).await?;
        let part_length = self.settings().part_length;
        let upload = EncryptedUpload::new(inner, location.clone(), encryptor, part_length);
        Ok(Box::new(upload))
    }

    async fn encryptor(
        &self,
        manager: &dyn MaterialsManager,
        location: &Path,
        extensions: &Extensions,
        plaintext_length: Option<u64>,
    ) -> Result<Encryptor> {
        let options = self.settings().encrypt_options(location, extensions)?;
        let refused = Error::envelope(location);
        let mut request = options.request().map_err(&refused)?;
        request.plaintext_length = plaintext_length;
        let materials = manager.encryption_materials(request).await;
        materials
            .and_then(|materials| Encryptor::new(materials, &options))
            .map_err(refused)
    }
}
