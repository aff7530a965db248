use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring, Multi};

use crate::arn::{Arn, parse_identifier};
use crate::client_supplier::ClientSupplier;
use crate::kms_error::KmsError;
use crate::one_by_one::{OneByOne, Refusal, first_to_open};
use crate::service::{Service, wrapping_key};

/// Wraps data keys with one symmetric key of KMS, and unwraps only those of that key.
///
/// Named by an alias or a bare id it makes and wraps data keys, but opens none: a message holds the
/// key's ARN, and an alias can point to another key tomorrow. Source: AWS Encryption SDK
/// specification, "AWS KMS Keyring".
///
/// ```no_run
/// use aws_sdk_kms::Client;
/// use envelope::{EncryptOptions, encrypt};
/// use envelope_aws_kms::Strict;
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// let keyring = Strict::new(client, arn)?;
/// let message = encrypt(&keyring, b"hello", &EncryptOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Strict {
    service: Service,
    key_id: String,
    arn: Option<Arn>,
    description: Arc<str>,
}

impl Strict {
    /// The key with this ARN, id, alias (`alias/…`) or alias ARN. Only by its ARN can it be opened
    /// with.
    ///
    /// # Errors
    /// [`KmsError::EmptyKeyId`], [`KmsError::InvalidKeyId`].
    pub fn new(client: Client, key_id: impl Into<String>) -> Result<Self, KmsError> {
        Self::with_service(Service::new(client), key_id.into())
    }

    /// Several keys as one keyring, each in its own region: the generator makes the data key, it and
    /// every child wrap it, and any of them opens a message. Source: specification, "AWS KMS
    /// Multi-Keyring".
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is no ARN, as its region chooses the client;
    /// [`KmsError::NoClient`].
    pub fn multi<K: Into<String>>(
        supplier: &ClientSupplier,
        generator: impl Into<String>,
        children: impl IntoIterator<Item = K>,
    ) -> Result<Multi, KmsError> {
        let keyring = |key_id: String| {
            let service = supplier.service_of(&key_id)?;
            Self::with_service(service, key_id)
        };
        let generator = Multi::generate_with(keyring(generator.into())?);
        children.into_iter().try_fold(generator, |multi, child| {
            Ok(multi.and(keyring(child.into())?))
        })
    }

    fn with_service(service: Service, key_id: String) -> Result<Self, KmsError> {
        Ok(Self {
            arn: parse_identifier(&key_id)?.filter(Arn::is_key),
            description: format!("AWS KMS {key_id}").into(),
            service,
            key_id,
        })
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        let service = self.service.with_grant_tokens(tokens);
        Self { service, ..self }
    }
}

#[async_trait]
impl OneByOne for Strict {
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
        if found != *arn {
            return Err(Refusal::Skipped("another key".into()));
        }
        self.service.unwrap(arn, key, request).await
    }
}

/// Why a keyring that was made from an alias or an id opens nothing.
pub(crate) const NO_ARN: &str = "the keyring's key is named by an alias or an id, so no message \
     can be known to be its own; to decrypt, name the key by its ARN";

#[async_trait]
impl Keyring for Strict {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let wrapped = self
            .service
            .wrap(&self.key_id, data_key, request.context)
            .await;
        Ok(vec![
            wrapped.map_err(|error| error.of_keyring(&self.description))?,
        ])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(self, keys, request).await
    }

    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let generated = self.service.generate(&self.key_id, request).await;
        let (data_key, wrapped) = generated.map_err(|error| error.of_keyring(&self.description))?;
        Ok((data_key, vec![wrapped]))
    }
}

impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strict({})", self.key_id)
    }
}
