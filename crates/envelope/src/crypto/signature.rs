use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384};

use super::{Refused, backend};
use crate::error::{Error, Result};
use crate::suite::SignatureAlgorithm;

/// Signs with ECDSA (FIPS 186-5). The key is made for one message, or for those that share
/// cached materials, and never stored.
pub(crate) struct SigningKey(backend::SigningKey);

impl SigningKey {
    pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Result<Self> {
        backend::SigningKey::generate(algorithm)
            .map(Self)
            .map_err(|Refused| Error::Randomness)
    }

    /// The compressed public point (SEC 1) in standard base64, as the context carries it.
    pub(crate) fn public_key_base64(&self) -> Result<String> {
        let point = self.0.public_key().map_err(|Refused| Error::SealFailed)?;
        Ok(STANDARD.encode(point))
    }

    /// The DER signature over the hashed bytes.
    pub(crate) fn sign(&self, hash: SignatureHash) -> Result<Vec<u8>> {
        self.0
            .sign(&hash.finish())
            .map_err(|Refused| Error::SealFailed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// Checks one message's signature. Holds the compressed public point.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct VerifyingKey {
    algorithm: SignatureAlgorithm,
    point: Vec<u8>,
}

impl VerifyingKey {
    /// Reads the context's base64; the point itself is checked when a signature is.
    pub(crate) fn from_base64(algorithm: SignatureAlgorithm, text: &str) -> Result<Self> {
        let (length, reason) = match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                (33, "is not the base64 of a compressed P-256 point")
            }
            SignatureAlgorithm::EcdsaP384Sha384 => {
                (49, "is not the base64 of a compressed P-384 point")
            }
        };
        match STANDARD.decode(text) {
            Ok(point) if point.len() == length => Ok(Self { algorithm, point }),
            _ => Err(Error::PublicKeyNotValid { reason }),
        }
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(crate) fn verify(&self, hash: SignatureHash, signature: &[u8]) -> Result<()> {
        backend::verify(self.algorithm, &self.point, &hash.finish(), signature)
            .map_err(|Refused| Error::SignatureNotValid)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", STANDARD.encode(&self.point))
    }
}

/// The running hash of a signed message, from its first byte to the last of its body.
#[derive(Clone)]
pub(crate) enum SignatureHash {
    Sha256(Sha256),
    Sha384(Sha384),
}

impl SignatureHash {
    pub(crate) fn new(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => Self::Sha256(Sha256::new()),
            SignatureAlgorithm::EcdsaP384Sha384 => Self::Sha384(Sha384::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha384(hash) => hash.finalize().to_vec(),
        }
    }
}

impl fmt::Debug for SignatureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureHash")
    }
}
