use std::fmt;

use crate::error::{Error, Result};

/// An algorithm suite: which cipher, key derivation, commitment and signature a message uses.
///
/// The suite fixes the version of the message format too. Source: AWS Encryption SDK
/// specification, "Algorithm Suites", "Supported Algorithm Suites"; for objects of the Amazon S3
/// Encryption Client, that client's specification, "Algorithm Suites".
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
    derivation: KeyDerivation,
    signature: Option<SignatureAlgorithm>,
}

/// How a message's content key comes from its data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KeyDerivation {
    /// The data key is the content key.
    Identity,
    HkdfSha256,
    HkdfSha384,
    /// With a key commitment beside it.
    HkdfSha512Commit,
}

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SignatureAlgorithm {
    EcdsaP256Sha256,
    EcdsaP384Sha384,
}

/// The constants and a list of them from one table.
macro_rules! suites {
    ($(#[$list_doc:meta])* $list:ident: $count:literal;
    $($(#[$doc:meta])* $name:ident = $id:literal, $bits:literal, $derivation:ident, $signature:expr;)*) => {
        impl AlgorithmSuite {
            $($(#[$doc])* pub const $name: Self = Self(&Row {
                id: $id,
                name: stringify!($name),
                data_key_length: $bits / 8,
                derivation: KeyDerivation::$derivation,
                signature: $signature,
            });)*

            $(#[$list_doc])*
            pub const $list: [Self; $count] = [$(Self::$name),*];
        }
    };
}

suites! {
    /// Every suite that a message can have, those of format version 1 first.
    ALL: 11;
    /// `0014`, version 1: AES-128-GCM under the data key itself.
    AES_128_GCM_IV12_TAG16_NO_KDF = 0x0014, 128, Identity, None;
    /// `0046`, version 1: AES-192-GCM under the data key itself.
    AES_192_GCM_IV12_TAG16_NO_KDF = 0x0046, 192, Identity, None;
    /// `0078`, version 1: AES-256-GCM under the data key itself.
    AES_256_GCM_IV12_TAG16_NO_KDF = 0x0078, 256, Identity, None;
    /// `0114`, version 1: AES-128-GCM, HKDF-SHA256.
    AES_128_GCM_IV12_TAG16_HKDF_SHA256 = 0x0114, 128, HkdfSha256, None;
    /// `0146`, version 1: AES-192-GCM, HKDF-SHA256.
    AES_192_GCM_IV12_TAG16_HKDF_SHA256 = 0x0146, 192, HkdfSha256, None;
    /// `0178`, version 1: AES-256-GCM, HKDF-SHA256.
    AES_256_GCM_IV12_TAG16_HKDF_SHA256 = 0x0178, 256, HkdfSha256, None;
    /// `0214`, version 1: AES-128-GCM, HKDF-SHA256, ECDSA P-256.
    AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256 =
        0x0214, 128, HkdfSha256, Some(SignatureAlgorithm::EcdsaP256Sha256);
    /// `0346`, version 1: AES-192-GCM, HKDF-SHA384, ECDSA P-384.
    AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384 =
        0x0346, 192, HkdfSha384, Some(SignatureAlgorithm::EcdsaP384Sha384);
    /// `0378`, version 1: AES-256-GCM, HKDF-SHA384, ECDSA P-384.
    AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384 =
        0x0378, 256, HkdfSha384, Some(SignatureAlgorithm::EcdsaP384Sha384);
    /// `0478`, version 2: AES-256-GCM, HKDF-SHA512, key commitment, no signature.
    AES_256_GCM_HKDF_SHA512_COMMIT_KEY = 0x0478, 256, HkdfSha512Commit, None;
    /// `0578`, version 2: as `0478`, and an ECDSA P-384 signature over the whole message.
    AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384 =
        0x0578, 256, HkdfSha512Commit, Some(SignatureAlgorithm::EcdsaP384Sha384);
}

suites! {
    /// Every suite that an object of the Amazon S3 Encryption Client can be stored under. No message
    /// has one.
    S3: 3;
    /// `0070`: AES-256-CBC under the data key itself, not authenticated. Old objects only.
    S3_AES_256_CBC_IV16_NO_KDF = 0x0070, 256, Identity, None;
    /// `0072`: AES-256-GCM over the whole object, under the data key itself.
    S3_AES_256_GCM_IV12_TAG16_NO_KDF = 0x0072, 256, Identity, None;
    /// `0073`: AES-256-GCM over the whole object, HKDF-SHA512, key commitment.
    S3_AES_256_GCM_HKDF_SHA512_COMMIT_KEY = 0x0073, 256, HkdfSha512Commit, None;
}

impl AlgorithmSuite {
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

    /// Version of the message format that the suite belongs to: 1 or 2. It is 0 for a suite of
    /// [`S3`](Self::S3), which no message has.
    #[must_use]
    pub fn message_version(self) -> u8 {
        match (Self::S3.contains(&self), self.commits()) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        }
    }

    /// # Errors
    /// [`Error::UnsupportedSuite`] when no message can have this suite.
    pub(crate) fn check_message(self) -> Result<()> {
        match self.message_version() {
            0 => Err(Error::UnsupportedSuite { id: self.id() }),
            _ => Ok(()),
        }
    }

    /// Length of the data key in bytes.
    #[must_use]
    pub fn data_key_length(self) -> usize {
        self.0.data_key_length
    }

    /// Whether a signature follows the body.
    #[must_use]
    pub fn is_signed(self) -> bool {
        self.0.signature.is_some()
    }

    /// Whether the header commits to exactly one data key.
    #[must_use]
    pub fn commits(self) -> bool {
        self.0.derivation == KeyDerivation::HkdfSha512Commit
    }

    /// Whether one data key may encrypt several messages: each then has a content key of its own,
    /// derived from the data key. Objects of the S3 Encryption Client have a data key each.
    pub(crate) fn shares_data_keys(self) -> bool {
        self.derives_key() && self.message_version() != 0
    }

    /// Whether each message has a content key of its own, derived from its data key. Without
    /// that a data key must encrypt one message only.
    #[must_use]
    pub fn derives_key(self) -> bool {
        self.0.derivation != KeyDerivation::Identity
    }

    pub(crate) fn derivation(self) -> KeyDerivation {
        self.0.derivation
    }

    pub(crate) fn signature(self) -> Option<SignatureAlgorithm> {
        self.0.signature
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
                reason: "must be one of 0014, 0046, 0078, 0114, 0146, 0178, 0214, 0346, 0378, 0478 and 0578, or its name",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_found_by_its_id_and_its_name() {
        for suite in AlgorithmSuite::ALL {
            assert_eq!(AlgorithmSuite::from_id(suite.id()).unwrap(), suite);
            assert_eq!(suite.name().parse::<AlgorithmSuite>().unwrap(), suite);
            let id = format!("{:04x}", suite.id());
            assert_eq!(id.parse::<AlgorithmSuite>().unwrap(), suite);
        }
    }

    #[test]
    fn suites_of_objects_are_no_suites_of_messages() {
        for suite in AlgorithmSuite::S3 {
            assert_eq!(suite.message_version(), 0, "{suite}");
            assert!(!suite.shares_data_keys(), "{suite}");
            assert!(suite.name().parse::<AlgorithmSuite>().is_err(), "{suite}");
        }
    }

    #[test]
    fn ids_of_other_formats_are_refused() {
        for id in [0, 0x0070, 0x0072, 0x0073, 0x0074, 0x6700, 0x6701, 0xffff] {
            assert!(matches!(
                AlgorithmSuite::from_id(id),
                Err(Error::UnsupportedSuite { id: found }) if found == id
            ));
        }
    }
}
