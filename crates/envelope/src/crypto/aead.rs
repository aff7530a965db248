use super::{Refused, backend};
use crate::error::Error;

/// Length of an AES-GCM tag in bytes.
pub(crate) const TAG_LENGTH: usize = 16;
/// Length of an AES-GCM initialisation vector in bytes.
pub(crate) const IV_LENGTH: usize = 12;

/// AES-GCM under one key (NIST SP 800-38D): keyed once, then buffer to buffer.
pub(crate) struct Aead(backend::AeadKey);

impl Aead {
    /// Takes a key of 16, 24 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Result<Self, Error> {
        match backend::AeadKey::new(key) {
            Ok(key) => Ok(Self(key)),
            Err(Refused) => Err(Error::KeyLength {
                length: key.len(),
                legal: "16, 24 or 32 bytes",
            }),
        }
    }

    /// Encrypts `plaintext` into `ciphertext`, which has the same length, and `tag`.
    pub(crate) fn seal_to(
        &self,
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; TAG_LENGTH],
    ) -> Result<(), Error> {
        self.0
            .seal_to(iv, aad, plaintext, ciphertext, tag)
            .map_err(|Refused| Error::SealFailed)
    }

    /// Decrypts `ciphertext` into `plaintext`, which has the same length. On failure nothing in
    /// `plaintext` may be used.
    pub(crate) fn open_to(
        &self,
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_LENGTH],
        plaintext: &mut [u8],
    ) -> Result<(), Refused> {
        self.0.open_to(iv, aad, ciphertext, tag, plaintext)
    }
}

impl std::fmt::Debug for Aead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aead(redacted)")
    }
}
