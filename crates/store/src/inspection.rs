use envelope::{AlgorithmSuite, EncryptedDataKey, EncryptionContext};
use object_store::ObjectMeta;
use object_store::path::Path;

/// What a stored object claims about itself. Nothing of it is verified: anyone could have written
/// it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspection {
    /// `framed`, or `framed-instruction` when the keys are in an instruction file; other formats
    /// have names of their own.
    pub format: &'static str,
    /// Version of the format.
    pub version: u8,
    /// The algorithm suite.
    pub suite: AlgorithmSuite,
    /// The message id. Not every format has one.
    pub message_id: Vec<u8>,
    /// The stored part of the encryption context.
    pub context: EncryptionContext,
    /// The wrapped data key, once for each wrapping key: from the header or the instruction file.
    pub encrypted_data_keys: Vec<EncryptedDataKey>,
    /// Plaintext bytes in each frame. Nothing where there are no frames.
    pub frame_length: Option<u32>,
    /// Length of the header in bytes.
    pub header_length: u64,
    /// Where the keys are, when not in the header.
    pub instruction_file: Option<Path>,
    /// Length of the plaintext in bytes. Nothing when no complete object has this one's length, or
    /// when only a key tells.
    pub plaintext_length: Option<u64>,
    /// What the inner store says: the size is the ciphertext's.
    pub meta: ObjectMeta,
}

impl Inspection {
    /// What every format tells. The rest is empty, for the format to fill in.
    #[must_use]
    pub fn new(format: &'static str, version: u8, suite: AlgorithmSuite, meta: ObjectMeta) -> Self {
        Self {
            format,
            version,
            suite,
            message_id: Vec::new(),
            context: EncryptionContext::default(),
            encrypted_data_keys: Vec::new(),
            frame_length: None,
            header_length: 0,
            instruction_file: None,
            plaintext_length: None,
            meta,
        }
    }
}
