//! One object at a time: what it says about itself, and other keys for it.

use envelope::{CommitmentPolicy, DecryptOptions, MaterialsManager, UnverifiedHeader};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UpdateVersion,
};

use crate::encrypted_store::EncryptedStore;
use crate::opened::Opened;

impl<S: ObjectStore> EncryptedStore<S> {
    /// What an object's header claims: suite, context, encrypted data keys, frame length. It needs
    /// no key, and nothing of it is verified. One request.
    ///
    /// # Errors
    /// The inner store's, and when the object is no message.
    pub async fn inspect(&self, location: &Path) -> Result<UnverifiedHeader> {
        // A description harms nobody, so every suite may be described.
        let options =
            DecryptOptions::default().with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt);
        let request = GetOptions::default();
        let beginning = self.beginning(location, &request, &options).await?;
        Ok(beginning.header)
    }

    /// Encrypts an object anew under keys of `to`, in constant memory. Its context stays, and so do
    /// the attributes that a read shows; tags and the storage class, which it does not, are lost.
    /// Pairs of the context that were bound without being stored are stored now, unless `to` demands
    /// them as well. A header is never rewritten (`ARCHITECTURE.md`
    /// says why), so this is how an object gets other keys. It does not take the object from those
    /// who kept the old one and its keys.
    ///
    /// An object of up to one part is replaced only if it still is the version that was read,
    /// where the store has conditional writes. A longer one is replaced whatever it is by then.
    ///
    /// # Errors
    /// As reading and writing the object. It is then as it was before.
    pub async fn reencrypt(&self, location: &Path, to: &dyn MaterialsManager) -> Result<PutResult> {
        let old = self.read_whole(location, GetOptions::default()).await?;
        match usize::try_from(old.meta.size) {
            Ok(size) if size <= self.settings().part_length => {
                self.reencrypt_at_once(location, to, old).await
            }
            _ => self.reencrypt_in_parts(location, to, old).await,
        }
    }

    async fn reencrypt_at_once(
        &self,
        location: &Path,
        to: &dyn MaterialsManager,
        old: GetResult,
    ) -> Result<PutResult> {
        let mut options = PutOptions {
            attributes: old.attributes.clone(),
            mode: PutMode::Update(UpdateVersion {
                e_tag: old.meta.e_tag.clone(),
                version: old.meta.version.clone(),
            }),
            ..PutOptions::default()
        };
        insert_context(&mut options.extensions, &old);
        let plaintext: PutPayload = old.bytes().await?.into();
        let put = self.put_with(to, location, plaintext.clone(), options.clone());
        match put.await {
            // Not every store has conditional writes.
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => {
                options.mode = PutMode::Overwrite;
                self.put_with(to, location, plaintext, options).await
            }
            put => put,
        }
    }

    async fn reencrypt_in_parts(
        &self,
        location: &Path,
        to: &dyn MaterialsManager,
        old: GetResult,
    ) -> Result<PutResult> {
        let mut options = PutMultipartOptions {
            attributes: old.attributes.clone(),
            ..PutMultipartOptions::default()
        };
        insert_context(&mut options.extensions, &old);
        let mut plaintext = old.into_stream();
        let mut upload = self.upload_with(to, location, options).await?;
        let copied = async {
            while let Some(bytes) = plaintext.try_next().await? {
                upload.put_part(bytes.into()).await?;
            }
            upload.complete().await
        };
        match copied.await {
            Ok(put) => Ok(put),
            Err(error) => {
                // The first error says more than one of tidying up.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }
}

/// The new message is bound to what the old one was.
fn insert_context(extensions: &mut object_store::Extensions, old: &GetResult) {
    if let Some(opened) = old.extensions.get::<Opened>() {
        extensions.insert(opened.context().without_reserved());
    }
}
