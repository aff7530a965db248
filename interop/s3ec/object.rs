use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::form::{Form, Format, Wrap};

/// The size of every part of a multipart upload but the last: S3's minimum.
pub(crate) const PART_SIZE: usize = 5 << 20;

/// Names and values of an encryption context or a materials description.
pub(crate) type Pairs = BTreeMap<String, String>;

/// An object to write.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) form: Form,
    /// The encryption context with a KMS key, the materials description with any other.
    pub(crate) pairs: Pairs,
    pub(crate) length: usize,
    pub(crate) multipart: bool,
}

/// How to read an object.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) key: String,
    pub(crate) wrap: Wrap,
    /// As [`Object::pairs`]. Where it is a description that is not empty, the reader has the right
    /// key under that description alone, and another as its main key.
    pub(crate) pairs: Pairs,
    /// Whether legacy wraps and content without authentication are allowed.
    pub(crate) legacy: bool,
    /// Whether the policy is to require commitment.
    pub(crate) committed_only: bool,
    /// The instruction file's suffix, where it is not the usual one.
    pub(crate) suffix: Option<&'static str>,
    /// The bytes wanted, or all.
    pub(crate) range: Option<Range<usize>>,
}

/// What a reader got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) length: usize,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
}

impl Object {
    /// The reading that this object is for: with the strictest options that open it.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            key: self.key.clone(),
            wrap: self.form.wrap,
            pairs: self.pairs.clone(),
            legacy: self.form.format.is_legacy(),
            committed_only: self.form.format == Format::V3,
            suffix: None,
            range: None,
        }
    }
}

impl Opened {
    pub(crate) fn of(plaintext: &[u8]) -> Self {
        let digest = Sha256::digest(plaintext);
        Self {
            length: plaintext.len(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of SHA-256 {}", self.length, self.sha256)
    }
}

/// The plaintext of every object of this length. Its pieces differ, wherever they are cut.
pub(crate) fn plaintext(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| {
            let [low, middle, high, ..] = i.to_le_bytes();
            low ^ middle ^ high
        })
        .collect()
}

/// Pairs as JSON has them.
pub(crate) fn pairs<const COUNT: usize>(pairs: [(&str, &str); COUNT]) -> Pairs {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
