use std::fmt;

use crate::error::{Error, Result};
use crate::suite::AlgorithmSuite;

/// Which suites a client may encrypt and decrypt with, by key commitment.
///
/// A suite that commits ties a message to exactly one data key; without it one ciphertext can be
/// made to open to two plaintexts under two keys. Source: AWS Encryption SDK specification,
/// "Client", commitment policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitmentPolicy {
    /// Encrypt without commitment, decrypt everything: for fleets whose readers are old.
    ForbidEncryptAllowDecrypt,
    /// Encrypt with commitment, decrypt everything: while old messages are still around.
    RequireEncryptAllowDecrypt,
    /// Commitment everywhere.
    #[default]
    RequireEncryptRequireDecrypt,
}

impl CommitmentPolicy {
    /// The three policies, weakest first.
    pub const ALL: [Self; 3] = [
        Self::ForbidEncryptAllowDecrypt,
        Self::RequireEncryptAllowDecrypt,
        Self::RequireEncryptRequireDecrypt,
    ];

    /// The suite used when the caller names none.
    #[must_use]
    pub fn default_suite(self) -> AlgorithmSuite {
        match self {
            Self::ForbidEncryptAllowDecrypt => {
                AlgorithmSuite::AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384
            }
            Self::RequireEncryptAllowDecrypt | Self::RequireEncryptRequireDecrypt => {
                AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
            }
        }
    }

    /// # Errors
    /// [`Error::PolicyForbidsEncrypt`] when the suite may not be written.
    pub(crate) fn check_encrypt(self, suite: AlgorithmSuite) -> Result<()> {
        let allowed = match self {
            Self::ForbidEncryptAllowDecrypt => !suite.commits(),
            Self::RequireEncryptAllowDecrypt | Self::RequireEncryptRequireDecrypt => {
                suite.commits()
            }
        };
        if allowed {
            return Ok(());
        }
        Err(Error::PolicyForbidsEncrypt {
            policy: self,
            suite,
        })
    }

    /// # Errors
    /// [`Error::PolicyForbidsDecrypt`] when the suite may not be read.
    pub(crate) fn check_decrypt(self, suite: AlgorithmSuite) -> Result<()> {
        if self != Self::RequireEncryptRequireDecrypt || suite.commits() {
            return Ok(());
        }
        Err(Error::PolicyForbidsDecrypt {
            policy: self,
            suite,
        })
    }
}

impl fmt::Display for CommitmentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForbidEncryptAllowDecrypt => "forbid-encrypt-allow-decrypt",
            Self::RequireEncryptAllowDecrypt => "require-encrypt-allow-decrypt",
            Self::RequireEncryptRequireDecrypt => "require-encrypt-require-decrypt",
        })
    }
}

impl std::str::FromStr for CommitmentPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.to_string() == text)
            .ok_or(Error::InvalidOption {
                what: "the commitment policy",
                reason: "must be forbid-encrypt-allow-decrypt, require-encrypt-allow-decrypt or require-encrypt-require-decrypt",
            })
    }
}
