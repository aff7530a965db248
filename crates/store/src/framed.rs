use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, DecryptionMaterials, EncryptOptions,
    EncryptionContext, Encryptor, Error, Layout, MaterialsManager, RangeDecryptor, Result,
    UnverifiedHeader,
};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::format::{
    Body, Format, InstructionFile, NewObject, OpenedBody, OpenedRange, OpenedRanges, Opening,
    Parsed, Ranges, Sealed, Stored,
};
use crate::inspection::Inspection;
use crate::instruction_file::{
    INSTRUCTION_FILE_CONTEXT_KEY, InstructionFileName, NewObjectKey, ObjectKey,
};
use crate::opened::Opened;
use crate::rotation::Rotation;

/// Frame length in bytes when none is named. Longer frames are faster, shorter ones make small
/// ranges cheaper.
pub const DEFAULT_FRAME_LENGTH: u32 = 64 << 10;
/// Length in bytes that headers are padded to when none is named.
pub const DEFAULT_HEADER_LENGTH: usize = 1024;

/// An object with this pair would be an instruction file in a wrong place.
const RESERVED_CONTEXT_KEY: Error = Error::InvalidOption {
    what: "the encryption context of an object",
    reason: "must not have the key envelope-instruction-file, which belongs to instruction files",
};
/// Names of the two kinds.
const FRAMED: &str = "framed";
const WITH_FILE: &str = "framed-instruction";
/// What an object claims may be shown whatever its suite.
const ANY_SUITE: CommitmentPolicy = CommitmentPolicy::ForbidEncryptAllowDecrypt;
/// Bytes that an object's beginning is read in when its header is not padded.
const FIRST_READ: usize = 1024;

/// The object is one framed message of the AWS Encryption SDK.
///
/// Its keys lie in its header, or in an instruction file: a message of its own beside the object,
/// whose plaintext is the key that wraps the object's data key. Objects with instruction files get
/// other wrapping keys by a small write ([`rewrap`](crate::EncryptedStore::rewrap)); they cost one
/// more request to open. Reading tells both kinds apart by itself.
///
/// ```
/// use envelope_store::Framed;
///
/// let format = Framed::new().frame_length(1 << 20).with_instruction_files();
/// ```
#[derive(Debug, Clone)]
pub struct Framed {
    suite: AlgorithmSuite,
    frame_length: u32,
    header_length: Option<usize>,
    instruction_files: bool,
    maximum_encrypted_data_keys: Option<usize>,
    reading: DecryptOptions,
}

impl Default for Framed {
    fn default() -> Self {
        Self {
            // Unsigned, as ranges of signed messages cannot be read, and committing.
            suite: AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
            frame_length: DEFAULT_FRAME_LENGTH,
            header_length: Some(DEFAULT_HEADER_LENGTH),
            instruction_files: false,
            maximum_encrypted_data_keys: None,
            reading: DecryptOptions::default(),
        }
    }
}

impl Framed {
    /// Suite `0478`, frames of 64 KiB, headers of 1024 bytes, keys in the header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts objects into frames of this many plaintext bytes, 1 or more.
    #[must_use]
    pub fn frame_length(mut self, frame_length: u32) -> Self {
        self.frame_length = frame_length.max(1);
        self
    }

    /// Pads headers to this many bytes. Choose it once for all objects of a store: computed sizes
    /// follow from it. Writing an object whose keys and context need more fails.
    #[must_use]
    pub fn header_length(mut self, header_length: usize) -> Self {
        self.header_length = Some(header_length);
        self
    }

    /// Leaves headers as long as keys and context make them. The length of an object then does not
    /// tell that of its plaintext, and listings must look sizes up.
    #[must_use]
    pub fn unpadded_headers(mut self) -> Self {
        self.header_length = None;
        self
    }

    /// Writes keys into instruction files. An object at `a/b` has its keys at
    /// `a/b.ID.instruction`, where the random `ID` stands in the object's header.
    #[must_use]
    pub fn with_instruction_files(mut self) -> Self {
        self.instruction_files = true;
        self
    }

    /// Writes objects under this suite. It must be unsigned: a signed message tells neither its
    /// plaintext's length nor a range of it.
    #[must_use]
    pub fn suite(mut self, suite: AlgorithmSuite) -> Self {
        self.suite = suite;
        self
    }

    /// Refuses to write an object with more encrypted data keys than this, not counting padding.
    #[must_use]
    pub fn maximum_encrypted_data_keys(mut self, maximum: usize) -> Self {
        self.maximum_encrypted_data_keys = Some(maximum);
        self
    }

    /// Reads objects by these rules. What they expect of the context is the store's to say:
    /// [`context`](crate::EncryptedStoreBuilder::context).
    #[must_use]
    pub fn reading(mut self, options: DecryptOptions) -> Self {
        self.reading = options;
        self
    }

    /// How an object, or an instruction file, is written.
    fn sealing(&self, context: EncryptionContext) -> EncryptOptions {
        // The policy that allows what was asked for by name.
        let policy = match self.suite.commits() {
            true => CommitmentPolicy::RequireEncryptRequireDecrypt,
            false => ANY_SUITE,
        };
        let options = EncryptOptions::default()
            .with_policy(policy)
            .with_suite(self.suite)
            .with_context(context);
        match self.maximum_encrypted_data_keys {
            Some(maximum) => options.with_maximum_encrypted_data_keys(maximum),
            None => options,
        }
    }

    fn sealing_object(&self, context: EncryptionContext) -> EncryptOptions {
        let options = self.sealing(context).with_frame_length(self.frame_length);
        match self.header_length {
            Some(length) => options.with_header_length(length),
            None => options,
        }
    }
}

#[async_trait]
impl Format for Framed {
    fn writes_instruction_files(&self) -> bool {
        self.instruction_files
    }

    fn object_of_instruction_file(&self, location: &Path) -> Option<Path> {
        InstructionFileName::object_of(location)
    }

    fn beginning_length(&self) -> u64 {
        self.header_length.unwrap_or_default().max(FIRST_READ) as u64
    }

    fn listed_length(&self, object_length: u64) -> Result<Option<u64>> {
        self.header_length
            .map(|header_length| {
                Layout::new(header_length as u64, self.frame_length)?.plaintext_len(object_length)
            })
            .transpose()
    }

    async fn seal(&self, manager: &dyn MaterialsManager, object: NewObject<'_>) -> Result<Sealed> {
        if self.suite.is_signed() {
            return Err(Error::InvalidOption {
                what: "the suite of a stored object",
                reason: "must be unsigned, as a signed message tells neither its plaintext's \
                    length nor a range of it",
            });
        }
        let NewObject {
            location,
            context,
            plaintext_length,
            ..
        } = object;
        if context.get(INSTRUCTION_FILE_CONTEXT_KEY).is_some() {
            return Err(RESERVED_CONTEXT_KEY);
        }
        if !self.instruction_files {
            let options = self.sealing_object(context.clone());
            let encryptor = encryptor(manager, &options, plaintext_length).await?;
            return Ok(sealed(encryptor, plaintext_length, None));
        }
        let sealing = |context| self.sealing(context);
        let key = NewObjectKey::generate(manager, context, sealing).await?;
        let options = self.sealing_object(key.stored_context);
        let encryptor = encryptor(&key.keyring, &options, plaintext_length).await?;
        let file = InstructionFile {
            location: key.name.at(location),
            content: key.instruction_file,
            metadata: Vec::new(),
        };
        Ok(sealed(encryptor, plaintext_length, Some(file)))
    }

    fn parse(&self, stored: Stored<'_>) -> Result<Parsed> {
        if stored.beginning.is_empty() {
            return Ok(match stored.complete {
                true => Parsed::Foreign(Error::Truncated {
                    field: "the version",
                    offset: 0,
                }),
                false => Parsed::Incomplete,
            });
        }
        // What an object claims may be shown of any suite; `open` has the rules.
        let describing = self.reading.clone().with_policy(ANY_SUITE);
        let header = match UnverifiedHeader::parse_whole(stored.beginning, &describing) {
            Ok(header) => header,
            Err(Error::Truncated { .. }) if !stored.complete => return Ok(Parsed::Incomplete),
            Err(
                foreign @ (Error::UnsupportedVersion { .. }
                | Error::UnsupportedType { .. }
                | Error::UnsupportedSuite { .. }
                | Error::Base64Input),
            ) => return Ok(Parsed::Foreign(foreign)),
            Err(error) => return Err(error),
        };
        let name = InstructionFileName::in_header(header.claims().encrypted_data_keys());
        Ok(Parsed::Opening(Box::new(FramedOpening {
            header,
            file: name.map(|name| (name.at(stored.location), name)),
            expected_context: stored.expected_context.clone(),
            format: self.clone(),
        })))
    }
}

async fn encryptor(
    manager: &dyn MaterialsManager,
    options: &EncryptOptions,
    plaintext_length: Option<u64>,
) -> Result<Encryptor> {
    let mut request = options.request()?;
    request.plaintext_length = plaintext_length;
    let materials = manager.encryption_materials(request).await?;
    Encryptor::new(materials, options)
}

fn sealed(
    encryptor: Encryptor,
    plaintext_length: Option<u64>,
    instruction_file: Option<InstructionFile>,
) -> Sealed {
    Sealed {
        capacity: plaintext_length
            .and_then(|length| usize::try_from(length).ok())
            .map(|length| encryptor.message_length(length)),
        body: Box::new(encryptor),
        metadata: Vec::new(),
        instruction_file,
    }
}

/// The header of an object.
#[derive(Debug)]
struct FramedOpening {
    header: UnverifiedHeader,
    /// Where its keys are, when not in the header.
    file: Option<(Path, InstructionFileName)>,
    expected_context: EncryptionContext,
    format: Framed,
}

impl FramedOpening {
    fn layout(&self) -> Result<Layout> {
        self.header.claims().layout()
    }

    /// The rules for what is opened, whatever its context.
    fn options(&self) -> DecryptOptions {
        let reading = &self.format.reading;
        let longest = u64::from(self.format.frame_length).max(reading.maximum_frame_length());
        reading
            .clone()
            .with_maximum_frame_length(longest)
            .expect_context(EncryptionContext::default())
    }

    /// The materials of the object, and what the caller's keys opened.
    async fn materials(
        self,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<(UnverifiedHeader, DecryptionMaterials, Opened)> {
        let options = self.options();
        let Some((_, name)) = self.file else {
            let options = options.expect_context(self.expected_context);
            let header = self.header.with_options(options)?;
            let materials = manager.decryption_materials(header.request()).await?;
            if materials
                .context()
                .get(INSTRUCTION_FILE_CONTEXT_KEY)
                .is_some()
            {
                return Err(RESERVED_CONTEXT_KEY);
            }
            let (context, key) = (materials.context().clone(), materials.opened().clone());
            let opened = Opened::new(FRAMED, materials.suite(), context, key);
            return Ok((header, materials, opened));
        };
        let file = instruction_file.unwrap_or_default();
        let expected = &self.expected_context;
        let key = ObjectKey::open(manager, &name, &file, expected, options.clone()).await?;
        // The instruction file's keys are bound to the whole context. The object's own key is bound
        // to what its header stores.
        let header = self.header.with_options(options)?;
        let materials = key.keyring.decryption_materials(header.request()).await?;
        let opened = Opened::new(WITH_FILE, materials.suite(), key.context, key.opened);
        Ok((header, materials, opened))
    }
}

#[async_trait]
impl Opening for FramedOpening {
    fn instruction_file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(location, _)| location)
    }

    fn instruction_file_at(&self, location: &Path) -> Option<Path> {
        self.file.as_ref().map(|(_, name)| name.at(location))
    }

    fn plaintext_length(&self, object_length: u64, _: Option<&Bytes>) -> Result<Option<u64>> {
        self.layout()?.plaintext_len(object_length).map(Some)
    }

    fn inspect(&self, meta: ObjectMeta, instruction_file: Option<Bytes>) -> Result<Inspection> {
        let describing = self.format.reading.clone().with_policy(ANY_SUITE);
        let file = instruction_file
            .map(|file| UnverifiedHeader::parse_whole(&file, &describing))
            .transpose()?;
        let keys = file.as_ref().unwrap_or(&self.header).claims();
        let claims = self.header.claims();
        let format = match self.file {
            Some(_) => WITH_FILE,
            None => FRAMED,
        };
        let mut inspection = Inspection::new(format, claims.version(), claims.suite(), meta);
        inspection.message_id = claims.message_id().to_vec();
        inspection.context = claims.context().clone();
        inspection.encrypted_data_keys = keys.encrypted_data_keys().to_vec();
        inspection.frame_length = Some(claims.frame_length());
        inspection.header_length = self.header.length() as u64;
        inspection.instruction_file = self.instruction_file().cloned();
        let length = self.layout()?.plaintext_len(inspection.meta.size);
        inspection.plaintext_length = length.ok();
        Ok(inspection)
    }

    async fn open(
        self: Box<Self>,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<OpenedBody> {
        let (header, materials, opened) = self.materials(manager, instruction_file).await?;
        Ok(OpenedBody {
            opened,
            skipped: header.length(),
            body: Body::Pieces(Box::new(header.verify(materials)?)),
        })
    }

    async fn open_for_ranges(
        self: Box<Self>,
        manager: &dyn MaterialsManager,
        instruction_file: Option<Bytes>,
    ) -> Result<OpenedRanges> {
        let (header, materials, opened) = self.materials(manager, instruction_file).await?;
        Ok(OpenedRanges {
            opened,
            ranges: Box::new(header.verify_for_ranges(materials)?),
        })
    }

    async fn rewrap(
        &self,
        manager: &dyn MaterialsManager,
        to: &dyn MaterialsManager,
        instruction_file: Bytes,
        rotation: &Rotation,
    ) -> Result<InstructionFile> {
        if *rotation != Rotation::new() {
            return Err(Error::InvalidOption {
                what: "the rotation of a framed object",
                reason: "must replace its one instruction file, which has a name of its own, and \
                    cannot be enforced",
            });
        }
        let Some((location, name)) = &self.file else {
            return Err(Error::InvalidOption {
                what: "an object to be wrapped anew",
                reason: "must have an instruction file",
            });
        };
        let sealing = |context| self.format.sealing(context);
        let (managers, expected) = ((manager, to), &self.expected_context);
        let content = ObjectKey::rewrap(
            managers,
            name,
            &instruction_file,
            expected,
            self.options(),
            sealing,
        );
        Ok(InstructionFile {
            location: location.clone(),
            content: content.await?,
            metadata: Vec::new(),
        })
    }
}

impl Ranges for RangeDecryptor {
    fn plaintext_length(&self, object_length: u64, _: &[u8]) -> Result<u64> {
        self.layout().plaintext_len(object_length)
    }

    fn open(&self, range: Range<u64>, object_length: u64) -> Result<OpenedRange> {
        let plan = self.layout().plan(range, object_length)?;
        Ok(OpenedRange {
            stored: plan.ciphertext(),
            transform: Box::new(RangeDecryptor::open(self, plan)),
        })
    }
}
