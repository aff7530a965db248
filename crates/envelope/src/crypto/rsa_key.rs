use std::fmt;

use pkcs8::der::Document;
use zeroize::Zeroizing;

use super::{Refused, backend, pem};
use crate::error::{Error, Result};

/// Shortest and longest modulus in bits that are used.
const LEGAL_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// How RSA pads a data key (RFC 8017). OAEP uses its hash for MGF1 too, and no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RsaPadding {
    /// RSAES-PKCS1-v1_5: for old messages and old readers.
    Pkcs1,
    /// RSAES-OAEP with SHA-1.
    OaepSha1,
    /// RSAES-OAEP with SHA-256.
    OaepSha256,
    /// RSAES-OAEP with SHA-384.
    OaepSha384,
    /// RSAES-OAEP with SHA-512.
    OaepSha512,
    /// RSAES-OAEP with SHA-256, and MGF1 with SHA-1. It only decrypts: no message has it, but
    /// objects of old S3 Encryption Clients do.
    #[cfg(feature = "legacy-oaep")]
    OaepSha256Mgf1Sha1,
}

impl RsaPadding {
    /// All that messages have.
    pub const ALL: [Self; 5] = [
        Self::Pkcs1,
        Self::OaepSha1,
        Self::OaepSha256,
        Self::OaepSha384,
        Self::OaepSha512,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Pkcs1 => "pkcs1",
            Self::OaepSha1 => "oaep-sha1",
            Self::OaepSha256 => "oaep-sha256",
            Self::OaepSha384 => "oaep-sha384",
            Self::OaepSha512 => "oaep-sha512",
            #[cfg(feature = "legacy-oaep")]
            Self::OaepSha256Mgf1Sha1 => "oaep-sha256 with mgf1-sha1",
        }
    }

    /// # Errors
    /// [`Error::InvalidOption`] for a padding that only decrypts.
    pub(crate) fn check_current(self) -> Result<()> {
        if Self::ALL.contains(&self) {
            return Ok(());
        }
        Err(Error::InvalidOption {
            what: "the RSA padding",
            reason: "only opens objects of old S3 Encryption Clients; use one of RsaPadding::ALL",
        })
    }
}

impl fmt::Display for RsaPadding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for RsaPadding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|padding| padding.name() == text)
            .ok_or(Error::InvalidOption {
                what: "the RSA padding",
                reason: "must be pkcs1, oaep-sha1, oaep-sha256, oaep-sha384 or oaep-sha512",
            })
    }
}

/// An RSA key that wraps data keys, of 2048 to 8192 bits (RFC 8017).
pub struct RsaPublicKey(backend::RsaPublicKey);

impl RsaPublicKey {
    /// Reads the PEM of a SubjectPublicKeyInfo (RFC 5280).
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_pem(pem: &str) -> Result<Self> {
        Self::from_key(pem::public_key(pem)?)
    }

    /// Reads the DER of a SubjectPublicKeyInfo (RFC 5280), as key services hand it out.
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_der(der: &[u8]) -> Result<Self> {
        Self::from_key(pem::public_key_der(der)?)
    }

    fn from_key(key: pem::Key<Document>) -> Result<Self> {
        let key = key.expect(pem::RSA)?;
        backend::RsaPublicKey::from_spki(key.document.as_bytes())
            .ok()
            .filter(|key| LEGAL_BITS.contains(&key.bits()))
            .map(Self)
            .ok_or(WRONG_SIZE)
    }

    /// Encrypts a data key: what a keyring of one's own is made from.
    ///
    /// # Errors
    /// [`Error::SealFailed`] when the plaintext is too long for key and padding, and
    /// [`Error::InvalidOption`] for a padding that only decrypts.
    pub fn encrypt(&self, padding: RsaPadding, plaintext: &[u8]) -> Result<Vec<u8>> {
        padding.check_current()?;
        self.0
            .encrypt(padding, plaintext)
            .map_err(|Refused| Error::SealFailed)
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.0.bits())
    }
}

const WRONG_SIZE: Error = Error::KeyNotValid {
    reason: "is no RSA key of 2048 to 8192 bits",
};

/// An RSA key that unwraps data keys, of 2048 to 8192 bits (RFC 8017). Never printed.
pub struct RsaPrivateKey(backend::RsaPrivateKey);

impl RsaPrivateKey {
    /// Reads the PEM of a PKCS#8 private key (RFC 5958), with a passphrase if it is encrypted.
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_pem(pem: &str, passphrase: Option<&[u8]>) -> Result<Self> {
        let key = pem::private_key(pem, passphrase)?.expect(pem::RSA)?;
        backend::RsaPrivateKey::from_pkcs8(key.document.as_bytes())
            .ok()
            .filter(|key| LEGAL_BITS.contains(&key.bits()))
            .map(Self)
            .ok_or(WRONG_SIZE)
    }

    /// A new key of 2048, 3072, 4096 or 8192 bits.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for another length, [`Error::Randomness`].
    pub fn generate(bits: usize) -> Result<Self> {
        if !matches!(bits, 2048 | 3072 | 4096 | 8192) {
            return Err(Error::InvalidOption {
                what: "the length of an RSA key",
                reason: "must be 2048, 3072, 4096 or 8192 bits",
            });
        }
        backend::RsaPrivateKey::generate(bits)
            .map(Self)
            .map_err(|Refused| Error::Randomness)
    }

    /// The key as PEM of PKCS#8, not encrypted.
    ///
    /// # Errors
    /// [`Error::SealFailed`] when the cryptography library cannot encode it.
    pub fn to_pem(&self) -> Result<Zeroizing<String>> {
        let der = self.0.to_pkcs8().map_err(|Refused| Error::SealFailed)?;
        pem::encode_private(&der)
    }

    /// Its public key as PEM of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`to_pem`](Self::to_pem).
    pub fn public_key_pem(&self) -> Result<String> {
        pem::encode_public(self.public_key_der()?)
    }

    /// Its public key as DER of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`to_pem`](Self::to_pem).
    pub fn public_key_der(&self) -> Result<Vec<u8>> {
        self.0.public_spki().map_err(|Refused| Error::SealFailed)
    }

    /// Decrypts a data key: what a keyring of one's own is made from.
    ///
    /// With PKCS#1 v1.5, something else than what was encrypted may decrypt to made-up bytes of any
    /// length instead of an error. A caller must not let anybody tell the two apart, as [`RawRsa`]
    /// does not: who can, decrypts whatever they like by asking often enough.
    ///
    /// [`RawRsa`]: crate::RawRsa
    ///
    /// # Errors
    /// [`Error::NotDecrypted`], whatever is wrong.
    pub fn decrypt(&self, padding: RsaPadding, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.0
            .decrypt(padding, ciphertext)
            .map_err(|Refused| Error::NotDecrypted)
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaPrivateKey(redacted)")
    }
}
