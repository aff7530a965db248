use async_trait::async_trait;
use bytes::Bytes;
use envelope::keyring::KeyRequest;
use envelope::{
    DataKey, DecryptionMaterials, DecryptionRequest, EncryptedDataKey, EncryptionContext,
    ErrorKind, MaterialsManager, Result,
};
use envelope_store::format::{
    Body, InstructionFile, OpenedBody, OpenedRanges, Opening, Ranges, WholeBody,
};
use envelope_store::{Inspection, Opened, Rotation};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{S3ec, TAG_LENGTH, instruction_suffix, marker, rules};
use crate::content::{
    CbcBody, CbcKey, CbcRanges, GcmBody, GcmDelayed, GcmKey, GcmRanges, committed_key,
};
use crate::error::Error;
use crate::keyring::WrapInfo;
use crate::metadata::{self, Content, Envelope, Found, InFile, WrapAlgorithm};

/// What the metadata of an object says.
#[derive(Debug)]
pub(super) struct S3ecOpening {
    pub(super) format: S3ec,
    pub(super) location: Path,
    pub(super) found: Found,
    pub(super) file: Option<Path>,
    pub(super) expected_context: EncryptionContext,
}

/// What opens an object.
struct Unlocked {
    envelope: Envelope,
    materials: DecryptionMaterials,
    /// The caller's part of the context.
    context: EncryptionContext,
}

/// The content cipher of an object, keyed.
enum ContentKey {
    Gcm(GcmKey),
    Cbc(CbcKey),
}

impl S3ecOpening {
    fn envelope(&self, instruction_file: Option<&Bytes>) -> Result<Envelope> {
        match &self.found {
            Found::Envelope(envelope) => Ok(envelope.clone()),
            Found::InFile(object) => {
                let file = instruction_file.map(Bytes::as_ref).unwrap_or_default();
                Ok(metadata::parse_instruction_file(object, file)?)
            }
        }
    }

    /// Checks the rules, and asks for the data key.
    async fn unlock(
        &self,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<Unlocked> {
        let envelope = self.envelope(instruction_file.as_ref())?;
        rules::check_readable(&self.format, &envelope)?;
        let (stored, context) = rules::check_context(&envelope, &self.expected_context)?;
        let key = encrypted_data_key(&envelope);
        let materials = self.materials(manager, &envelope, &key, &stored).await?;
        Ok(Unlocked {
            envelope,
            materials,
            context,
        })
    }

    async fn materials(
        &self,
        manager: &dyn MaterialsManager,
        envelope: &Envelope,
        key: &EncryptedDataKey,
        context: &EncryptionContext,
    ) -> Result<DecryptionMaterials> {
        let request = DecryptionRequest {
            suite: rules::suite(&envelope.content),
            policy: self.format.policy,
            encrypted_data_keys: std::slice::from_ref(key),
            context,
            expected_context: &EncryptionContext::default(),
        };
        manager.decryption_materials(request).await
    }

    /// How an object that is given other keys wraps its data key, under `to`.
    async fn wrap(
        &self,
        to: &dyn MaterialsManager,
        unlocked: &Unlocked,
    ) -> Result<(EncryptedDataKey, WrapInfo, EncryptionContext)> {
        let suite = rules::suite(&unlocked.envelope.content);
        let context = rules::bound_context(&unlocked.context, suite)?;
        let request = KeyRequest {
            suite,
            context: &context,
        };
        let data_key: &DataKey = unlocked.materials.data_key();
        let keys = to.wrap_data_key(data_key, request).await?;
        let (key, info) = rules::one_key(&keys)?;
        Ok((key.clone(), info, context))
    }
}

/// The wrapped data key, as a keyring gets it.
fn encrypted_data_key(envelope: &Envelope) -> EncryptedDataKey {
    let info = WrapInfo {
        wrap: envelope.wrap,
        description: match is_kms(envelope.wrap) {
            true => Default::default(),
            false => envelope.description.clone(),
        },
    };
    info.with_key(envelope.encrypted_data_key.clone())
}

fn is_kms(wrap: WrapAlgorithm) -> bool {
    matches!(wrap, WrapAlgorithm::KmsContext | WrapAlgorithm::Kms)
}

fn format_name(content: &Content) -> &'static str {
    match content.version() {
        1 => "s3ec-v1",
        2 => "s3ec-v2",
        _ => "s3ec-v3",
    }
}

/// Length of the plaintext of an object that ends with a tag.
fn without_tag(object_length: u64) -> Result<u64> {
    let length = object_length.checked_sub(TAG_LENGTH);
    Ok(length.ok_or(Error::BodyTruncated {
        length: object_length,
    })?)
}

impl Unlocked {
    fn opened(&self) -> Opened {
        let suite = rules::suite(&self.envelope.content);
        let key = self.materials.opened().clone();
        let format = format_name(&self.envelope.content);
        Opened::new(format, suite, self.context.clone(), key)
    }

    /// Compares the key commitment, where there is one, before anything is derived to decrypt with.
    fn content_key(&self) -> Result<ContentKey> {
        let data_key = self.materials.data_key().expose();
        Ok(match &self.envelope.content {
            Content::V1Cbc { iv } | Content::V2Cbc { iv } => {
                ContentKey::Cbc(CbcKey::new(data_key, iv)?)
            }
            Content::V2Gcm { iv } => ContentKey::Gcm(GcmKey::v2(data_key, iv)?),
            Content::V3 {
                message_id,
                commitment,
            } => ContentKey::Gcm(committed_key(data_key, message_id, commitment)?),
        })
    }
}

#[async_trait]
impl Opening for S3ecOpening {
    fn instruction_file(&self) -> Option<&Path> {
        self.file.as_ref()
    }

    fn foreign_without_file(&self) -> Option<envelope::Error> {
        match self.found {
            Found::InFile(InFile::V1OrV2 { .. }) => Some(Error::NoEnvelope.into()),
            Found::InFile(InFile::V3 { .. }) | Found::Envelope(_) => None,
        }
    }

    fn instruction_file_at(&self, location: &Path) -> Option<Path> {
        let suffix = self.file.as_ref()?.as_ref();
        let suffix = suffix.strip_prefix(self.location.as_ref())?;
        Some(instruction_suffix::at(location, suffix))
    }

    fn plaintext_length(
        &self,
        object_length: u64,
        instruction_file: Option<&Bytes>,
    ) -> Result<Option<u64>> {
        if let Found::InFile(InFile::V3 { .. }) = self.found {
            return without_tag(object_length).map(Some);
        }
        let envelope = self.envelope(instruction_file)?;
        if !envelope.content.is_cbc() {
            return without_tag(object_length).map(Some);
        }
        // The padding tells, and a claim that it could not have is none.
        let longest = object_length.saturating_sub(1);
        let shortest = object_length.saturating_sub(TAG_LENGTH);
        let claimed = envelope.plaintext_length;
        Ok(claimed.filter(|claimed| (shortest..=longest).contains(claimed)))
    }

    fn inspect(&self, meta: ObjectMeta, instruction_file: Option<Bytes>) -> Result<Inspection> {
        let envelope = self.envelope(instruction_file.as_ref())?;
        let suite = rules::suite(&envelope.content);
        let (format, version) = (format_name(&envelope.content), envelope.content.version());
        let length = self.plaintext_length(meta.size, instruction_file.as_ref());
        let mut inspection = Inspection::new(format, version, suite, meta);
        if let Content::V3 { message_id, .. } = &envelope.content {
            inspection.message_id = message_id.to_vec();
        }
        if is_kms(envelope.wrap) {
            inspection.context = EncryptionContext::new(envelope.description.clone())?;
        }
        inspection.encrypted_data_keys = vec![encrypted_data_key(&envelope)];
        inspection.instruction_file = self.file.clone();
        inspection.plaintext_length = length.ok().flatten();
        Ok(inspection)
    }

    async fn open(
        self: Box<Self>,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<OpenedBody> {
        let unlocked = self.unlock(manager, instruction_file).await?;
        let opened = unlocked.opened();
        let waiting = self.format.waiting.unwrap_or_default();
        let whole = |body: Box<dyn WholeBody>| Body::Whole(body, waiting);
        let (opened, body) = match unlocked.content_key()? {
            // Its padding is checked before a byte is released, but that authenticates nothing.
            ContentKey::Cbc(key) => (opened.unverified(), whole(Box::new(CbcBody::new(key)))),
            ContentKey::Gcm(key) if self.format.delayed_authentication => {
                let delayed = Box::new(GcmDelayed::new(&key)?);
                (opened.unverified(), Body::Pieces(delayed))
            }
            ContentKey::Gcm(key) => (opened, whole(Box::new(GcmBody::new(key)))),
        };
        Ok(OpenedBody {
            opened,
            skipped: 0,
            body,
        })
    }

    async fn open_for_ranges(
        self: Box<Self>,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<OpenedRanges> {
        if !self.format.legacy_unauthenticated {
            return Err(Error::RangeNotAuthenticated.into());
        }
        let unlocked = self.unlock(manager, instruction_file).await?;
        let ranges: Box<dyn Ranges> = match unlocked.content_key()? {
            ContentKey::Cbc(key) => Box::new(CbcRanges::new(key)),
            ContentKey::Gcm(key) => Box::new(GcmRanges::new(key)),
        };
        Ok(OpenedRanges {
            opened: unlocked.opened().unverified(),
            ranges,
        })
    }

    async fn rewrap(
        &self,
        manager: &dyn MaterialsManager,
        to: &dyn MaterialsManager,
        instruction_file: Bytes,
        rotation: &Rotation,
    ) -> Result<InstructionFile> {
        if let Some(suffix) = rotation.suffix() {
            rules::check_rotation_suffix(&self.format, suffix)?;
        }
        let unlocked = self.unlock(manager, Some(instruction_file)).await?;
        if unlocked.envelope.content.is_cbc() {
            return Err(Error::ContentCannotBeRewrapped.into());
        }
        // Notices a wrong commitment before it is passed on.
        unlocked.content_key()?;
        let (key, info, context) = self.wrap(to, &unlocked).await?;
        let old = &unlocked.envelope;
        let raw = !is_kms(old.wrap) && !is_kms(info.wrap);
        if raw && old.description == info.description {
            return Err(Error::SameDescription.into());
        }
        let envelope = Envelope {
            wrap: info.wrap,
            encrypted_data_key: key.ciphertext().to_vec(),
            description: match is_kms(info.wrap) {
                true => rules::pairs(&context),
                false => info.description,
            },
            ..unlocked.envelope.clone()
        };
        if rotation.is_enforced() {
            let stored = match is_kms(envelope.wrap) {
                true => context,
                false => EncryptionContext::default(),
            };
            let key = encrypted_data_key(&envelope);
            let opened = self.materials(manager, &envelope, &key, &stored).await;
            match opened {
                Ok(_) => return Err(Error::NotRotated.into()),
                Err(error) if error.kind() == ErrorKind::NoKey => {}
                // Nobody knows whether they open it.
                Err(error) => return Err(error),
            }
        }
        let location = match (rotation.suffix(), &self.file) {
            (Some(suffix), _) => instruction_suffix::at(&self.location, suffix),
            (None, Some(file)) => file.clone(),
            (None, None) => {
                instruction_suffix::at(&self.location, super::InstructionSuffix::DEFAULT)
            }
        };
        Ok(InstructionFile {
            location,
            content: envelope.split()?.1.into(),
            metadata: marker(),
        })
    }
}
