//! What objects of the Amazon S3 Encryption Client say about their keys, in formats V1, V2 and V3:
//! between pairs of user metadata, or an instruction file, and an [`Envelope`]. No keys, no input or
//! output. Names are without `x-amz-meta-`.

use std::collections::BTreeMap;

use crate::content::{COMMITMENT_LENGTH, MESSAGE_ID_LENGTH};

mod encoded_words;
mod fields;
mod json;
mod names;
mod parse;
mod wrap_algorithm;
mod write;

pub(crate) use names::{INSTRUCTION_FILE_MARKER, is_reserved};
pub(crate) use parse::{Found, InFile, is_instruction_file, parse, parse_instruction_file};
pub(crate) use wrap_algorithm::WrapAlgorithm;

const AES_GCM: &str = "AES/GCM/NoPadding";
const AES_CBC: &str = "AES/CBC/PKCS5Padding";
/// The committing suite's id. CTR suites are never stored.
const COMMITTING_SUITE: &str = "115";

/// What an object says about its keys and its content cipher. Nothing of it is verified.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) struct Envelope {
    pub(crate) content: Content,
    pub(crate) wrap: WrapAlgorithm,
    pub(crate) encrypted_data_key: Vec<u8>,
    /// The encryption context of KMS, or the material description that selects a raw key.
    pub(crate) description: BTreeMap<String, String>,
    /// Length of the plaintext in bytes. A claim, and V3 makes none.
    pub(crate) plaintext_length: Option<u64>,
}

/// The object's format, and what its content cipher needs.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum Content {
    V1Cbc {
        iv: [u8; 16],
    },
    V2Cbc {
        iv: [u8; 16],
    },
    V2Gcm {
        iv: [u8; 12],
    },
    V3 {
        message_id: [u8; MESSAGE_ID_LENGTH],
        commitment: [u8; COMMITMENT_LENGTH],
    },
}

impl Content {
    /// The format's version, 1 to 3.
    pub(crate) fn version(&self) -> u8 {
        match self {
            Self::V1Cbc { .. } => 1,
            Self::V2Cbc { .. } | Self::V2Gcm { .. } => 2,
            Self::V3 { .. } => 3,
        }
    }

    /// Whether nothing authenticates the content.
    pub(crate) fn is_cbc(&self) -> bool {
        matches!(self, Self::V1Cbc { .. } | Self::V2Cbc { .. })
    }

    /// The name that metadata has for the cipher. V1 stores none.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::V1Cbc { .. } | Self::V2Cbc { .. } => AES_CBC,
            Self::V2Gcm { .. } => AES_GCM,
            Self::V3 { .. } => COMMITTING_SUITE,
        }
    }
}

impl Envelope {
    /// Whether the data key is wrapped for GCM and the content claims to be CBC, as when somebody
    /// relabelled an object to learn its plaintext (CVE-2020-8912). Such an object must not be read.
    pub(crate) fn is_bound_to_another_cipher(&self) -> bool {
        self.content.is_cbc() && !self.wrap.is_legacy()
    }
}

#[cfg(test)]
mod tests;
