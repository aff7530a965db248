//! AES-GCM, ECDSA and randomness from pure Rust.

mod asymmetric;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce, Tag, aes::Aes192};
use p384::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use rand::TryRng;
use zeroize::Zeroizing;

pub(super) use asymmetric::{EcPrivateKey, RsaPrivateKey, RsaPublicKey, check_point, point_spki};

use super::Refused;
use crate::suite::SignatureAlgorithm;

/// The key schedules are about a kilobyte each; boxed so that moving a key leaves no copy.
pub(super) enum AeadKey {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
}

impl AeadKey {
    pub(super) fn new(key: &[u8]) -> Result<Self, Refused> {
        fn keyed<C: KeyInit>(key: &[u8]) -> Result<Box<C>, Refused> {
            C::new_from_slice(key).map(Box::new).map_err(|_| Refused)
        }
        match key.len() {
            16 => keyed(key).map(Self::Aes128),
            24 => keyed(key).map(Self::Aes192),
            32 => keyed(key).map(Self::Aes256),
            _ => Err(Refused),
        }
    }

    pub(super) fn seal_to(
        &self,
        iv: [u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; 16],
    ) -> Result<(), Refused> {
        let iv = Nonce::from(iv);
        let buffer = InOutBuf::new(plaintext, ciphertext).map_err(|_| Refused)?;
        let sealed = match self {
            Self::Aes128(key) => key.encrypt_inout_detached(&iv, aad, buffer),
            Self::Aes192(key) => key.encrypt_inout_detached(&iv, aad, buffer),
            Self::Aes256(key) => key.encrypt_inout_detached(&iv, aad, buffer),
        };
        *tag = sealed.map_err(|_| Refused)?.into();
        Ok(())
    }

    pub(super) fn open_to(
        &self,
        iv: [u8; 12],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; 16],
        plaintext: &mut [u8],
    ) -> Result<(), Refused> {
        let iv = Nonce::from(iv);
        let tag = Tag::from(*tag);
        let buffer = InOutBuf::new(ciphertext, plaintext).map_err(|_| Refused)?;
        match self {
            Self::Aes128(key) => key.decrypt_inout_detached(&iv, aad, buffer, &tag),
            Self::Aes192(key) => key.decrypt_inout_detached(&iv, aad, buffer, &tag),
            Self::Aes256(key) => key.decrypt_inout_detached(&iv, aad, buffer, &tag),
        }
        .map_err(|_| Refused)
    }
}

pub(super) enum SigningKey {
    P256(Box<p256::ecdsa::SigningKey>),
    P384(Box<p384::ecdsa::SigningKey>),
}

impl SigningKey {
    pub(super) fn generate(algorithm: SignatureAlgorithm) -> Result<Self, Refused> {
        // A random scalar is out of range about once in 2^32 tries for P-256 and in 2^190 for
        // P-384; it is then drawn again (FIPS 186-5, A.2.2).
        for _ in 0..SCALAR_TRIES {
            let mut scalar = Zeroizing::new([0; 48]);
            fill_random(scalar.as_mut_slice())?;
            let key = match algorithm {
                SignatureAlgorithm::EcdsaP256Sha256 => {
                    let scalar = scalar.first_chunk::<32>().ok_or(Refused)?;
                    p256::ecdsa::SigningKey::from_slice(scalar).map(|key| Self::P256(key.into()))
                }
                SignatureAlgorithm::EcdsaP384Sha384 => {
                    p384::ecdsa::SigningKey::from_slice(scalar.as_slice())
                        .map(|key| Self::P384(key.into()))
                }
            };
            if let Ok(key) = key {
                return Ok(key);
            }
        }
        Err(Refused)
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refused> {
        Ok(match self {
            Self::P256(key) => key.verifying_key().to_sec1_point(true).as_bytes().to_vec(),
            Self::P384(key) => key.verifying_key().to_sec1_point(true).as_bytes().to_vec(),
        })
    }

    pub(super) fn sign(&self, hash: &[u8]) -> Result<Vec<u8>, Refused> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(hash).map_err(|_| Refused)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(hash).map_err(|_| Refused)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

/// Tries at a random scalar before the source of randomness is taken for broken.
const SCALAR_TRIES: usize = 4;

pub(super) fn verify(
    algorithm: SignatureAlgorithm,
    public_key: &[u8],
    hash: &[u8],
    signature: &[u8],
) -> Result<(), Refused> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => {
            let key =
                p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key).map_err(|_| Refused)?;
            let signature = p256::ecdsa::DerSignature::try_from(signature).map_err(|_| Refused)?;
            key.verify_prehash(hash, &signature).map_err(|_| Refused)
        }
        SignatureAlgorithm::EcdsaP384Sha384 => {
            let key =
                p384::ecdsa::VerifyingKey::from_sec1_bytes(public_key).map_err(|_| Refused)?;
            let signature = p384::ecdsa::DerSignature::try_from(signature).map_err(|_| Refused)?;
            key.verify_prehash(hash, &signature).map_err(|_| Refused)
        }
    }
}

pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), Refused> {
    rand::rngs::SysRng
        .try_fill_bytes(bytes)
        .map_err(|_| Refused)
}
