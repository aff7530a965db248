use std::sync::Arc;

use zeroize::Zeroizing;

use crate::context::EncryptionContext;
use crate::crypto::aead::Aead;
use crate::crypto::kdf::MessageKeys;
use crate::crypto::random;
use crate::crypto::signature::{SignatureHash, SigningKey};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::manager::MaterialsManager;
use crate::materials::{EncryptionMaterials, EncryptionRequest};
use crate::message::footer;
use crate::message::frame::{self, BodyAad, FINAL_OVERHEAD, FrameKind, REGULAR_OVERHEAD};
use crate::message::header::{HeaderFields, message_id_length};
use crate::policy::CommitmentPolicy;
use crate::suite::AlgorithmSuite;
use crate::transform::{OutputBuffer, Transform};

/// Provider id of the entry that fills a header up to a wanted length.
pub const PADDING_PROVIDER_ID: &str = "envelope-padding";

/// Frame length when the caller names none, in bytes (specification, "Encrypt").
pub const DEFAULT_FRAME_LENGTH: u32 = 4096;

/// How to encrypt a message. The default is the strictest: committing, signed, frames of 4096
/// bytes, an empty context. Source: AWS Encryption SDK specification, "Encrypt", inputs, and
/// "Client".
#[derive(Debug, Clone)]
pub struct EncryptOptions {
    context: EncryptionContext,
    suite: Option<AlgorithmSuite>,
    policy: CommitmentPolicy,
    frame_length: u32,
    maximum_encrypted_data_keys: Option<usize>,
    plaintext_length: Option<u64>,
    header_length: Option<usize>,
}

impl Default for EncryptOptions {
    fn default() -> Self {
        Self {
            context: EncryptionContext::default(),
            suite: None,
            policy: CommitmentPolicy::default(),
            frame_length: DEFAULT_FRAME_LENGTH,
            maximum_encrypted_data_keys: None,
            plaintext_length: None,
            header_length: None,
        }
    }
}

impl EncryptOptions {
    /// Binds this context to the message.
    #[must_use]
    pub fn with_context(self, context: EncryptionContext) -> Self {
        Self { context, ..self }
    }

    /// Encrypts under this suite instead of the policy's default.
    #[must_use]
    pub fn with_suite(self, suite: AlgorithmSuite) -> Self {
        let suite = Some(suite);
        Self { suite, ..self }
    }

    /// Encrypts under this commitment policy.
    #[must_use]
    pub fn with_policy(self, policy: CommitmentPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Cuts the plaintext into frames of this many bytes, 1 to 2^32 - 1. Longer frames cost
    /// less; shorter ones make small range reads cheaper.
    #[must_use]
    pub fn with_frame_length(self, frame_length: u32) -> Self {
        Self {
            frame_length,
            ..self
        }
    }

    /// Refuses materials with more encrypted data keys than this, 1 or more.
    #[must_use]
    pub fn with_maximum_encrypted_data_keys(self, maximum: usize) -> Self {
        let maximum_encrypted_data_keys = Some(maximum);
        Self {
            maximum_encrypted_data_keys,
            ..self
        }
    }

    /// Announces the plaintext's length in bytes; a longer plaintext then fails.
    #[must_use]
    pub fn with_plaintext_length_bound(self, bound: u64) -> Self {
        let plaintext_length = Some(bound);
        Self {
            plaintext_length,
            ..self
        }
    }

    /// Makes the whole header exactly this many bytes long, so that the plaintext's length follows
    /// from the message's. Room that is left is filled with one more encrypted data key, under the
    /// provider id [`PADDING_PROVIDER_ID`], which every keyring skips. This is an addition of ours
    /// within the message format: any AWS Encryption SDK opens such messages.
    #[must_use]
    pub fn with_header_length(self, header_length: usize) -> Self {
        let header_length = Some(header_length);
        Self {
            header_length,
            ..self
        }
    }

    /// The materials that these options need.
    ///
    /// # Errors
    /// [`Error::PolicyForbidsEncrypt`], [`Error::InvalidOption`], and
    /// [`Error::ReservedContextKey`] for a context that was read from a signed message: use its
    /// [`without_reserved`](EncryptionContext::without_reserved).
    pub fn request(&self) -> Result<EncryptionRequest<'_>> {
        if let Some(suite) = self.suite {
            suite.check_message()?;
            self.policy.check_encrypt(suite)?;
        }
        check_maximum(self.maximum_encrypted_data_keys)?;
        self.context.check_unreserved()?;
        Ok(EncryptionRequest {
            suite: self.suite,
            policy: self.policy,
            context: &self.context,
            plaintext_length: self.plaintext_length,
        })
    }
}

/// Specification, "Client": a maximum of encrypted data keys must be above zero.
pub(crate) fn check_maximum(maximum: Option<usize>) -> Result<()> {
    if maximum == Some(0) {
        return Err(Error::InvalidOption {
            what: "the maximum of encrypted data keys",
            reason: "must be at least 1",
        });
    }
    Ok(())
}

/// The entry that makes a header of `length` bytes `wanted` bytes long; none when it is already.
fn padding(length: usize, wanted: usize) -> Result<Option<EncryptedDataKey>> {
    if length == wanted {
        return Ok(None);
    }
    // No field is empty: the JavaScript SDK refuses entries with empty ones.
    let entry = |room| EncryptedDataKey::new(PADDING_PROVIDER_ID, "padding", vec![0; room]);
    let shortest = entry(1).length();
    wanted
        .checked_sub(length + shortest)
        .map(|room| room + 1)
        .filter(|room| *room <= usize::from(u16::MAX))
        .map(|room| Some(entry(room)))
        .ok_or(Error::HeaderDoesNotFit {
            length,
            padding: shortest,
            wanted,
        })
}

/// Encrypts bytes into one whole message (AWS Encryption SDK specification, "Encrypt").
///
/// ```
/// # futures::executor::block_on(async {
/// use envelope::{DecryptOptions, EncryptOptions, EncryptionContext, RawAes, WrappingKey};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let context = EncryptionContext::new([("tenant", "acme")])?;
///
/// let sealing = EncryptOptions::default().with_context(context.clone());
/// let message = envelope::encrypt(&keyring, b"hello", &sealing).await?;
///
/// let opening = DecryptOptions::default().expect_context(context);
/// let opened = envelope::decrypt(&keyring, &message, &opening).await?;
/// assert_eq!(opened.plaintext, b"hello");
/// # Ok::<(), envelope::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// As [`EncryptOptions::request`], the materials manager's own, and as [`Encryptor`].
pub async fn encrypt<M: MaterialsManager + ?Sized>(
    manager: &M,
    plaintext: &[u8],
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let mut request = options.request()?;
    // The length is known here, so managers that count bytes get it.
    request
        .plaintext_length
        .get_or_insert(plaintext.len() as u64);
    let materials = manager.encryption_materials(request).await?;
    let mut encryptor = Encryptor::new(materials, options)?;
    let mut output = OutputBuffer::with_capacity(encryptor.message_length(plaintext.len()));
    encryptor.update(plaintext, &mut output)?;
    encryptor.finish(&mut output)?;
    Ok(output.into_vec())
}

/// Encrypts one message piece by piece, in constant memory: about one frame.
///
/// Nothing is a message until [`finish`](Encryptor::finish) wrote its end. Source: AWS Encryption
/// SDK specification, "Encrypt" and "Streaming".
pub struct Encryptor {
    cipher: Aead,
    aad: BodyAad,
    frame_length: usize,
    /// The next frame's number; 0 once all numbers are used.
    sequence: u32,
    /// The header, until it was written out.
    header: Vec<u8>,
    /// Plaintext of a frame that is not full yet, or full and perhaps the final one.
    pending: Zeroizing<Vec<u8>>,
    signing: Option<(Arc<SigningKey>, SignatureHash)>,
    /// Plaintext bytes still allowed by the announced bound.
    allowance: Option<(u64, u64)>,
    failed: bool,
}

impl Encryptor {
    /// Derives the message's keys and writes its header.
    ///
    /// # Errors
    /// When options or materials break a rule of the format.
    pub fn new(materials: EncryptionMaterials, options: &EncryptOptions) -> Result<Self> {
        let suite = materials.suite;
        suite.check_message()?;
        // The manager may be anyone's: its answer is held against the request once more.
        options.policy.check_encrypt(suite)?;
        if options.suite.is_some_and(|asked| asked != suite) {
            return Err(Error::InconsistentMaterials {
                reason: "they are for another algorithm suite than the one asked for",
            });
        }
        if materials.data_key.expose().len() != suite.data_key_length() {
            return Err(Error::InconsistentMaterials {
                reason: "the data key has the wrong length for the algorithm suite",
            });
        }
        let count = materials.encrypted_data_keys.len();
        if let Some(maximum) = options
            .maximum_encrypted_data_keys
            .filter(|max| count > *max)
        {
            return Err(Error::TooManyEncryptedDataKeys { count, maximum });
        }
        let frame_length = options.frame_length;
        if frame_length == 0 {
            return Err(Error::InvalidOption {
                what: "the frame length",
                reason: "must be from 1 to 4294967295 bytes",
            });
        }
        if materials.signing_key.is_some() != suite.is_signed() {
            return Err(Error::InconsistentMaterials {
                reason: "a signing key is there exactly when the suite signs",
            });
        }
        let mut message_id = vec![0; message_id_length(suite)];
        random::fill(&mut message_id)?;
        let keys = MessageKeys::derive(&materials.data_key, suite, &message_id)?;
        let (stored, not_stored) = materials.context.split(&materials.not_stored);
        let mut fields = HeaderFields {
            suite,
            message_id: &message_id,
            context: &stored,
            encrypted_data_keys: &materials.encrypted_data_keys,
            frame_length,
            commitment: keys.commitment.as_ref(),
        };
        let mut header = fields.write()?;
        let padded;
        if let Some(wanted) = options.header_length {
            let length = header.len() + HeaderFields::authentication_length(suite);
            if let Some(padding) = padding(length, wanted)? {
                padded = [&materials.encrypted_data_keys[..], &[padding]].concat();
                fields.encrypted_data_keys = &padded;
                header = fields.write()?;
            }
        }
        let cipher = Aead::new(keys.content_key.expose())?;
        let (iv, mut tag) = (frame::iv(0), [0; 16]);
        // Pairs that are not stored are authenticated behind the header all the same.
        let aad = [&header[..], &not_stored.to_bytes()].concat();
        cipher.seal_to(iv, &aad, &[], &mut [], &mut tag)?;
        header.extend_from_slice(&HeaderFields::authentication(suite, &iv, &tag));
        Ok(Self {
            cipher,
            aad: BodyAad::new(&message_id),
            frame_length: usize::try_from(frame_length).map_err(|_| Error::TooManyFrames)?,
            sequence: 1,
            header,
            pending: Zeroizing::default(),
            signing: materials
                .signing_key
                .zip(suite.signature())
                .map(|(key, algorithm)| (key, SignatureHash::new(algorithm))),
            allowance: options.plaintext_length.map(|bound| (bound, bound)),
            failed: false,
        })
    }

    /// Length in bytes that the message of a plaintext of this length will have. Of a signed
    /// message it is an upper bound.
    #[must_use]
    pub fn message_length(&self, plaintext: usize) -> usize {
        const LONGEST_FOOTER: usize = 106;
        let regular = plaintext.saturating_sub(1) / self.frame_length;
        let footer = self.signing.as_ref().map_or(0, |_| LONGEST_FOOTER);
        self.header
            .len()
            .saturating_add(plaintext)
            .saturating_add(regular.saturating_mul(REGULAR_OVERHEAD))
            .saturating_add(FINAL_OVERHEAD + footer)
    }

    /// Takes the next plaintext and appends every frame that is certainly not the last.
    ///
    /// # Errors
    /// [`Error::PlaintextTooLong`] and [`Error::TooManyFrames`].
    pub fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(Error::AlreadyFailed);
        }
        let result = self.try_update(input, output);
        self.failed = result.is_err();
        result
    }

    fn try_update(&mut self, mut input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        if let Some((left, bound)) = &mut self.allowance {
            let Some(rest) = left.checked_sub(input.len() as u64) else {
                return Err(Error::PlaintextTooLong { bound: *bound });
            };
            *left = rest;
        }
        self.write_header(output);
        // A full frame is sealed only when more plaintext follows: the last one is the final.
        if !self.pending.is_empty() {
            let missing = self.frame_length - self.pending.len();
            let (head, rest) = input.split_at(missing.min(input.len()));
            self.keep(head);
            input = rest;
            if input.is_empty() {
                return Ok(());
            }
            let pending = std::mem::take(&mut self.pending);
            self.seal(FrameKind::Regular, &pending, output)?;
            self.pending = pending;
            self.pending.clear();
        }
        while input.len() > self.frame_length {
            let (frame, rest) = input.split_at(self.frame_length);
            self.seal(FrameKind::Regular, frame, output)?;
            input = rest;
        }
        self.keep(input);
        Ok(())
    }

    /// Keeps plaintext until its frame is full. The plaintext may be a key, so no copy of it is left
    /// behind where the buffer grows.
    fn keep(&mut self, plain: &[u8]) {
        let needed = self.pending.len() + plain.len();
        if needed > self.pending.capacity() {
            let doubled = self.frame_length.min(2 * self.pending.len());
            let mut longer = Zeroizing::new(Vec::with_capacity(needed.max(doubled)));
            longer.extend_from_slice(&self.pending);
            self.pending = longer;
        }
        self.pending.extend_from_slice(plain);
    }

    /// Appends the final frame and, for a signed suite, the signature.
    ///
    /// # Errors
    /// [`Error::TooManyFrames`], or when an earlier call failed.
    pub fn finish(mut self, output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(Error::AlreadyFailed);
        }
        self.write_header(output);
        let pending = std::mem::take(&mut self.pending);
        self.seal(FrameKind::Final, &pending, output)?;
        if let Some((key, hash)) = self.signing.take() {
            output.extend_from_slice(&footer::write(&key.sign(hash)?)?);
        }
        Ok(())
    }

    fn write_header(&mut self, output: &mut OutputBuffer) {
        if self.header.is_empty() {
            return;
        }
        let header = std::mem::take(&mut self.header);
        if let Some((_, hash)) = &mut self.signing {
            hash.update(&header);
        }
        output.extend_from_slice(&header);
    }

    /// Seals one frame from where its plaintext lies to where the message is written.
    fn seal(&mut self, kind: FrameKind, plain: &[u8], output: &mut OutputBuffer) -> Result<()> {
        let sequence = self.sequence;
        // Specification: at most 2^32 - 1 frames, the last of which is final. A regular frame
        // numbered 2^32 - 1 would read as the final marker.
        if sequence == 0 || (sequence == u32::MAX && kind == FrameKind::Regular) {
            return Err(Error::TooManyFrames);
        }
        let overhead = match kind {
            FrameKind::Regular => REGULAR_OVERHEAD,
            FrameKind::Final | FrameKind::NonFramed => FINAL_OVERHEAD,
        };
        let length = overhead + plain.len();
        let bytes = output.spare(length);
        let (content, tag) = frame::lay_out(kind, sequence, bytes)?;
        let aad = self.aad.of(kind, sequence, plain.len());
        self.cipher
            .seal_to(frame::iv(sequence), aad, plain, content, tag)?;
        if let Some((_, hash)) = &mut self.signing {
            hash.update(bytes);
        }
        output.advance(length);
        self.sequence = sequence.wrapping_add(1);
        Ok(())
    }
}

impl Transform for Encryptor {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        Encryptor::update(self, input, output)
    }

    fn finish(self: Box<Self>, output: &mut OutputBuffer) -> Result<()> {
        Encryptor::finish(*self, output)
    }
}

impl std::fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encryptor")
            .field("frame_length", &self.frame_length)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
