//! RSA and key agreement from pure Rust.

use p256::elliptic_curve::sec1::ToSec1Point;
use pkcs8::spki::{DecodePublicKey, EncodePublicKey};
use pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rand::rngs::SysRng;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::fill_random;
use crate::crypto::Refused;
use crate::crypto::ec_key::EcCurve;
#[cfg(feature = "legacy-oaep")]
use crate::crypto::legacy_oaep;
use crate::crypto::rsa_key::RsaPadding;
use crate::secret::DerivedKey;

pub(crate) struct RsaPublicKey(rsa::PublicKey);

/// Length of the modulus in bits: its bytes alone would count leading zeros.
fn bits(key: &impl PublicKeyParts) -> usize {
    key.n().bit_width() as usize
}

impl RsaPublicKey {
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, Refused> {
        rsa::PublicKey::from_public_key_der(der)
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(crate) fn bits(&self) -> usize {
        bits(&self.0)
    }

    pub(crate) fn encrypt(&self, padding: RsaPadding, plain: &[u8]) -> Result<Vec<u8>, Refused> {
        let (key, rng) = (&self.0, &mut SysRng);
        match padding {
            RsaPadding::Pkcs1 => key.pkcs1v15_encrypt_with_rng(rng, plain),
            RsaPadding::OaepSha1 => key.oaep_encrypt_with_rng::<Sha1, _>(rng, plain),
            RsaPadding::OaepSha256 => key.oaep_encrypt_with_rng::<Sha256, _>(rng, plain),
            RsaPadding::OaepSha384 => key.oaep_encrypt_with_rng::<Sha384, _>(rng, plain),
            RsaPadding::OaepSha512 => key.oaep_encrypt_with_rng::<Sha512, _>(rng, plain),
            // Nobody writes it any more.
            #[cfg(feature = "legacy-oaep")]
            RsaPadding::OaepSha256Mgf1Sha1 => return Err(Refused),
        }
        .map_err(|_| Refused)
    }
}

pub(crate) struct RsaPrivateKey(Box<rsa::PrivateKey>);

impl RsaPrivateKey {
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, Refused> {
        rsa::PrivateKey::from_pkcs8_der(der)
            .map(|key| Self(Box::new(key)))
            .map_err(|_| Refused)
    }

    pub(crate) fn generate(bits: usize) -> Result<Self, Refused> {
        rsa::PrivateKey::new(&mut SysRng, bits)
            .map(|key| Self(Box::new(key)))
            .map_err(|_| Refused)
    }

    pub(crate) fn bits(&self) -> usize {
        bits(&*self.0)
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let document = self.0.to_pkcs8_der().map_err(|_| Refused)?;
        Ok(document.to_bytes())
    }

    pub(crate) fn public_spki(&self) -> Result<Vec<u8>, Refused> {
        let key = self.0.to_public_key();
        Ok(key.to_public_key_der().map_err(|_| Refused)?.into_vec())
    }

    pub(crate) fn decrypt(
        &self,
        padding: RsaPadding,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        // The randomness blinds the operation. PKCS#1 v1.5 answers bad padding with a made-up
        // key instead of an error, which fails in the next check.
        let (key, rng) = (&self.0, &mut SysRng);
        match padding {
            RsaPadding::Pkcs1 => key.pkcs1v15_decrypt_with_rng(rng, ciphertext),
            RsaPadding::OaepSha1 => key.oaep_decrypt_with_rng::<Sha1, _>(rng, ciphertext),
            RsaPadding::OaepSha256 => key.oaep_decrypt_with_rng::<Sha256, _>(rng, ciphertext),
            RsaPadding::OaepSha384 => key.oaep_decrypt_with_rng::<Sha384, _>(rng, ciphertext),
            RsaPadding::OaepSha512 => key.oaep_decrypt_with_rng::<Sha512, _>(rng, ciphertext),
            #[cfg(feature = "legacy-oaep")]
            RsaPadding::OaepSha256Mgf1Sha1 => return legacy_oaep::decrypt(key, ciphertext),
        }
        .map(Zeroizing::new)
        .map_err(|_| Refused)
    }
}

pub(crate) fn check_point(curve: EcCurve, point: &[u8]) -> Result<(), Refused> {
    match curve {
        EcCurve::P256 => p256::PublicKey::from_sec1_bytes(point).is_ok(),
        EcCurve::P384 => p384::PublicKey::from_sec1_bytes(point).is_ok(),
        EcCurve::P521 => p521::PublicKey::from_sec1_bytes(point).is_ok(),
    }
    .then_some(())
    .ok_or(Refused)
}

/// SubjectPublicKeyInfo of a point in either form.
pub(crate) fn point_spki(curve: EcCurve, point: &[u8]) -> Result<Vec<u8>, Refused> {
    let document = match curve {
        EcCurve::P256 => p256::PublicKey::from_sec1_bytes(point)
            .map_err(|_| Refused)?
            .to_public_key_der(),
        EcCurve::P384 => p384::PublicKey::from_sec1_bytes(point)
            .map_err(|_| Refused)?
            .to_public_key_der(),
        EcCurve::P521 => p521::PublicKey::from_sec1_bytes(point)
            .map_err(|_| Refused)?
            .to_public_key_der(),
    };
    Ok(document.map_err(|_| Refused)?.into_vec())
}

pub(crate) enum EcPrivateKey {
    P256(Box<p256::SecretKey>),
    P384(Box<p384::SecretKey>),
    P521(Box<p521::SecretKey>),
}

/// The same expression for the key of each curve.
macro_rules! each_curve {
    ($key:expr, $name:ident => $body:expr) => {
        match $key {
            EcPrivateKey::P256($name) => $body,
            EcPrivateKey::P384($name) => $body,
            EcPrivateKey::P521($name) => $body,
        }
    };
}

impl EcPrivateKey {
    pub(crate) fn from_pkcs8(curve: EcCurve, der: &[u8]) -> Result<Self, Refused> {
        match curve {
            EcCurve::P256 => p256::SecretKey::from_pkcs8_der(der).map(|key| Self::P256(key.into())),
            EcCurve::P384 => p384::SecretKey::from_pkcs8_der(der).map(|key| Self::P384(key.into())),
            EcCurve::P521 => p521::SecretKey::from_pkcs8_der(der).map(|key| Self::P521(key.into())),
        }
        .map_err(|_| Refused)
    }

    pub(crate) fn generate(curve: EcCurve) -> Result<Self, Refused> {
        for _ in 0..super::SCALAR_TRIES {
            let mut scalar = Zeroizing::new([0; 66]);
            fill_random(scalar.as_mut_slice())?;
            // P-521 has one bit in its first byte.
            if let Some(first) = scalar.first_mut() {
                *first &= 1;
            }
            let key = match curve {
                EcCurve::P256 => {
                    let scalar = scalar.last_chunk::<32>().ok_or(Refused)?;
                    p256::SecretKey::from_slice(scalar).map(|key| Self::P256(key.into()))
                }
                EcCurve::P384 => {
                    let scalar = scalar.last_chunk::<48>().ok_or(Refused)?;
                    p384::SecretKey::from_slice(scalar).map(|key| Self::P384(key.into()))
                }
                EcCurve::P521 => {
                    p521::SecretKey::from_slice(scalar.as_slice()).map(|key| Self::P521(key.into()))
                }
            };
            if let Ok(key) = key {
                return Ok(key);
            }
        }
        Err(Refused)
    }

    pub(crate) fn public_point(&self) -> Result<Vec<u8>, Refused> {
        each_curve!(self, key => Ok(key.public_key().to_sec1_point(false).as_bytes().to_vec()))
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let document = each_curve!(self, key => key.to_pkcs8_der());
        Ok(document.map_err(|_| Refused)?.to_bytes())
    }

    pub(crate) fn public_spki(&self) -> Result<Vec<u8>, Refused> {
        let document = each_curve!(self, key => key.public_key().to_public_key_der());
        Ok(document.map_err(|_| Refused)?.into_vec())
    }

    pub(crate) fn agree(&self, peer: &[u8]) -> Result<DerivedKey, Refused> {
        match self {
            Self::P256(key) => {
                let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| Refused)?;
                DerivedKey::copy_of(key.diffie_hellman(&peer).raw_secret_bytes())
            }
            Self::P384(key) => {
                let peer = p384::PublicKey::from_sec1_bytes(peer).map_err(|_| Refused)?;
                DerivedKey::copy_of(key.diffie_hellman(&peer).raw_secret_bytes())
            }
            Self::P521(key) => {
                let peer = p521::PublicKey::from_sec1_bytes(peer).map_err(|_| Refused)?;
                DerivedKey::copy_of(key.diffie_hellman(&peer).raw_secret_bytes())
            }
        }
        .ok_or(Refused)
    }
}
