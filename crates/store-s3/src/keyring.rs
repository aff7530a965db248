//! What wraps data keys of objects in the formats of the Amazon S3 Encryption Client.
//!
//! These formats keep exactly one encrypted data key and say in the object's metadata how it is
//! wrapped, so they have keyrings of their own. Those of the crate `envelope` are for messages.
//!
//! | keyring | writes | reads, where old objects are allowed, too |
//! | --- | --- | --- |
//! | [`Aes`] | `AES/GCM` | `AESWrap`, and AES-ECB of V1 |
//! | [`Rsa`] | `RSA-OAEP-SHA1` | `RSA/ECB/OAEPWithSHA-256AndMGF1Padding`, and PKCS#1 v1.5 of V1 |
//! | `Kms` (feature `kms`) | `kms+context` | `kms` |
//! | [`Keys`] | as its first | as any of its keyrings |

mod aes;
mod aes_gcm;
mod aes_legacy;
mod keys;
#[cfg(feature = "kms")]
mod kms;
mod material_description;
mod received;
mod rsa;
mod wrap_info;

use envelope::AlgorithmSuite;
use envelope::keyring::{KeyRequest, KeyringError};

pub use aes::Aes;
pub use keys::Keys;
#[cfg(feature = "kms")]
pub use kms::Kms;
pub use material_description::MaterialDescription;
pub use rsa::Rsa;

pub(crate) use crate::metadata::WrapAlgorithm;
pub(crate) use wrap_info::WrapInfo;

/// Provider id of the encrypted data keys, as in the Java client.
pub(crate) const PROVIDER_ID: &str = "S3Keyring";
/// The reserved pair of an encryption context: what the data key encrypts with.
pub(crate) const BOUND_ALGORITHM: &str = "aws:x-amz-cek-alg";

/// The text that ties a wrapped data key to its content suite (specification, "S3 KMS Keyring", and
/// the Java client's raw keyrings). Objects in CBC have that of GCM too, as Java writes them.
pub(crate) fn bound_algorithm(suite: AlgorithmSuite) -> Option<&'static str> {
    if suite == AlgorithmSuite::S3_AES_256_GCM_HKDF_SHA512_COMMIT_KEY {
        return Some("115");
    }
    AlgorithmSuite::S3
        .contains(&suite)
        .then_some("AES/GCM/NoPadding")
}

/// What a data key is to be bound to.
fn binding(name: &str, request: KeyRequest<'_>) -> Result<&'static str, KeyringError> {
    let fault = |reason| KeyringError::misconfigured(name.to_owned(), reason);
    let bound = bound_algorithm(request.suite).ok_or_else(|| {
        fault(
            "wraps data keys of S3 Encryption Client objects only; use RawAes, RawRsa or another keyring of the crate envelope for messages",
        )
    })?;
    if request.context.get(BOUND_ALGORITHM) != Some(bound) {
        return Err(fault(
            "the encryption context does not name the content's algorithm; use this keyring with the format S3ec",
        ));
    }
    Ok(bound)
}

/// As [`binding`], for keys that have nowhere to put an encryption context.
fn raw_binding(name: &str, request: KeyRequest<'_>) -> Result<&'static str, KeyringError> {
    let bound = binding(name, request)?;
    if request.context.iter().count() != 1 {
        return Err(KeyringError::misconfigured(
            name.to_owned(),
            "raw keys store no encryption context; use a material description, or KMS",
        ));
    }
    Ok(bound)
}

/// Readers demand 32 bytes where the wrapped key's length is fixed.
fn check_length(name: &str, data_key: &envelope::DataKey) -> Result<(), KeyringError> {
    if data_key.expose().len() == 32 {
        return Ok(());
    }
    Err(KeyringError::misconfigured(
        name.to_owned(),
        "wraps data keys of 32 bytes only, and this old object has a shorter one; re-encrypt the object",
    ))
}

#[cfg(test)]
mod tests;
