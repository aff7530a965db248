use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{KeyRequest, KeyringError};
use envelope::{DataKey, EncryptedDataKey, Multi};

use crate::arn::{Arn, parse_identifier};
use crate::kms_error::KmsError;
use crate::one_by_one::{OneByOne, Refusal};
use crate::service::{Service, wrapping_key};

/// One symmetric key of KMS under one name, and which encrypted data keys it takes for its own.
pub(crate) struct NamedKey {
    service: Service,
    pub(crate) key_id: String,
    /// Nothing of an alias or an id.
    pub(crate) arn: Option<Arn>,
    description: Arc<str>,
    /// Whether a key with the one ARN is the one with the other.
    is_own: fn(found: &Arn, own: &Arn) -> bool,
}

impl NamedKey {
    pub(crate) fn new(
        service: Service,
        key_id: String,
        is_own: fn(&Arn, &Arn) -> bool,
    ) -> Result<Self, KmsError> {
        Ok(Self {
            arn: parse_identifier(&key_id)?.filter(Arn::is_key),
            description: format!("AWS KMS {key_id}").into(),
            service,
            key_id,
            is_own,
        })
    }

    pub(crate) fn with_grant_tokens<T: Into<String>>(
        self,
        tokens: impl IntoIterator<Item = T>,
    ) -> Self {
        let service = self.service.with_grant_tokens(tokens);
        Self { service, ..self }
    }

    pub(crate) async fn wrap(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let wrapped = self.service.wrap(&self.key_id, data_key, request.context);
        let wrapped = wrapped.await;
        Ok(vec![
            wrapped.map_err(|error| error.of_keyring(&self.description))?,
        ])
    }

    pub(crate) async fn generate(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let generated = self.service.generate(&self.key_id, request).await;
        let (data_key, wrapped) = generated.map_err(|error| error.of_keyring(&self.description))?;
        Ok((data_key, vec![wrapped]))
    }
}

#[async_trait]
impl OneByOne for NamedKey {
    fn description(&self) -> &Arc<str> {
        &self.description
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        let found = wrapping_key(key)?;
        let Some(arn) = &self.arn else {
            return Err(Refusal::Skipped(NO_ARN.into()));
        };
        if !(self.is_own)(&found, arn) {
            return Err(Refusal::Skipped("another key".into()));
        }
        self.service.unwrap(arn, key, request).await
    }
}

/// Why a keyring that was made from an alias or an id opens nothing.
const NO_ARN: &str = "the keyring's key is named by an alias or an id, so no message \
     can be known to be its own; to decrypt, name the key by its ARN";

/// The generator makes data keys, and every one wraps them.
pub(crate) fn multi<K: envelope::Keyring + 'static>(
    mut keyring: impl FnMut(String) -> Result<K, KmsError>,
    generator: impl Into<String>,
    children: impl IntoIterator<Item = impl Into<String>>,
) -> Result<Multi, KmsError> {
    let generator = Multi::generate_with(keyring(generator.into())?);
    children.into_iter().try_fold(generator, |multi, child| {
        Ok(multi.and(keyring(child.into())?))
    })
}

/// The keyring of a type around a [`NamedKey`].
macro_rules! keyring_of_named_key {
    ($name:ident) => {
        #[async_trait::async_trait]
        impl envelope::Keyring for $name {
            async fn wrap_key(
                &self,
                data_key: &envelope::DataKey,
                request: envelope::keyring::KeyRequest<'_>,
            ) -> Result<Vec<envelope::EncryptedDataKey>, envelope::keyring::KeyringError> {
                self.0.wrap(data_key, request).await
            }

            async fn unwrap_key(
                &self,
                keys: &[envelope::EncryptedDataKey],
                request: envelope::keyring::KeyRequest<'_>,
            ) -> Result<envelope::keyring::Unwrapped, Vec<envelope::keyring::Attempt>> {
                crate::one_by_one::first_to_open(&self.0, keys, request).await
            }

            async fn generate_key(
                &self,
                request: envelope::keyring::KeyRequest<'_>,
            ) -> Result<
                (envelope::DataKey, Vec<envelope::EncryptedDataKey>),
                envelope::keyring::KeyringError,
            > {
                self.0.generate(request).await
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.key_id)
            }
        }
    };
}
pub(crate) use keyring_of_named_key;
