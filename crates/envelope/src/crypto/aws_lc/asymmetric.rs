//! RSA and key agreement from AWS-LC.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey};
use aws_lc_rs::encoding::{
    AsBigEndian, AsDer, EcPublicKeyUncompressedBin, Pkcs8V1Der, PublicKeyX509Der,
};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384,
    OAEP_SHA512_MGF1SHA512, OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
};
#[cfg(feature = "legacy-oaep")]
use pkcs8::DecodePrivateKey;
use zeroize::Zeroizing;

use crate::crypto::Refused;
use crate::crypto::ec_key::EcCurve;
#[cfg(feature = "legacy-oaep")]
use crate::crypto::legacy_oaep;
use crate::crypto::rsa_key::RsaPadding;
use crate::secret::DerivedKey;

/// The OAEP variant, or nothing for PKCS#1 v1.5.
fn oaep(padding: RsaPadding) -> Result<Option<&'static OaepAlgorithm>, Refused> {
    Ok(match padding {
        RsaPadding::Pkcs1 => None,
        RsaPadding::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        RsaPadding::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
        RsaPadding::OaepSha384 => Some(&OAEP_SHA384_MGF1SHA384),
        RsaPadding::OaepSha512 => Some(&OAEP_SHA512_MGF1SHA512),
        // This library does not have it.
        #[cfg(feature = "legacy-oaep")]
        RsaPadding::OaepSha256Mgf1Sha1 => return Err(Refused),
    })
}

pub(crate) struct RsaPublicKey(PublicEncryptingKey);

impl RsaPublicKey {
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, Refused> {
        PublicEncryptingKey::from_der(der)
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(crate) fn bits(&self) -> usize {
        self.0.key_size_bits()
    }

    pub(crate) fn encrypt(&self, padding: RsaPadding, plain: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut output = vec![0; self.0.key_size_bytes()];
        let key = self.0.clone();
        let encrypted = match oaep(padding)? {
            Some(algorithm) => OaepPublicEncryptingKey::new(key)
                .and_then(|key| Ok(key.encrypt(algorithm, plain, &mut output, None)?.len())),
            None => Pkcs1PublicEncryptingKey::new(key)
                .and_then(|key| Ok(key.encrypt(plain, &mut output)?.len())),
        };
        output.truncate(encrypted.map_err(|_| Refused)?);
        Ok(output)
    }
}

pub(crate) struct RsaPrivateKey(PrivateDecryptingKey);

impl RsaPrivateKey {
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, Refused> {
        PrivateDecryptingKey::from_pkcs8(der)
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(crate) fn generate(bits: usize) -> Result<Self, Refused> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            _ => return Err(Refused),
        };
        PrivateDecryptingKey::generate(size)
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(crate) fn bits(&self) -> usize {
        self.0.key_size_bits()
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| Refused)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    pub(crate) fn public_spki(&self) -> Result<Vec<u8>, Refused> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| Refused)?;
        Ok(der.as_ref().to_vec())
    }

    pub(crate) fn decrypt(
        &self,
        padding: RsaPadding,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        #[cfg(feature = "legacy-oaep")]
        if padding == RsaPadding::OaepSha256Mgf1Sha1 {
            let key = rsa::PrivateKey::from_pkcs8_der(&self.to_pkcs8()?).map_err(|_| Refused)?;
            return legacy_oaep::decrypt(&key, ciphertext);
        }
        let mut output = Zeroizing::new(vec![0; self.0.key_size_bytes()]);
        let key = self.0.clone();
        let decrypted = match oaep(padding)? {
            Some(algorithm) => OaepPrivateDecryptingKey::new(key)
                .and_then(|key| Ok(key.decrypt(algorithm, ciphertext, &mut output, None)?.len())),
            None => Pkcs1PrivateDecryptingKey::new(key)
                .and_then(|key| Ok(key.decrypt(ciphertext, &mut output)?.len())),
        };
        output.truncate(decrypted.map_err(|_| Refused)?);
        Ok(output)
    }
}

fn algorithm(curve: EcCurve) -> &'static agreement::Algorithm {
    match curve {
        EcCurve::P256 => &ECDH_P256,
        EcCurve::P384 => &ECDH_P384,
        EcCurve::P521 => &ECDH_P521,
    }
}

pub(crate) fn check_point(curve: EcCurve, point: &[u8]) -> Result<(), Refused> {
    let unparsed = agreement::UnparsedPublicKey::new(algorithm(curve), point);
    ParsedPublicKey::try_from(&unparsed)
        .map(|_| ())
        .map_err(|_| Refused)
}

/// SubjectPublicKeyInfo of a point in either form. Keys of signatures have it, keys of agreement do
/// not; it says the same of both.
pub(crate) fn point_spki(curve: EcCurve, point: &[u8]) -> Result<Vec<u8>, Refused> {
    let algorithm = match curve {
        EcCurve::P256 => &ECDSA_P256_SHA256_ASN1,
        EcCurve::P384 => &ECDSA_P384_SHA384_ASN1,
        EcCurve::P521 => &ECDSA_P521_SHA512_ASN1,
    };
    let key = signature::ParsedPublicKey::new(algorithm, point).map_err(|_| Refused)?;
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| Refused)?;
    Ok(der.as_ref().to_vec())
}

pub(crate) struct EcPrivateKey(agreement::PrivateKey);

impl EcPrivateKey {
    pub(crate) fn from_pkcs8(curve: EcCurve, der: &[u8]) -> Result<Self, Refused> {
        agreement::PrivateKey::from_private_key_der(algorithm(curve), der)
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(crate) fn generate(curve: EcCurve) -> Result<Self, Refused> {
        agreement::PrivateKey::generate(algorithm(curve))
            .map(Self)
            .map_err(|_| Refused)
    }

    pub(crate) fn public_point(&self) -> Result<Vec<u8>, Refused> {
        let key = self.0.compute_public_key().map_err(|_| Refused)?;
        let point: EcPublicKeyUncompressedBin<'_> = key.as_be_bytes().map_err(|_| Refused)?;
        Ok(point.as_ref().to_vec())
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| Refused)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    pub(crate) fn public_spki(&self) -> Result<Vec<u8>, Refused> {
        let key = self.0.compute_public_key().map_err(|_| Refused)?;
        let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| Refused)?;
        Ok(der.as_ref().to_vec())
    }

    pub(crate) fn agree(&self, peer: &[u8]) -> Result<DerivedKey, Refused> {
        let peer = agreement::UnparsedPublicKey::new(self.0.algorithm(), peer);
        agreement::agree(&self.0, peer, Refused, |secret| {
            DerivedKey::copy_of(secret).ok_or(Refused)
        })
    }
}
