use aws_sdk_kms::Client;
use envelope::Multi;

use crate::client_supplier::ClientSupplier;
use crate::kms_error::KmsError;
use crate::named_key::{NamedKey, keyring_of_named_key, multi};
use crate::service::Service;

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
pub struct Strict(NamedKey);

keyring_of_named_key!(Strict);

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
        multi(keyring, generator, children)
    }

    fn with_service(service: Service, key_id: String) -> Result<Self, KmsError> {
        NamedKey::new(service, key_id, |found, own| found == own).map(Self)
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self(self.0.with_grant_tokens(tokens))
    }
}
