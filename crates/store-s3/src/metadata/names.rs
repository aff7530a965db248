//! Names of metadata keys.

/// Marks the object that is an instruction file. Its value is empty, and readers do not need it.
pub(crate) const INSTRUCTION_FILE_MARKER: &str = "x-amz-crypto-instr-file";

pub(super) const KEY_V1: &str = "x-amz-key";
pub(super) const KEY_V2: &str = "x-amz-key-v2";
pub(super) const IV: &str = "x-amz-iv";
pub(super) const CONTENT_CIPHER: &str = "x-amz-cek-alg";
pub(super) const WRAP: &str = "x-amz-wrap-alg";
pub(super) const TAG_LENGTH: &str = "x-amz-tag-len";
pub(super) const DESCRIPTION: &str = "x-amz-matdesc";

pub(super) const SUITE_V3: &str = "x-amz-c";
pub(super) const KEY_V3: &str = "x-amz-3";
pub(super) const WRAP_V3: &str = "x-amz-w";
pub(super) const COMMITMENT_V3: &str = "x-amz-d";
pub(super) const MESSAGE_ID_V3: &str = "x-amz-i";
/// For KMS.
pub(super) const CONTEXT_V3: &str = "x-amz-t";
/// For raw keys.
pub(super) const DESCRIPTION_V3: &str = "x-amz-m";

pub(super) const PLAINTEXT_LENGTH: &str = "x-amz-unencrypted-content-length";
/// Old PHP clients wrote it, readers ignore it.
const PLAINTEXT_MD5: &str = "x-amz-unencrypted-content-md5";

/// The encrypted data key of each format.
pub(super) const KEYS: [&str; 3] = [KEY_V1, KEY_V2, KEY_V3];
pub(super) const V1_OR_V2: [&str; 7] = [
    KEY_V1,
    KEY_V2,
    IV,
    CONTENT_CIPHER,
    WRAP,
    TAG_LENGTH,
    DESCRIPTION,
];
pub(super) const V2_ONLY: [&str; 3] = [CONTENT_CIPHER, WRAP, TAG_LENGTH];
pub(super) const V3: [&str; 7] = [
    SUITE_V3,
    KEY_V3,
    WRAP_V3,
    COMMITMENT_V3,
    MESSAGE_ID_V3,
    CONTEXT_V3,
    DESCRIPTION_V3,
];
/// What V3 keeps on the object, away from whoever can write its instruction file.
pub(super) const V3_ON_OBJECT: [&str; 3] = [SUITE_V3, COMMITMENT_V3, MESSAGE_ID_V3];
/// Empty values of these count as absent: Go clients write them.
pub(super) const OPTIONAL: [&str; 5] = [
    TAG_LENGTH,
    DESCRIPTION,
    CONTEXT_V3,
    DESCRIPTION_V3,
    PLAINTEXT_LENGTH,
];
/// JSON objects of text that users chose.
pub(super) const DESCRIPTIONS: [&str; 3] = [DESCRIPTION, CONTEXT_V3, DESCRIPTION_V3];

/// The key that this is, in its one spelling. Stores differ in the case of names.
pub(super) fn known(name: &str) -> Option<&'static str> {
    V1_OR_V2
        .into_iter()
        .chain(V3)
        .chain([PLAINTEXT_LENGTH])
        .find(|known| known.eq_ignore_ascii_case(name))
}

/// Whether this name of user metadata belongs to the client. With a pair of the caller's own under
/// it, the object could not be read again.
pub(crate) fn is_reserved(name: &str) -> bool {
    let others = [INSTRUCTION_FILE_MARKER, PLAINTEXT_MD5];
    known(name).is_some() || others.iter().any(|other| other.eq_ignore_ascii_case(name))
}
