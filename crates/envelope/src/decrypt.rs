use crate::body::FrameOpener;
use crate::context::EncryptionContext;
use crate::crypto::Refused;
use crate::crypto::aead::Aead;
use crate::crypto::kdf::MessageKeys;
use crate::crypto::signature::{SignatureHash, VerifyingKey};
use crate::decryptor::Decryptor;
use crate::encrypt::check_maximum;
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::manager::MaterialsManager;
use crate::materials::{DecryptionMaterials, DecryptionRequest};
use crate::message::frame::{Content, FrameRules};
use crate::message::header::{Header, HeaderLimits};
use crate::message::layout::Layout;
use crate::message::scanner::FrameScanner;
use crate::policy::CommitmentPolicy;
use crate::range::RangeDecryptor;
use crate::suite::AlgorithmSuite;
use crate::transform::OutputBuffer;

/// Longest frame or non-framed body, in bytes, that a reader opens when the caller names no
/// maximum: 16 MiB.
pub const DEFAULT_MAXIMUM_FRAME_LENGTH: u64 = 16 << 20;
/// Longest header that a reader takes when the caller names no maximum: 1 MiB.
pub const DEFAULT_MAXIMUM_HEADER_LENGTH: usize = 1 << 20;

/// How to decrypt a message. The default is the strictest that opens every message this crate
/// writes by default. Source: AWS Encryption SDK specification, "Decrypt", inputs, and "Client".
#[derive(Debug, Clone)]
pub struct DecryptOptions {
    expected_context: EncryptionContext,
    policy: CommitmentPolicy,
    maximum_encrypted_data_keys: Option<usize>,
    maximum_frame_length: u64,
    maximum_header_length: usize,
    fail_on_signed: bool,
    allow_net_4_0_0: bool,
    allow_unverified_signature: bool,
}

impl Default for DecryptOptions {
    fn default() -> Self {
        Self {
            expected_context: EncryptionContext::default(),
            policy: CommitmentPolicy::default(),
            maximum_encrypted_data_keys: None,
            maximum_frame_length: DEFAULT_MAXIMUM_FRAME_LENGTH,
            maximum_header_length: DEFAULT_MAXIMUM_HEADER_LENGTH,
            fail_on_signed: false,
            allow_net_4_0_0: false,
            allow_unverified_signature: false,
        }
    }
}

impl DecryptOptions {
    /// Demands that the message was written with at least these pairs. A pair that the header
    /// does not store counts as authenticated but not stored (specification, "Required
    /// Encryption Context CMM"): if it was not, the message does not open.
    #[must_use]
    pub fn expect_context(self, expected_context: EncryptionContext) -> Self {
        Self {
            expected_context,
            ..self
        }
    }

    /// Decrypts under this commitment policy.
    #[must_use]
    pub fn with_policy(self, policy: CommitmentPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Refuses messages with more encrypted data keys than this, 1 or more, before reading any.
    #[must_use]
    pub fn with_maximum_encrypted_data_keys(self, maximum: usize) -> Self {
        let maximum_encrypted_data_keys = Some(maximum);
        Self {
            maximum_encrypted_data_keys,
            ..self
        }
    }

    /// Refuses frames and non-framed bodies with more content than this many bytes. They are held
    /// in memory until their tag verified. Default: [`DEFAULT_MAXIMUM_FRAME_LENGTH`].
    #[must_use]
    pub fn with_maximum_frame_length(self, maximum_frame_length: u64) -> Self {
        Self {
            maximum_frame_length,
            ..self
        }
    }

    /// Longest frame in bytes that is read.
    #[must_use]
    pub fn maximum_frame_length(&self) -> u64 {
        self.maximum_frame_length
    }

    /// Refuses headers of more than this many bytes. A header is held in memory until its tag
    /// verified. Default: [`DEFAULT_MAXIMUM_HEADER_LENGTH`].
    #[must_use]
    pub fn with_maximum_header_length(self, maximum_header_length: usize) -> Self {
        Self {
            maximum_header_length,
            ..self
        }
    }

    /// Refuses signed messages as soon as the header is read.
    #[must_use]
    pub fn fail_on_signed(self) -> Self {
        Self {
            fail_on_signed: true,
            ..self
        }
    }

    /// Reads messages of the AWS Encryption SDK for .NET 4.0.0 too. It computed the header's tag,
    /// and in version 1 the content key, in a way of its own, which is tried after the right one
    /// failed. It made only correct messages since 4.0.1.
    #[must_use]
    pub fn allow_net_4_0_0(self) -> Self {
        Self {
            allow_net_4_0_0: true,
            ..self
        }
    }

    /// Lets a [`Decryptor`] release frames of a signed message, each authentic under the data
    /// key, before the signature over all of them can be checked. Whoever knows the data key, a
    /// fellow reader for example, may have forged such frames: undo everything that was done
    /// with them when `finish` fails.
    #[must_use]
    pub fn allow_unverified_signature(self) -> Self {
        Self {
            allow_unverified_signature: true,
            ..self
        }
    }
}

/// A decrypted message.
#[derive(PartialEq, Eq)]
#[non_exhaustive]
pub struct Decrypted {
    /// The plaintext, authenticated to its last byte.
    pub plaintext: Vec<u8>,
    /// The whole authenticated context. A signed message's holds `aws-crypto-public-key` too.
    pub context: EncryptionContext,
    /// The suite that the message was encrypted under.
    pub suite: AlgorithmSuite,
    /// The encrypted data key that was unwrapped.
    pub key: EncryptedDataKey,
}

impl std::fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decrypted")
            .field("plaintext", &format_args!("{} bytes", self.plaintext.len()))
            .field("context", &self.context)
            .field("suite", &self.suite)
            .field("key", &self.key)
            .finish()
    }
}

/// Decrypts one whole message. Returns nothing unless everything verified (AWS Encryption SDK
/// specification, "Decrypt").
///
/// # Errors
/// Whatever makes the message unacceptable; [`Error::kind`] sorts the causes.
pub async fn decrypt<M: MaterialsManager + ?Sized>(
    manager: &M,
    message: &[u8],
    options: &DecryptOptions,
) -> Result<Decrypted> {
    let header = UnverifiedHeader::parse_whole(message, options)?;
    let body = message.get(header.length()..).unwrap_or_default();
    let materials = manager.decryption_materials(header.request()).await?;
    // Plaintext stays in here until the signature verified.
    let key = materials.opened().clone();
    let mut decryptor = header.verify_withholding(materials)?;
    let mut output = OutputBuffer::with_capacity(body.len());
    decryptor.update(body, &mut output)?;
    let (context, suite) = (decryptor.context().clone(), decryptor.suite());
    decryptor.finish(&mut output)?;
    Ok(Decrypted {
        plaintext: output.into_vec(),
        context,
        suite,
        key,
    })
}

/// A header that was parsed but not authenticated: it shows what is needed to ask for keys, and
/// what anyone can read of a message, and it opens nothing. Source: AWS Encryption SDK
/// specification, "Decrypt", "Parse the header" and "Verify the header".
#[derive(Debug)]
pub struct UnverifiedHeader {
    header: Header,
    options: DecryptOptions,
}

impl UnverifiedHeader {
    /// Reads a header from the beginning of a message. `None` means that more bytes are needed.
    /// The body begins [`length`](Self::length) bytes into the input.
    ///
    /// # Errors
    /// The parse errors; [`Error::SignedMessage`] and [`Error::PolicyForbidsDecrypt`], which
    /// come before any key is asked for.
    pub fn parse(input: &[u8], options: &DecryptOptions) -> Result<Option<Self>> {
        match Self::parse_whole(input, options) {
            Err(Error::Truncated { .. }) => Ok(None),
            parsed => parsed.map(Some),
        }
    }

    /// As [`parse`](Self::parse), for input that has no more bytes to come.
    ///
    /// # Errors
    /// [`Error::Truncated`] too.
    pub fn parse_whole(input: &[u8], options: &DecryptOptions) -> Result<Self> {
        check_maximum(options.maximum_encrypted_data_keys)?;
        let limits = HeaderLimits {
            maximum_encrypted_data_keys: options.maximum_encrypted_data_keys,
            maximum_length: options.maximum_header_length,
        };
        let header = Header::parse(input, limits)?;
        let options = options.clone();
        Self { header, options }.check()
    }

    /// The same header, to be opened by other rules than those it was parsed by. The limits on its
    /// length and on its keys stay those of the parsing.
    ///
    /// # Errors
    /// [`Error::SignedMessage`] and [`Error::PolicyForbidsDecrypt`].
    pub fn with_options(self, options: DecryptOptions) -> Result<Self> {
        Self { options, ..self }.check()
    }

    /// The rules that need no key.
    fn check(self) -> Result<Self> {
        let suite = self.header.suite;
        if self.options.fail_on_signed && suite.is_signed() {
            return Err(Error::SignedMessage { suite });
        }
        self.options.policy.check_decrypt(suite)?;
        Ok(self)
    }

    /// Length of the whole header in bytes, tag included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.header.length()
    }

    /// The materials needed to open the message.
    #[must_use]
    pub fn request(&self) -> DecryptionRequest<'_> {
        DecryptionRequest {
            suite: self.header.suite,
            policy: self.options.policy,
            encrypted_data_keys: &self.header.encrypted_data_keys,
            context: &self.header.context,
            expected_context: &self.options.expected_context,
        }
    }

    /// What the header claims, for programs that explain messages. None of it is verified.
    #[must_use]
    pub fn claims(&self) -> HeaderClaims<'_> {
        HeaderClaims(&self.header)
    }

    /// Authenticates the header and opens the message for reading from its first frame on.
    ///
    /// # Errors
    /// [`Error::InconsistentMaterials`], [`Error::CommitmentMismatch`],
    /// [`Error::HeaderNotAuthentic`]; [`Error::SignatureNotYetVerified`] for a signed message
    /// unless [`DecryptOptions::allow_unverified_signature`] was set.
    pub fn verify(self, materials: DecryptionMaterials) -> Result<Decryptor> {
        self.check_unsigned_or_allowed()?;
        self.verify_withholding(materials)
    }

    /// Authenticates the header and opens the message for reading ranges of it.
    ///
    /// # Errors
    /// As [`verify`](Self::verify). A signed message is refused in any case, as a part of it can
    /// never be checked against its signature, and so is one that is not framed.
    pub fn verify_for_ranges(self, materials: DecryptionMaterials) -> Result<RangeDecryptor> {
        let layout = HeaderClaims(&self.header).layout()?;
        let rules = self.frame_rules();
        let context = materials.context.clone();
        let (header, cipher) = self.authenticate(&materials)?;
        let opener = FrameOpener::new(cipher, &header.message_id);
        Ok(RangeDecryptor::new(layout, rules, opener, context))
    }

    fn check_unsigned_or_allowed(&self) -> Result<()> {
        if self.header.suite.is_signed() && !self.options.allow_unverified_signature {
            return Err(Error::SignatureNotYetVerified {
                suite: self.header.suite,
            });
        }
        Ok(())
    }

    /// For callers who release no plaintext before `finish` succeeded.
    fn verify_withholding(self, materials: DecryptionMaterials) -> Result<Decryptor> {
        let rules = self.frame_rules();
        let (header, cipher) = self.authenticate(&materials)?;
        let signature = materials.verifying_key.map(|key| {
            let mut hash = SignatureHash::new(key.algorithm());
            hash.update(&header.body);
            hash.update(&header.authentication);
            (key, hash)
        });
        let opener = FrameOpener::new(cipher, &header.message_id);
        Ok(Decryptor::new(
            opener,
            rules,
            signature,
            materials.context,
            header.suite,
            header.length() as u64,
        ))
    }

    fn frame_rules(&self) -> FrameRules {
        FrameRules {
            content: self.header.content,
            maximum: self.options.maximum_frame_length,
        }
    }

    /// Specification, "Decrypt", in its order: suite and key length, derivation, commitment,
    /// header tag.
    fn authenticate(self, materials: &DecryptionMaterials) -> Result<(Header, Aead)> {
        let header = self.header;
        self.options.policy.check_decrypt(materials.suite)?;
        let inconsistent = |reason| Err(Error::InconsistentMaterials { reason });
        if materials.suite != header.suite {
            return inconsistent("they are for another algorithm suite than the message");
        }
        if materials.data_key.expose().len() != header.suite.data_key_length() {
            return inconsistent("the data key has the wrong length for the algorithm suite");
        }
        let signature = materials
            .verifying_key
            .as_ref()
            .map(VerifyingKey::algorithm);
        if signature != header.suite.signature() {
            return inconsistent("a public key is there exactly when the suite signs");
        }
        let keys = MessageKeys::derive(&materials.data_key, header.suite, &header.message_id)?;
        keys.check_commitment(header.commitment.as_ref())?;
        let cipher = Aead::new(keys.content_key.expose())?;
        // The bytes as received, then the pairs that only the caller knows: none are zero bytes.
        let not_stored = materials.not_stored.to_bytes();
        let refused = match header.check_tag(&cipher, &not_stored) {
            Ok(()) => return Ok((header, cipher)),
            Err(refused) => refused,
        };
        if !self.options.allow_net_4_0_0 {
            return Err(refused);
        }
        // .NET 4.0.0 wrote an empty context as a count of zero, and derived the content key of a
        // version-1 message without its id.
        let keys = match header.suite.commits() {
            true => keys,
            false => MessageKeys::derive(&materials.data_key, header.suite, &[])?,
        };
        let cipher = Aead::new(keys.content_key.expose())?;
        let not_stored = match not_stored.is_empty() {
            true => vec![0, 0],
            false => not_stored,
        };
        header.check_tag(&cipher, &not_stored)?;
        Ok((header, cipher))
    }
}

impl Header {
    fn check_tag(&self, cipher: &Aead, not_stored: &[u8]) -> Result<()> {
        let joined;
        let aad = if not_stored.is_empty() {
            &self.body
        } else {
            joined = [&self.body, not_stored].concat();
            &joined
        };
        cipher
            .open_to(self.iv, aad, &[], &self.tag, &mut [])
            .map_err(|Refused| Error::HeaderNotAuthentic)
    }
}

/// What an unverified header says. Anyone could have written it. Source: AWS Encryption SDK
/// specification, "Message Header".
#[derive(Debug, Clone, Copy)]
pub struct HeaderClaims<'a>(&'a Header);

impl<'a> HeaderClaims<'a> {
    /// Version of the message format.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.0.suite.message_version()
    }

    /// The algorithm suite.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.0.suite
    }

    /// The random id of the message: 16 bytes in version 1, 32 in version 2.
    #[must_use]
    pub fn message_id(&self) -> &'a [u8] {
        &self.0.message_id
    }

    /// The stored encryption context, reserved keys included.
    #[must_use]
    pub fn context(&self) -> &'a EncryptionContext {
        &self.0.context
    }

    /// The wrapped data keys.
    #[must_use]
    pub fn encrypted_data_keys(&self) -> &'a [EncryptedDataKey] {
        &self.0.encrypted_data_keys
    }

    /// Plaintext bytes in each regular frame; 0 when the body is not framed.
    #[must_use]
    pub fn frame_length(&self) -> u32 {
        match self.0.content {
            Content::Framed { frame_length } => frame_length,
            Content::NonFramed => 0,
        }
    }

    /// Follows the frames behind this header, to find the length that the plaintext claims.
    #[must_use]
    pub fn frames(&self) -> FrameScanner {
        FrameScanner::new(self.0.content)
    }

    /// Sizes and offsets of the message, were it unsigned and complete.
    ///
    /// # Errors
    /// [`Error::SignatureNotYetVerified`] for a signed message, as its footer has no fixed
    /// length, and [`Error::NotFramed`].
    pub fn layout(&self) -> Result<Layout> {
        if self.0.suite.is_signed() {
            return Err(Error::SignatureNotYetVerified {
                suite: self.0.suite,
            });
        }
        match self.0.content {
            Content::Framed { frame_length } => Layout::new(self.0.length() as u64, frame_length),
            Content::NonFramed => Err(Error::NotFramed),
        }
    }
}

/// Collects the first bytes of a message until its header is complete, however they are cut.
#[derive(Debug)]
pub struct HeaderReader {
    options: DecryptOptions,
    bytes: Vec<u8>,
    /// Parsing is tried again at this length. It doubles, so that a header which trickles in
    /// does not cost the square of its length.
    next_try: usize,
}

impl HeaderReader {
    /// A reader of one header.
    #[must_use]
    pub fn new(options: DecryptOptions) -> Self {
        Self {
            options,
            bytes: Vec::new(),
            next_try: 1,
        }
    }

    /// Takes the next input. Returns the header once it is complete, with the bytes of the body
    /// that came along. After an error or a header, use a new reader.
    ///
    /// # Errors
    /// As [`UnverifiedHeader::parse`].
    pub fn feed(&mut self, input: &[u8]) -> Result<Option<(UnverifiedHeader, Vec<u8>)>> {
        self.bytes.extend_from_slice(input);
        if self.bytes.len() < self.next_try {
            return Ok(None);
        }
        self.next_try = self.bytes.len().saturating_mul(2);
        match UnverifiedHeader::parse(&self.bytes, &self.options)? {
            Some(header) => Ok(Some(self.split(header))),
            None => Ok(None),
        }
    }

    /// Ends the input: the header is complete now or never.
    ///
    /// # Errors
    /// As [`UnverifiedHeader::parse_whole`].
    pub fn finish(mut self) -> Result<(UnverifiedHeader, Vec<u8>)> {
        let header = UnverifiedHeader::parse_whole(&self.bytes, &self.options)?;
        Ok(self.split(header))
    }

    fn split(&mut self, header: UnverifiedHeader) -> (UnverifiedHeader, Vec<u8>) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let body = bytes.split_off(header.length());
        (header, body)
    }
}
