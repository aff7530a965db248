//! AES-GCM, ECDSA and randomness from AWS-LC.

mod asymmetric;

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{Digest, SHA256, SHA384};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};

pub(super) use asymmetric::{EcPrivateKey, RsaPrivateKey, RsaPublicKey, check_point, point_spki};

use super::Refused;
use crate::suite::SignatureAlgorithm;

pub(super) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(super) fn new(key: &[u8]) -> Result<Self, Refused> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            _ => return Err(Refused),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Refused)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    pub(super) fn seal_to(
        &self,
        iv: [u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; 16],
    ) -> Result<(), Refused> {
        let iv = Nonce::assume_unique_for_key(iv);
        self.0
            .seal_out_of_place_scatter(iv, Aad::from(aad), plaintext, ciphertext, &[], tag)
            .map_err(|_| Refused)
    }

    pub(super) fn open_to(
        &self,
        iv: [u8; 12],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; 16],
        plaintext: &mut [u8],
    ) -> Result<(), Refused> {
        let iv = Nonce::assume_unique_for_key(iv);
        self.0
            .open_separate_gather(iv, Aad::from(aad), ciphertext, tag, plaintext)
            .map_err(|_| Refused)
    }
}

pub(super) struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    pub(super) fn generate(algorithm: SignatureAlgorithm) -> Result<Self, Refused> {
        let algorithm = match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        };
        EcdsaKeyPair::generate(algorithm)
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refused> {
        let point: EcPublicKeyCompressedBin<'_> =
            self.0.public_key().as_be_bytes().map_err(|_| Refused)?;
        Ok(point.as_ref().to_vec())
    }

    pub(super) fn sign(&self, hash: &[u8]) -> Result<Vec<u8>, Refused> {
        let signature = self.0.sign_digest(&digest(hash)?).map_err(|_| Refused)?;
        Ok(signature.as_ref().to_vec())
    }
}

pub(super) fn verify(
    algorithm: SignatureAlgorithm,
    public_key: &[u8],
    hash: &[u8],
    signature: &[u8],
) -> Result<(), Refused> {
    let algorithm = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
    };
    UnparsedPublicKey::new(algorithm, public_key)
        .verify_digest(&digest(hash)?, signature)
        .map_err(|_| Refused)
}

fn digest(hash: &[u8]) -> Result<Digest, Refused> {
    let algorithm = match hash.len() {
        32 => &SHA256,
        _ => &SHA384,
    };
    Digest::import_less_safe(hash, algorithm).map_err(|_| Refused)
}

pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), Refused> {
    aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), bytes).map_err(|_| Refused)
}
