use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha384};

use super::{Refused, backend};
use crate::error::{Error, Result};

/// Signs one message with ECDSA P-384 (FIPS 186-5). The key is new for each message and dies
/// with it.
pub(crate) struct SigningKey(backend::SigningKey);

impl SigningKey {
    pub(crate) fn generate() -> Result<Self> {
        backend::SigningKey::generate()
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
            .sign(&hash.0.finalize())
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
pub(crate) struct VerifyingKey(Vec<u8>);

/// Length of a compressed P-384 point in bytes.
const COMPRESSED_POINT_LENGTH: usize = 49;

impl VerifyingKey {
    /// Reads the context's base64; the point itself is checked when a signature is.
    pub(crate) fn from_base64(text: &str) -> Result<Self> {
        match STANDARD.decode(text) {
            Ok(point) if point.len() == COMPRESSED_POINT_LENGTH => Ok(Self(point)),
            _ => Err(Error::PublicKeyNotValid {
                reason: "is not the base64 of a compressed P-384 point",
            }),
        }
    }

    pub(crate) fn verify(&self, hash: SignatureHash, signature: &[u8]) -> Result<()> {
        backend::verify(&self.0, &hash.0.finalize(), signature)
            .map_err(|Refused| Error::SignatureNotValid)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", STANDARD.encode(&self.0))
    }
}

/// The running SHA-384 of a signed message, from its first byte to the last of its body.
#[derive(Clone, Default)]
pub(crate) struct SignatureHash(Sha384);

impl SignatureHash {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl fmt::Debug for SignatureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureHash")
    }
}
