use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::context::PUBLIC_KEY_FIELD;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::keyring::{KeyRequest, Keyring, Unwrapped};
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::not_unwrapped::NotUnwrapped;
use crate::secret::DataKey;

/// Decides with which materials a message is encrypted and decrypted.
///
/// Every [`Keyring`] is one: it behaves as the default cryptographic materials manager
/// (specification, "Default CMM"): it picks the suite, makes a key pair for signed suites, and
/// puts the public key into the context before the data key is wrapped.
#[async_trait]
pub trait MaterialsManager: Send + Sync {
    /// Materials for one new message.
    ///
    /// # Errors
    /// When the policy forbids the suite, or no data key can be made or wrapped.
    async fn encryption_materials(
        &self,
        request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials>;

    /// Materials for one received message.
    ///
    /// # Errors
    /// When the policy forbids the suite, the context differs from the expected one, or no
    /// encrypted data key can be unwrapped.
    async fn decryption_materials(
        &self,
        request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials>;

    /// Wraps a data key that exists: for formats whose objects can be given other wrapping keys.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] from a manager that can only make new ones, and those of its keyring.
    async fn wrap_data_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>> {
        let _ = (data_key, request);
        Err(Error::InvalidOption {
            what: "the materials manager",
            reason: "must be a keyring, as it is to wrap a data key that exists",
        })
    }
}

/// Boxed managers are managers.
#[async_trait]
impl MaterialsManager for Box<dyn MaterialsManager> {
    async fn encryption_materials(
        &self,
        request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials> {
        (**self).encryption_materials(request).await
    }

    async fn decryption_materials(
        &self,
        request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials> {
        (**self).decryption_materials(request).await
    }

    async fn wrap_data_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>> {
        (**self).wrap_data_key(data_key, request).await
    }
}

#[async_trait]
impl<K: Keyring + ?Sized> MaterialsManager for K {
    async fn encryption_materials(
        &self,
        request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials> {
        let suite = request
            .suite
            .unwrap_or_else(|| request.policy.default_suite());
        request.policy.check_encrypt(suite)?;
        request.context.check_unreserved()?;
        let mut context = request.context.clone();
        let signing_key = match suite.signature() {
            Some(algorithm) => {
                let key = SigningKey::generate(algorithm)?;
                context.insert_public_key(key.public_key_base64()?)?;
                Some(Arc::new(key))
            }
            None => None,
        };
        let key_request = KeyRequest {
            suite,
            context: &context,
        };
        let (data_key, encrypted_data_keys) = self.generate_key(key_request).await?;
        Ok(EncryptionMaterials {
            suite,
            context,
            not_stored: BTreeSet::new(),
            data_key: Arc::new(data_key),
            encrypted_data_keys,
            signing_key,
        })
    }

    async fn decryption_materials(
        &self,
        request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials> {
        let suite = request.suite;
        request.policy.check_decrypt(suite)?;
        let mut context = request.context.clone();
        let not_stored = context.merge(request.expected_context)?;
        let verifying_key = match (suite.signature(), request.context.get(PUBLIC_KEY_FIELD)) {
            (Some(algorithm), Some(base64)) => Some(VerifyingKey::from_base64(algorithm, base64)?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Error::PublicKeyNotValid {
                    reason: "is missing, and the message is signed",
                });
            }
            (None, Some(_)) => {
                return Err(Error::PublicKeyNotValid {
                    reason: "must not be there, as the message is not signed",
                });
            }
        };
        let key_request = KeyRequest {
            suite,
            context: &context,
        };
        let keys = request.encrypted_data_keys;
        match self.unwrap_key(keys, key_request).await {
            Ok(Unwrapped { index, data_key }) => Ok(DecryptionMaterials {
                suite,
                context,
                not_stored,
                data_key: Arc::new(data_key),
                opened: keys
                    .get(index)
                    .cloned()
                    .ok_or(Error::InconsistentMaterials {
                        reason: "the keyring names an encrypted data key that was not given",
                    })?,
                verifying_key,
            }),
            Err(attempts) => Err(Error::NotUnwrapped(Box::new(NotUnwrapped::new(
                keys.iter()
                    .map(|key| (key.provider_id().to_owned(), key.key_name()))
                    .collect(),
                attempts,
                not_stored.iter().map(|(key, _)| key.to_owned()).collect(),
            )))),
        }
    }

    async fn wrap_data_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>> {
        Ok(self.wrap_key(data_key, request).await?)
    }
}
