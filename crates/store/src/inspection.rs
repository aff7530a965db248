use envelope::{AlgorithmSuite, EncryptedDataKey, EncryptionContext};
use object_store::ObjectMeta;
use object_store::path::Path;

/// What a stored object claims about itself. Nothing of it is verified: anyone could have written
/// it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspection {
    /// `framed`, or `framed-instruction` when the keys are in an instruction file.
    pub format: &'static str,
    /// Version of the message format.
    pub version: u8,
    /// The algorithm suite.
    pub suite: AlgorithmSuite,
    /// The message id.
    pub message_id: Vec<u8>,
    /// The stored part of the encryption context.
    pub context: EncryptionContext,
    /// The wrapped data key, once for each wrapping key: from the header or the instruction file.
    pub encrypted_data_keys: Vec<EncryptedDataKey>,
    /// Plaintext bytes in each frame.
    pub frame_length: u32,
    /// Length of the header in bytes.
    pub header_length: u64,
    /// Where the keys are, when not in the header.
    pub instruction_file: Option<Path>,
    /// Length of the plaintext in bytes. Nothing when no complete object has this one's length.
    pub plaintext_length: Option<u64>,
    /// What the inner store says: the size is the ciphertext's.
    pub meta: ObjectMeta,
}
