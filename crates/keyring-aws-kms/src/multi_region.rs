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
use crate::strict::NO_ARN;

/// Wraps data keys with one symmetric key of KMS, and unwraps those of its replicas in any region.
///
/// A multi-region key is one key with an ARN in each of its regions (`key/mrk-…`). What was written
/// with the key in one region opens here with the replica in the client's region. With any other key
/// it is as [`Strict`](crate::Strict). Source: AWS Encryption SDK specification, "AWS KMS MRK
/// Keyring".
///
/// ```no_run
/// use aws_sdk_kms::Client;
/// use envelope::{EncryptOptions, encrypt};
/// use envelope_aws_kms::MultiRegion;
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let arn = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
/// let keyring = MultiRegion::new(client, arn)?;
/// let message = encrypt(&keyring, b"hello", &EncryptOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct MultiRegion {
    service: Service,
    key_id: String,
    arn: Option<Arn>,
    description: Arc<str>,
}

impl MultiRegion {
    /// The key with this ARN, id, alias (`alias/…`) or alias ARN. Only by its ARN can it be opened
    /// with.
    ///
    /// # Errors
    /// [`KmsError::EmptyKeyId`], [`KmsError::InvalidKeyId`].
    pub fn new(client: Client, key_id: impl Into<String>) -> Result<Self, KmsError> {
        Self::with_service(Service::new(client), key_id.into())
    }

    /// Several keys as one keyring, each in its own region: the generator makes the data key, it and
    /// every child wrap it, and any of them opens a message. Source: specification, "AWS KMS MRK
    /// Multi-Keyring".
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is no ARN, as its region chooses the client, and for two
    /// replicas of one key, as each opens what the other wrapped; [`KmsError::NoClient`].
    pub fn multi<K: Into<String>>(
        supplier: &ClientSupplier,
        generator: impl Into<String>,
        children: impl IntoIterator<Item = K>,
    ) -> Result<Multi, KmsError> {
        let mut seen: Vec<Arn> = Vec::new();
        let mut keyring = |key_id: String| {
            let service = supplier.service_of(&key_id)?;
            let keyring = Self::with_service(service, key_id)?;
            if let Some(arn) = keyring.arn.as_ref().filter(|arn| arn.is_multi_region()) {
                // Specification, "AWS KMS Assert MRKs are unique": compared by their ids.
                if seen.iter().any(|other| other.id() == arn.id()) {
                    return Err(KmsError::InvalidKeyId {
                        key_id: keyring.key_id,
                        reason: "is a replica of another key of the keyring; give one of them",
                    });
                }
                seen.push(arn.clone());
            }
            Ok(keyring)
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
impl OneByOne for MultiRegion {
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
        if !found.is_replica_of(arn) {
            return Err(Refusal::Skipped("another key".into()));
        }
        self.service.unwrap(arn, key, request).await
    }
}

#[async_trait]
impl Keyring for MultiRegion {
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

impl fmt::Debug for MultiRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultiRegion({})", self.key_id)
    }
}
