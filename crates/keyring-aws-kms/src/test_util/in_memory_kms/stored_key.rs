use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_sdk_kms::types::{KeySpec, KeyState};
use envelope::{
    EcCurve, EcPrivateKey, EcPublicKey, RsaPadding, RsaPrivateKey, RsaPublicKey, WrappingKey,
    random_bytes,
};
use zeroize::Zeroizing;

use crate::arn::Arn;
use crate::kms_error::KmsError;
use crate::test_util::refusal::Refusal;

const IV_LENGTH: usize = 12;
const ID_LENGTH: usize = 16;

const INVALID_CIPHERTEXT: Refusal = Refusal::new(
    "InvalidCiphertextException",
    "the ciphertext or its encryption context is another",
);

/// A key in one region.
#[derive(Clone)]
pub(super) struct StoredKey {
    pub(super) arn: Arn,
    pub(super) state: KeyState,
    /// Replicas share it.
    pub(super) material: Arc<KeyMaterial>,
}

pub(super) struct KeyMaterial {
    pub(super) spec: KeySpec,
    /// Stands in ciphertexts, so that the key is found again.
    id: [u8; ID_LENGTH],
    secret: Secret,
}

enum Secret {
    Symmetric(Box<Aes256Gcm>),
    Rsa(RsaPrivateKey),
    Agreement(EcPrivateKey),
}

impl KeyMaterial {
    pub(super) fn generate(spec: KeySpec) -> Result<Self, KmsError> {
        let curve = |curve| EcPrivateKey::generate(curve).map(Secret::Agreement);
        let rsa = |bits| RsaPrivateKey::generate(bits).map(Secret::Rsa);
        let secret = match spec {
            KeySpec::SymmetricDefault => {
                let key = WrappingKey::generate()?;
                let cipher = Aes256Gcm::new_from_slice(key.expose());
                let cipher = cipher.map_err(|_| envelope::Error::SealFailed)?;
                Secret::Symmetric(Box::new(cipher))
            }
            KeySpec::Rsa2048 => rsa(2048)?,
            KeySpec::Rsa3072 => rsa(3072)?,
            KeySpec::Rsa4096 => rsa(4096)?,
            KeySpec::EccNistP256 => curve(EcCurve::P256)?,
            KeySpec::EccNistP384 => curve(EcCurve::P384)?,
            KeySpec::EccNistP521 => curve(EcCurve::P521)?,
            _ => {
                return Err(KmsError::InvalidOption {
                    what: "the key spec",
                    reason: "must be symmetric, RSA, or a curve of NIST",
                });
            }
        };
        Ok(Self {
            spec,
            id: random_bytes()?,
            secret,
        })
    }

    pub(super) fn usage(&self) -> &'static str {
        match self.secret {
            Secret::Symmetric(_) | Secret::Rsa(_) => "ENCRYPT_DECRYPT",
            Secret::Agreement(_) => "KEY_AGREEMENT",
        }
    }

    pub(super) fn is_symmetric(&self) -> bool {
        matches!(self.secret, Secret::Symmetric(_))
    }

    /// Whether this key's id stands in the ciphertext.
    pub(super) fn wrapped(&self, ciphertext: &[u8]) -> bool {
        self.is_symmetric() && ciphertext.starts_with(&self.id)
    }

    /// Key id, IV, ciphertext and tag; what RSA gives, for RSA.
    pub(super) fn encrypt(
        &self,
        algorithm: &str,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        match &self.secret {
            Secret::Symmetric(cipher) if algorithm == "SYMMETRIC_DEFAULT" => {
                let iv = random_bytes::<IV_LENGTH>()?;
                let payload = Payload {
                    msg: plaintext,
                    aad: context,
                };
                let sealed = cipher.encrypt(&iv.into(), payload);
                let sealed = sealed.map_err(|_| envelope::Error::SealFailed)?;
                Ok([&self.id, iv.as_slice(), &sealed].concat())
            }
            Secret::Rsa(key) => {
                let padding = padding(algorithm)?;
                let public_key = RsaPublicKey::from_der(&key.public_key_der()?)?;
                public_key
                    .encrypt(padding, plaintext)
                    .map_err(|_| Refusal::invalid("the plaintext is too long for the RSA key"))
            }
            _ => Err(wrong_usage()),
        }
    }

    pub(super) fn decrypt(
        &self,
        algorithm: &str,
        ciphertext: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        match &self.secret {
            Secret::Symmetric(cipher) if algorithm == "SYMMETRIC_DEFAULT" => {
                let (_, rest) = ciphertext
                    .split_first_chunk::<ID_LENGTH>()
                    .ok_or(INVALID_CIPHERTEXT)?;
                let (iv, sealed) = rest
                    .split_first_chunk::<IV_LENGTH>()
                    .ok_or(INVALID_CIPHERTEXT)?;
                let payload = Payload {
                    msg: sealed,
                    aad: context,
                };
                let opened = cipher.decrypt(&(*iv).into(), payload);
                opened.map(Zeroizing::new).map_err(|_| INVALID_CIPHERTEXT)
            }
            Secret::Rsa(key) => key
                .decrypt(padding(algorithm)?, ciphertext)
                .map_err(|_| INVALID_CIPHERTEXT),
            _ => Err(wrong_usage()),
        }
    }

    /// DER of a SubjectPublicKeyInfo.
    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        match &self.secret {
            Secret::Symmetric(_) => Err(Refusal::new(
                "UnsupportedOperationException",
                "the key is symmetric",
            )),
            Secret::Rsa(key) => Ok(key.public_key_der()?),
            Secret::Agreement(key) => Ok(key.public_key().to_der()?),
        }
    }

    pub(super) fn shared_secret(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let Secret::Agreement(key) = &self.secret else {
            return Err(wrong_usage());
        };
        const PEER: Refusal = Refusal::invalid("the public key is no point on the key's curve");
        let peer = EcPublicKey::from_der(peer).map_err(|_| PEER)?;
        key.shared_secret(&peer).map_err(|_| PEER)
    }
}

fn padding(algorithm: &str) -> Result<RsaPadding, Refusal> {
    match algorithm {
        "RSAES_OAEP_SHA_1" => Ok(RsaPadding::OaepSha1),
        "RSAES_OAEP_SHA_256" => Ok(RsaPadding::OaepSha256),
        _ => Err(wrong_usage()),
    }
}

pub(super) fn wrong_usage() -> Refusal {
    Refusal::new(
        "InvalidKeyUsageException",
        "the key is not for this operation or algorithm",
    )
}
