use std::num::NonZeroUsize;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, EncryptionMaterials, EncryptionRequest,
    Error as EnvelopeError, MaterialsManager, Result, Transform,
};
use envelope_store::format::{Format, InstructionFile, NewObject, Parsed, Sealed, Stored};
#[cfg(feature = "aws")]
use envelope_store::{EncryptedStore, EncryptedStoreBuilder, MetadataLimit};
use envelope_store::{Waiting, metadata_length};
#[cfg(feature = "aws")]
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, Attributes, Extensions};

mod danger;
mod instruction_suffix;
mod opening;
mod rules;

pub use danger::Danger;
pub use instruction_suffix::InstructionSuffix;

use crate::METADATA_LIMIT;
use crate::content::{GcmEncryptor, GcmKey, MAXIMUM_PLAINTEXT, new_key, random_nonzero};
use crate::error::Error;
use crate::keyring::WrapInfo;
use crate::metadata::{self, Content, Envelope, Found, InFile, WrapAlgorithm};
use opening::S3ecOpening;

/// Bytes that GCM adds to the plaintext, and the length of a block of CBC.
const TAG_LENGTH: u64 = crate::content::TAG_LENGTH as u64;

/// Objects as the Amazon S3 Encryption Client writes and reads them, in any store that keeps metadata.
///
/// The whole body is one AES-GCM ciphertext, and the wrapped data key lies in the object's metadata or
/// in an instruction file beside it. New objects are in format V3, which commits to the data key, or
/// V2. Reading finds the format and the place of the keys by itself. Old objects, and parts of objects,
/// are not authenticated: they are read only by who asks for it by name, under
/// [`danger`](Self::danger). Keys are those of [`keyring`](crate::keyring).
///
/// ```
/// use envelope::WrappingKey;
/// use envelope_s3::S3ec;
/// use envelope_s3::keyring::Aes;
/// use envelope_store::EncryptedStore;
/// use object_store::memory::InMemory;
/// use object_store::{ObjectStoreExt, path::Path};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = EncryptedStore::builder(InMemory::new())
///     .format(S3ec::v3())
///     .build(Aes::new(WrappingKey::generate()?));
///
/// let path = Path::from("invoices/july");
/// store.put(&path, "41,50".into()).await?;
/// assert_eq!(store.get(&path).await?.bytes().await?, "41,50");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct S3ec {
    version: Version,
    policy: CommitmentPolicy,
    writes_instruction_files: bool,
    reads_instruction_files: bool,
    further_suffixes: Vec<String>,
    metadata_limit: usize,
    threads: NonZeroUsize,
    waiting: Option<Waiting>,
    delayed_authentication: bool,
    legacy_wraps: bool,
    legacy_unauthenticated: bool,
}

/// The format of new objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    #[cfg(feature = "legacy-v1-write")]
    V1,
    V2,
    V3,
}

impl S3ec {
    /// Writes format V3 (suite `0073`), and reads only what commits to its data key.
    #[must_use]
    pub fn v3() -> Self {
        Self::new(Version::V3, CommitmentPolicy::RequireEncryptRequireDecrypt)
    }

    /// Writes format V2 (suite `0072`) for readers that know no other, and reads V2 and V3.
    #[must_use]
    pub fn v2() -> Self {
        Self::new(Version::V2, CommitmentPolicy::ForbidEncryptAllowDecrypt)
    }

    /// Writes format V1, which nothing authenticates: whoever can change a stored object can change
    /// its plaintext. For fleets whose readers know no other yet, and for tests.
    #[cfg(feature = "legacy-v1-write")]
    #[must_use]
    pub fn legacy_v1() -> Self {
        Self::new(Version::V1, CommitmentPolicy::ForbidEncryptAllowDecrypt)
    }

    fn new(version: Version, policy: CommitmentPolicy) -> Self {
        Self {
            version,
            policy,
            writes_instruction_files: false,
            reads_instruction_files: true,
            further_suffixes: Vec::new(),
            metadata_limit: METADATA_LIMIT,
            threads: NonZeroUsize::MIN,
            waiting: None,
            delayed_authentication: false,
            legacy_wraps: false,
            legacy_unauthenticated: false,
        }
    }

    /// Reads and writes under this policy. One that forbids the format of new objects is an error
    /// whenever the store is used.
    #[must_use]
    pub fn policy(mut self, policy: CommitmentPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Writes keys into instruction files: the object at `a/b` has its keys at `a/b.instruction`.
    /// They can be given other wrapping keys by a small write
    /// ([`rewrap`](envelope_store::EncryptedStore::rewrap)), and take no room in the object's metadata.
    #[must_use]
    pub fn instruction_files(mut self) -> Self {
        self.writes_instruction_files = true;
        self
    }

    /// Looks for no instruction files: objects without keys in their metadata are none of the client's.
    #[must_use]
    pub fn without_instruction_files(mut self) -> Self {
        self.reads_instruction_files = false;
        self
    }

    /// Treats files with this suffix, such as `.partner`, as instruction files too: they are hidden,
    /// and deleted with their object. A [`Rotation`](envelope_store::Rotation) writes such files, and an
    /// [`InstructionSuffix`] reads them.
    #[must_use]
    pub fn further_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.further_suffixes.push(suffix.into());
        self
    }

    /// Refuses to write an object with more bytes of user metadata than this, names and values
    /// together. S3 keeps 2048.
    #[must_use]
    pub fn metadata_limit(mut self, bytes: usize) -> Self {
        self.metadata_limit = bytes;
        self
    }

    /// Seals large pieces on this many threads. The bytes are the same on any number; one is enough for
    /// most networks.
    #[must_use]
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Lets objects wait like this until they verified: in memory up to 64 MiB, and as ciphertext in
    /// temporary files beyond, unless told otherwise.
    #[must_use]
    pub fn waiting(mut self, waiting: Waiting) -> Self {
        self.waiting = Some(waiting);
        self
    }

    /// Objects of this format in the bucket that is configured: the usual case. Whatever else a store
    /// can do is set up on what comes out, and [`build`](EncryptedStoreBuilder::build) takes the keys.
    ///
    /// # Errors
    /// As [`open`](crate::open).
    #[cfg(feature = "aws")]
    pub fn over(
        self,
        bucket: AmazonS3Builder,
    ) -> object_store::Result<EncryptedStoreBuilder<MetadataLimit<AmazonS3>>> {
        Ok(EncryptedStore::builder(crate::open(bucket)?).format(self))
    }

    /// What makes reading less safe than it could be. Each is a word that a reviewer can search for.
    pub fn danger(self) -> Danger {
        Danger::new(self)
    }

    /// The suite of new objects.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        match self.version {
            #[cfg(feature = "legacy-v1-write")]
            Version::V1 => AlgorithmSuite::S3_AES_256_CBC_IV16_NO_KDF,
            Version::V2 => AlgorithmSuite::S3_AES_256_GCM_IV12_TAG16_NO_KDF,
            Version::V3 => AlgorithmSuite::S3_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        }
    }

    /// Suffixes of instruction files, the one of new files first.
    fn suffixes(&self) -> impl Iterator<Item = &str> {
        let further = self.further_suffixes.iter().map(String::as_str);
        let legal = further.filter(|suffix| rules::check_suffix(suffix).is_ok());
        std::iter::once(InstructionSuffix::DEFAULT).chain(legal)
    }

    /// Keys of a new object, and its wrapped data key.
    async fn materials(
        &self,
        manager: &dyn MaterialsManager,
        object: NewObject<'_>,
    ) -> Result<(EncryptionMaterials, Vec<u8>, WrapInfo)> {
        let suite = self.suite();
        let context = rules::bound_context(object.context, suite)?;
        let request = EncryptionRequest {
            suite: Some(suite),
            policy: self.policy,
            context: &context,
            plaintext_length: object.plaintext_length,
        };
        let materials = manager.encryption_materials(request).await?;
        if materials.suite() != suite {
            return Err(EnvelopeError::InconsistentMaterials {
                reason: "they are for another algorithm suite than the one asked for",
            });
        }
        if materials.data_key().expose().len() != suite.data_key_length() {
            return Err(EnvelopeError::InconsistentMaterials {
                reason: "the data key has the wrong length for the algorithm suite",
            });
        }
        let (key, info) = rules::one_key(materials.encrypted_data_keys())?;
        self.check_written_wrap(info.wrap)?;
        let encrypted_data_key = key.ciphertext().to_vec();
        Ok((materials, encrypted_data_key, info))
    }

    /// A keyring must not make a new object an old one: legacy wraps are only read.
    fn check_written_wrap(&self, wrap: WrapAlgorithm) -> Result<()> {
        #[cfg(feature = "legacy-v1-write")]
        if self.version == Version::V1 {
            return Ok(());
        }
        match wrap.is_legacy() {
            true => Err(Error::WrapNotInFormat {
                wrap: wrap.name(),
                version: if self.suite().commits() { 3 } else { 2 },
            }
            .into()),
            false => Ok(()),
        }
    }

    /// The body of a new object, and what has to be stored about it.
    fn content(&self, data_key: &[u8]) -> Result<(Box<dyn Transform + Send>, Content)> {
        Ok(match self.version {
            #[cfg(feature = "legacy-v1-write")]
            Version::V1 => {
                let iv = random_nonzero()?;
                let key = crate::content::CbcKey::new(data_key, &iv)?;
                let body = crate::content::CbcEncryptor::new(&key)?;
                (Box::new(body), Content::V1Cbc { iv })
            }
            Version::V2 => {
                let iv = random_nonzero()?;
                let body = GcmEncryptor::new(GcmKey::v2(data_key, &iv)?, self.threads);
                (Box::new(body), Content::V2Gcm { iv })
            }
            Version::V3 => {
                let message_id = random_nonzero()?;
                let (key, commitment) = new_key(data_key, &message_id)?;
                let content = Content::V3 {
                    message_id,
                    commitment,
                };
                (Box::new(GcmEncryptor::new(key, self.threads)), content)
            }
        })
    }

    /// Length in bytes of an object whose plaintext has this one.
    fn object_length(&self, plaintext_length: u64) -> u64 {
        match self.version {
            #[cfg(feature = "legacy-v1-write")]
            Version::V1 => (plaintext_length / TAG_LENGTH + 1) * TAG_LENGTH,
            Version::V2 | Version::V3 => plaintext_length.saturating_add(TAG_LENGTH),
        }
    }

    /// Checked before a byte is sent: a store may refuse it when all was sent, or forget it.
    fn check_metadata(&self, theirs: &Attributes, own: &[(&'static str, String)]) -> Result<()> {
        let own = own.iter().map(|(name, value)| name.len() + value.len());
        let length = metadata_length(theirs) + own.sum::<usize>();
        match length > self.metadata_limit {
            true => Err(Error::MetadataTooLong {
                length,
                limit: self.metadata_limit,
            }
            .into()),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Format for S3ec {
    fn writes_instruction_files(&self) -> bool {
        self.writes_instruction_files
    }

    fn object_of_instruction_file(&self, location: &Path) -> Option<Path> {
        if !self.reads_instruction_files {
            return None;
        }
        let objects = self.suffixes().filter_map(|suffix| {
            let object = location.as_ref().strip_suffix(suffix)?;
            let named = !object.is_empty() && !object.ends_with('/');
            named.then(|| Path::parse(object).ok()).flatten()
        });
        objects.into_iter().next()
    }

    fn instruction_files_of(&self, location: &Path) -> Vec<Path> {
        if !self.reads_instruction_files {
            return Vec::new();
        }
        self.suffixes()
            .map(|suffix| instruction_suffix::at(location, suffix))
            .collect()
    }

    fn is_instruction_file(&self, content: &[u8]) -> bool {
        metadata::is_instruction_file(content)
    }

    fn is_ordinary(&self, wishes: &Extensions) -> bool {
        wishes.get::<InstructionSuffix>().is_none()
    }

    fn owns_metadata(&self, name: &str) -> bool {
        metadata::is_reserved(name)
    }

    fn beginning_length(&self) -> u64 {
        0
    }

    fn listed_length(&self, object_length: u64) -> Result<Option<u64>> {
        #[cfg(feature = "legacy-v1-write")]
        if self.version == Version::V1 {
            return Ok(None);
        }
        let length = object_length.checked_sub(TAG_LENGTH);
        let length = length.ok_or(Error::BodyTruncated {
            length: object_length,
        })?;
        Ok(Some(length))
    }

    async fn seal(&self, manager: &dyn MaterialsManager, object: NewObject<'_>) -> Result<Sealed> {
        rules::check_configuration(self)?;
        if object.plaintext_length > Some(MAXIMUM_PLAINTEXT) {
            return Err(Error::PlaintextTooLong {
                bound: MAXIMUM_PLAINTEXT,
            }
            .into());
        }
        let (materials, encrypted_data_key, WrapInfo { wrap, description }) =
            self.materials(manager, object).await?;
        let (body, content) = self.content(materials.data_key().expose())?;
        // Only where the object's own length does not tell.
        let claimed = object.plaintext_length.filter(|_| content.is_cbc());
        let envelope = Envelope {
            content,
            wrap,
            encrypted_data_key,
            description: match wrap {
                WrapAlgorithm::KmsContext => rules::pairs(materials.context()),
                _ => description,
            },
            plaintext_length: claimed,
        };
        let (own, file) = match self.writes_instruction_files {
            false => (envelope.to_pairs()?, None),
            true => {
                let (own, file) = envelope.split()?;
                (own, Some(file))
            }
        };
        self.check_metadata(object.attributes, &own)?;
        let capacity = object
            .plaintext_length
            .map(|length| self.object_length(length));
        Ok(Sealed {
            body,
            capacity: capacity.and_then(|length| usize::try_from(length).ok()),
            metadata: owned(own),
            instruction_file: file.map(|content| InstructionFile {
                location: instruction_suffix::at(object.location, InstructionSuffix::DEFAULT),
                content: Bytes::from(content),
                metadata: marker(),
            }),
        })
    }

    fn parse(&self, stored: Stored<'_>) -> Result<Parsed> {
        rules::check_configuration(self)?;
        let pairs = stored
            .attributes
            .iter()
            .filter_map(|(name, value)| match name {
                Attribute::Metadata(name) => Some((&**name, &**value)),
                _ => None,
            });
        let found = metadata::parse(pairs)?;
        let file = match &found {
            Found::Envelope(_) => None,
            Found::InFile(InFile::V1OrV2 { .. }) if !self.reads_instruction_files => {
                return Ok(Parsed::Foreign(Error::NoEnvelope.into()));
            }
            Found::InFile(_) if !self.reads_instruction_files => {
                return Err(Error::NoEnvelope.into());
            }
            Found::InFile(_) => {
                let suffix = stored.extensions.get::<InstructionSuffix>();
                let suffix = suffix.map_or(InstructionSuffix::DEFAULT, InstructionSuffix::as_str);
                rules::check_suffix(suffix)?;
                Some(instruction_suffix::at(stored.location, suffix))
            }
        };
        Ok(Parsed::Opening(Box::new(S3ecOpening {
            format: self.clone(),
            location: stored.location.clone(),
            found,
            file,
            expected_context: stored.expected_context.clone(),
        })))
    }
}

/// Tells an instruction file from other objects. Its value is empty.
fn marker() -> Vec<(String, String)> {
    vec![(metadata::INSTRUCTION_FILE_MARKER.to_owned(), String::new())]
}

fn owned(pairs: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
