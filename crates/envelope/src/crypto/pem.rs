//! Keys as text: PEM around SubjectPublicKeyInfo (RFC 5280) and PKCS#8 (RFC 5958).

use pkcs8::der::Document;
use pkcs8::der::pem::LineEnding;
use pkcs8::spki::SubjectPublicKeyInfoRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

const PUBLIC_KEY: &str = "PUBLIC KEY";
const PRIVATE_KEY: &str = "PRIVATE KEY";
const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";

/// The encoded key, and which algorithm and curve it is for.
pub(super) struct Key<D> {
    pub(super) document: D,
    pub(super) algorithm: ObjectIdentifier,
    pub(super) curve: Option<ObjectIdentifier>,
}

impl<D> Key<D> {
    pub(super) fn expect(self, algorithm: ObjectIdentifier) -> Result<Self> {
        if self.algorithm == algorithm {
            return Ok(self);
        }
        Err(fault(match algorithm {
            RSA => "is no RSA key",
            _ => "is no elliptic-curve key",
        }))
    }
}

pub(super) fn fault(reason: &'static str) -> Error {
    Error::KeyNotValid { reason }
}

/// Reads a public key.
pub(super) fn public_key(pem: &str) -> Result<Key<Document>> {
    let (label, document) = Document::from_pem(pem).map_err(|_| fault("is not PEM"))?;
    if label != PUBLIC_KEY {
        return Err(fault(
            "is PEM of another kind; a public key must be labelled PUBLIC KEY (SubjectPublicKeyInfo)",
        ));
    }
    described(document)
}

/// Reads a public key that is not text.
pub(super) fn public_key_der(der: &[u8]) -> Result<Key<Document>> {
    described(Document::try_from(der).map_err(|_| fault("is not DER"))?)
}

fn described(document: Document) -> Result<Key<Document>> {
    let info: SubjectPublicKeyInfoRef<'_> = document
        .decode_msg()
        .map_err(|_| fault("is no SubjectPublicKeyInfo"))?;
    let (algorithm, curve) = (info.algorithm.oid, info.algorithm.parameters_oid().ok());
    Ok(Key {
        document,
        algorithm,
        curve,
    })
}

/// The bits of a public key that was read.
pub(super) fn public_key_bits(document: &Document) -> Result<Vec<u8>> {
    let info: SubjectPublicKeyInfoRef<'_> = document
        .decode_msg()
        .map_err(|_| fault("is no SubjectPublicKeyInfo"))?;
    let bits = info.subject_public_key.as_bytes();
    Ok(bits.ok_or(fault("is no whole number of bytes"))?.to_vec())
}

/// Reads a private key; the passphrase is used if the key is encrypted.
pub(super) fn private_key(pem: &str, passphrase: Option<&[u8]>) -> Result<Key<SecretDocument>> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| fault("is not PEM"))?;
    let document = match label {
        PRIVATE_KEY => document,
        ENCRYPTED_PRIVATE_KEY => {
            let passphrase = passphrase.ok_or(fault("is encrypted; give its passphrase"))?;
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                .map_err(|_| fault("is no encrypted PKCS#8"))?;
            encrypted.decrypt(passphrase).map_err(|_| {
                fault("does not open: another passphrase, or an encryption that is not supported")
            })?
        }
        _ => {
            return Err(fault(
                "is PEM of another kind; a private key must be PKCS#8, labelled PRIVATE KEY or ENCRYPTED PRIVATE KEY (convert with: openssl pkcs8 -topk8)",
            ));
        }
    };
    let info =
        PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| fault("is no PKCS#8"))?;
    let (algorithm, curve) = (info.algorithm.oid, info.algorithm.parameters_oid().ok());
    Ok(Key {
        document,
        algorithm,
        curve,
    })
}

pub(super) fn encode_public(der: Vec<u8>) -> Result<String> {
    Document::try_from(der)
        .and_then(|document| document.to_pem(PUBLIC_KEY, LineEnding::LF))
        .map_err(|_| Error::SealFailed)
}

pub(super) fn encode_private(der: &[u8]) -> Result<Zeroizing<String>> {
    SecretDocument::try_from(der)
        .and_then(|document| document.to_pem(PRIVATE_KEY, LineEnding::LF))
        .map_err(|_| Error::SealFailed)
}
