//! What wraps and unwraps data keys.

mod branch_key;
mod ecdh_parties;
mod multi;
mod raw_aes;
mod raw_ecdh;
mod raw_rsa;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

pub use branch_key::BranchKey;
pub use ecdh_parties::EcdhParties;
pub use multi::Multi;
pub use raw_aes::RawAes;
pub use raw_ecdh::RawEcdh;
pub use raw_rsa::RawRsa;

pub use crate::keyring_error::KeyringError;
pub use crate::not_unwrapped::Attempt;

use crate::context::EncryptionContext;
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::secret::DataKey;
use crate::suite::AlgorithmSuite;

/// What a data key is for.
#[derive(Debug, Clone, Copy)]
pub struct KeyRequest<'a> {
    /// The suite that the data key is for; it fixes the key's length.
    pub suite: AlgorithmSuite,
    /// The whole encryption context, to be bound to the wrapped key.
    pub context: &'a EncryptionContext,
}

/// A data key, and where it came from.
#[derive(Debug)]
pub struct Unwrapped {
    /// The place of the encrypted data key that opened, among those that were given.
    pub index: usize,
    /// What was in it.
    pub data_key: DataKey,
}

/// Wraps and unwraps data keys with one or more wrapping keys.
///
/// A keyring gets a typed secret and returns plain data, so it cannot damage what it was not
/// given. Behaviour on the wire is that of the specification's "Keyring Interface".
///
/// ```
/// use async_trait::async_trait;
/// use envelope::keyring::{Attempt, KeyRequest, Keyring, KeyringError, Unwrapped};
/// use envelope::{DataKey, EncryptedDataKey};
///
/// /// Stands for a device that wraps keys.
/// #[derive(Debug)]
/// struct Device;
/// # impl Device {
/// #     async fn seal(&self, key: &[u8], _aad: &[u8]) -> Vec<u8> { key.to_vec() }
/// #     async fn open(&self, wrapped: &[u8], _aad: &[u8]) -> Option<Vec<u8>> { Some(wrapped.to_vec()) }
/// # }
///
/// #[async_trait]
/// impl Keyring for Device {
///     async fn wrap_key(
///         &self,
///         data_key: &DataKey,
///         request: KeyRequest<'_>,
///     ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
///         let wrapped = self.seal(data_key.expose(), &request.context.to_bytes()).await;
///         Ok(vec![EncryptedDataKey::new("device", "slot-1", wrapped)])
///     }
///
///     async fn unwrap_key(
///         &self,
///         keys: &[EncryptedDataKey],
///         request: KeyRequest<'_>,
///     ) -> Result<Unwrapped, Vec<Attempt>> {
///         let mut attempts = Vec::new();
///         for (index, key) in keys.iter().enumerate() {
///             if key.provider_id() != "device" {
///                 attempts.push(Attempt::skipped(index, "device slot-1", "another provider"));
///                 continue;
///             }
///             let opened = self.open(key.ciphertext(), &request.context.to_bytes()).await;
///             match opened.and_then(|bytes| DataKey::from_bytes(bytes, request.suite).ok()) {
///                 Some(data_key) => return Ok(Unwrapped { index, data_key }),
///                 None => attempts.push(Attempt::failed_with(index, "device slot-1", "refused")),
///             }
///         }
///         Err(attempts)
///     }
/// }
/// ```
#[async_trait]
pub trait Keyring: Debug + Send + Sync {
    /// Wraps the data key once for each wrapping key.
    ///
    /// # Errors
    /// When any wrapping key cannot be used.
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError>;

    /// Tries the encrypted data keys in their order; the first that opens wins.
    ///
    /// # Errors
    /// When none opens: for each key looked at, why not.
    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>>;

    /// Makes a new data key and wraps it. Override where a service does both at once.
    ///
    /// # Errors
    /// When there is no randomness, or as [`wrap_key`](Keyring::wrap_key).
    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let data_key = DataKey::generate(request.suite)
            .map_err(|error| KeyringError::new("data key generation", error.to_string()))?;
        let keys = self.wrap_key(&data_key, request).await?;
        Ok((data_key, keys))
    }
}

/// Shared keyrings are keyrings.
#[async_trait]
impl<K: Keyring + ?Sized> Keyring for Arc<K> {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        (**self).wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        (**self).unwrap_key(keys, request).await
    }

    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        (**self).generate_key(request).await
    }
}

/// Specification, "Raw AES Keyring" and "Raw RSA Keyring": AWS KMS's provider id is not free, and
/// each field sits behind a 16-bit length.
fn check_namespace(namespace: &str, info_length: usize) -> Result<()> {
    let fault = |what, reason| Err(Error::InvalidOption { what, reason });
    if namespace == "aws-kms" {
        return fault(
            "the key namespace",
            "must not be \"aws-kms\", which is reserved for AWS KMS keys",
        );
    }
    if namespace.len().max(info_length) > usize::from(u16::MAX) {
        return fault("the key namespace and name", "must each fit 65515 bytes");
    }
    Ok(())
}

/// Why a local keyring did not open one encrypted data key.
enum Refusal {
    Skipped(&'static str),
    Failed(&'static str),
}

/// Attempts that are reported of one keyring. A hostile message holds up to 65 535 keys, and each
/// is tried, but nobody reads that many reasons.
const REPORTED_ATTEMPTS: usize = 1000;

/// Tries the encrypted data keys in their order; the first that opens wins.
fn first_to_open(
    keyring: &Arc<str>,
    keys: &[EncryptedDataKey],
    open: impl Fn(&EncryptedDataKey) -> Result<DataKey, Refusal>,
) -> Result<Unwrapped, Vec<Attempt>> {
    let mut attempts = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let attempt = match open(key) {
            Ok(data_key) => return Ok(Unwrapped { index, data_key }),
            Err(Refusal::Skipped(reason)) => Attempt::skipped(index, Arc::clone(keyring), reason),
            Err(Refusal::Failed(reason)) => {
                Attempt::failed_with(index, Arc::clone(keyring), reason)
            }
        };
        if attempts.len() < REPORTED_ATTEMPTS {
            attempts.push(attempt);
        }
    }
    Err(attempts)
}
