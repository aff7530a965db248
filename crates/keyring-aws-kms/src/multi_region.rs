use aws_sdk_kms::Client;
use envelope::Multi;

use crate::arn::Arn;
use crate::client_supplier::ClientSupplier;
use crate::kms_error::KmsError;
use crate::named_key::{NamedKey, keyring_of_named_key, multi};
use crate::service::Service;

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
pub struct MultiRegion(NamedKey);

keyring_of_named_key!(MultiRegion);

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
        let keyring = |key_id: String| {
            let service = supplier.service_of(&key_id)?;
            let keyring = Self::with_service(service, key_id)?;
            if let Some(arn) = keyring.0.arn.as_ref().filter(|arn| arn.is_multi_region()) {
                // Specification, "AWS KMS Assert MRKs are unique": compared by their ids.
                if seen.iter().any(|other| other.id() == arn.id()) {
                    return Err(KmsError::InvalidKeyId {
                        key_id: keyring.0.key_id,
                        reason: "is a replica of another key of the keyring; give one of them",
                    });
                }
                seen.push(arn.clone());
            }
            Ok(keyring)
        };
        multi(keyring, generator, children)
    }

    fn with_service(service: Service, key_id: String) -> Result<Self, KmsError> {
        NamedKey::new(service, key_id, Arn::is_replica_of).map(Self)
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self(self.0.with_grant_tokens(tokens))
    }
}
