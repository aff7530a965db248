//! One object at a time: what it says about itself, and other keys for it.

use std::sync::Arc;

use envelope::MaterialsManager;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Extensions, GetOptions, GetResult, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UpdateVersion,
};

use crate::beginning::{Beginning, Closed, InstructionFile, Request, TRIES};
use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::foreign::ForeignObjects;
use crate::format::Opening;
use crate::inspection::Inspection;
use crate::keyed_format::KeyedFormat;
use crate::opened::Opened;
use crate::rotation::Rotation;

impl<S: ObjectStore> EncryptedStore<S> {
    /// What an object claims: format, suite, context, encrypted data keys, lengths. It needs no key,
    /// and nothing of it is verified. One request, and one for an instruction file.
    ///
    /// # Errors
    /// The inner store's, and when the object is none of the store's formats.
    pub async fn inspect(&self, location: &Path) -> Result<Inspection> {
        self.inspect_opts(location, Extensions::new()).await
    }

    /// As [`inspect`](Self::inspect), with wishes that the object's format knows.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect).
    pub async fn inspect_opts(
        &self,
        location: &Path,
        extensions: Extensions,
    ) -> Result<Inspection> {
        self.check_shown(location)?;
        let options = GetOptions::new().with_extensions(extensions);
        let (opening, _, meta, file) = self.closed(location, &options).await?;
        let inspection = opening.inspect(meta, file);
        inspection.map_err(Error::envelope(location))
    }

    /// Gives an object with an instruction file other wrapping keys: writes that file anew under
    /// keys of `to`, and leaves the object as it is. The file's data key and message id are new, so
    /// no nonce is used twice. Of two rewraps at once the last one wins, and both are valid. Pairs
    /// of the context that were bound without being stored are stored now, unless `to` demands them
    /// as well.
    ///
    /// It takes nothing from those who kept the old instruction file and a key that opens it.
    ///
    /// # Errors
    /// [`Error::KeysInHeader`] for an object that holds its keys itself; as reading the object, and
    /// as writing the file.
    pub async fn rewrap(&self, location: &Path, to: &dyn MaterialsManager) -> Result<()> {
        self.rewrap_opts(location, to, Extensions::new()).await
    }

    /// As [`rewrap`](Self::rewrap), with wishes that the object's format knows. Other pairs of the
    /// encryption context than the store's are among them too.
    ///
    /// # Errors
    /// As [`rewrap`](Self::rewrap), and those of the format.
    pub async fn rewrap_opts(
        &self,
        location: &Path,
        to: &dyn MaterialsManager,
        extensions: Extensions,
    ) -> Result<()> {
        self.check_shown(location)?;
        let options = GetOptions::new().with_extensions(extensions);
        let (opening, keyed, _, file) = self.closed(location, &options).await?;
        let (Some(path), Some(file)) = (opening.instruction_file(), file) else {
            return Err(Error::KeysInHeader {
                location: location.clone(),
            }
            .into());
        };
        let rotation = options.extensions.get::<Rotation>().cloned();
        let rotation = rotation.unwrap_or_default();
        let rewrapped = opening.rewrap(&*keyed.manager, to, file.clone(), &rotation);
        let new = rewrapped.await.map_err(Error::envelope(path))?;
        let now = self.fetch_file(path).await?;
        // The object may have been overwritten meanwhile, and its file with it.
        let now = now.filter(|now| now.file.content == file);
        let now = now.ok_or_else(|| Error::changes(location))?;
        let mode = match new.location == *path {
            true => PutMode::Update(now.version),
            false => match self.stored_file(&new.location).await? {
                Some(other) => PutMode::Update(other.version),
                None => PutMode::Create,
            },
        };
        if !self.put_file_if(&new, mode).await? {
            return Err(Error::changes(location));
        }
        self.headers().remove(location);
        Ok(())
    }

    /// An object of ours, its size, and its instruction file.
    async fn closed(
        &self,
        location: &Path,
        options: &GetOptions,
    ) -> Result<(
        Box<dyn Opening>,
        Arc<KeyedFormat>,
        ObjectMeta,
        InstructionFile,
    )> {
        let expected = self.settings().context(location, &options.extensions)?;
        let request = Request {
            location,
            options,
            expected: &expected,
        };
        for _ in 0..TRIES {
            let Beginning { object, about, .. } = self.beginning(request).await?;
            let object = self.with_instruction_file(request, &about.meta, object);
            let Some((object, file)) = object.await? else {
                continue;
            };
            return match object {
                Closed::Encrypted(opening, keyed) => Ok((opening, keyed, about.meta, file)),
                Closed::Foreign(reason) => Err(Error::foreign(location, reason)),
            };
        }
        Err(Error::changes(location))
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
    /// As reading and writing the object, and [`Error::Foreign`] whatever the store does about such
    /// objects elsewhere. It is then as it was before, unless the store's last answer was lost.
    pub async fn reencrypt(&self, location: &Path, to: &dyn MaterialsManager) -> Result<PutResult> {
        self.reencrypt_opts(location, to, Extensions::new()).await
    }

    /// As [`reencrypt`](Self::reencrypt), with wishes for reading the object: pairs of its encryption
    /// context, and what its format knows.
    ///
    /// # Errors
    /// As [`reencrypt`](Self::reencrypt).
    pub async fn reencrypt_opts(
        &self,
        location: &Path,
        to: &dyn MaterialsManager,
        extensions: Extensions,
    ) -> Result<PutResult> {
        self.check_shown(location)?;
        // What nobody encrypted would become authentic.
        let refuse = ForeignObjects::Refuse;
        let options = GetOptions::new().with_extensions(extensions);
        let old = self.read_whole(location, options, refuse).await?;
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
