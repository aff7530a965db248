use std::fmt;

use crate::error::{Error, Result};

/// An algorithm suite: which cipher, key derivation, commitment and signature a message uses.
///
/// Source: AWS Encryption SDK specification, "Algorithm Suites Reference".
///
/// ```
/// use envelope::AlgorithmSuite;
///
/// let suite = AlgorithmSuite::from_id(0x0578)?;
/// assert_eq!(suite, AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384);
/// assert!(suite.is_signed() && suite.commits());
/// # Ok::<(), envelope::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlgorithmSuite(&'static Row);

/// One row of the specification's table.
#[derive(PartialEq, Eq, Hash)]
struct Row {
    id: u16,
    name: &'static str,
    data_key_length: usize,
    signed: bool,
}

const UNSIGNED: Row = Row {
    id: 0x0478,
    name: "AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
    data_key_length: 32,
    signed: false,
};

const SIGNED: Row = Row {
    id: 0x0578,
    name: "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384",
    data_key_length: 32,
    signed: true,
};

impl AlgorithmSuite {
    /// `0478`: AES-256-GCM, HKDF-SHA512, key commitment, no signature.
    pub const AES_256_GCM_HKDF_SHA512_COMMIT_KEY: Self = Self(&UNSIGNED);

    /// `0578`: as `0478`, and an ECDSA P-384 signature over the whole message.
    pub const AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384: Self = Self(&SIGNED);

    /// Every suite that this crate reads and writes.
    pub const ALL: [Self; 2] = [
        Self::AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        Self::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
    ];

    /// The suite with this id.
    ///
    /// # Errors
    /// [`Error::UnsupportedSuite`] when no such suite may stand in a message.
    pub fn from_id(id: u16) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.id() == id)
            .ok_or(Error::UnsupportedSuite { id })
    }

    /// The two-byte id on the wire.
    #[must_use]
    pub fn id(self) -> u16 {
        self.0.id
    }

    /// The specification's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Length of the data key in bytes.
    #[must_use]
    pub fn data_key_length(self) -> usize {
        self.0.data_key_length
    }

    /// Whether a signature follows the body.
    #[must_use]
    pub fn is_signed(self) -> bool {
        self.0.signed
    }

    /// Whether the header commits to exactly one data key.
    #[must_use]
    pub fn commits(self) -> bool {
        // Format version 2 holds committing suites only.
        true
    }
}

impl fmt::Debug for AlgorithmSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlgorithmSuite({self})")
    }
}

/// Writes `0478 (AES_256_GCM_HKDF_SHA512_COMMIT_KEY)`.
impl fmt::Display for AlgorithmSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x} ({})", self.id(), self.name())
    }
}

/// Accepts the hex id (`0478`, `0x0478`) or the name.
impl std::str::FromStr for AlgorithmSuite {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = text.strip_prefix("0x").unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == text || format!("{:04x}", suite.id()) == id)
            .ok_or(Error::InvalidOption {
                what: "the algorithm suite",
                reason: "must be 0478 or 0578, or one of their names",
            })
    }
}
