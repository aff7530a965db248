mod branch_key_error;
mod branch_key_version;
mod item;
mod kms_configuration;
mod table;
mod table_call;

use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use envelope::{EncryptionContext, random_bytes};
use uuid::{Builder, Uuid};

pub use branch_key_error::BranchKeyError;
pub use branch_key_version::BranchKeyVersion;
pub use kms_configuration::KmsConfiguration;
pub use table_call::TableCall;

use crate::arn::Arn;
use crate::kms_error::KmsError;
use crate::kms_key::Decryption;
use crate::service::Service;
use item::{ACTIVE, Attributes, Item, StoredItem, version_type};
use table::{NotWritten, Table};

/// DynamoDB takes no longer partition key (Amazon DynamoDB developer guide, "Quotas").
const MAXIMUM_ID_LENGTH: usize = 2048;

/// Branch keys in a table of DynamoDB, wrapped by a key of KMS.
///
/// A branch key has an id and versions. Its newest version is the active one, which wraps data keys;
/// older ones open what they wrapped. Each item is bound to all that it says: KMS refuses one that
/// was changed, moved to another branch key or copied from another store. The AWS libraries read and
/// write the same items. Source: AWS Encryption SDK specification, "Branch Key Store".
///
/// ```no_run
/// use envelope::EncryptionContext;
/// use envelope_aws_kms::{Arn, BranchKeyStore, KmsConfiguration};
///
/// # async fn example(
/// #     dynamodb: aws_sdk_dynamodb::Client,
/// #     kms: aws_sdk_kms::Client,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let key: Arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
///     .parse()?;
/// let store = BranchKeyStore::new(dynamodb, kms, "branch-keys", KmsConfiguration::Key(key))?;
/// store.create_table().await?;
/// let context = EncryptionContext::new([("department", "sales")])?;
/// let id = store.create_key(Some("acme"), &context).await?;
/// let version = store.create_version(&id).await?;
/// assert_eq!(store.active(&id).await?.version(), version);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BranchKeyStore {
    table: Table,
    logical_name: String,
    kms: Service,
    configuration: KmsConfiguration,
}

impl BranchKeyStore {
    /// The branch keys in this table. The store's logical name, to which they are bound, is the
    /// table's until [`with_logical_name`](Self::with_logical_name) gives another.
    ///
    /// # Errors
    /// [`BranchKeyError::InvalidOption`] for an empty name, and for the ARN of an alias.
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        kms: aws_sdk_kms::Client,
        table: impl Into<String>,
        configuration: KmsConfiguration,
    ) -> Result<Self, BranchKeyError> {
        let table = table.into();
        if table.is_empty() {
            return Err(BranchKeyError::InvalidOption {
                what: "the name of the branch key table",
                reason: "is empty; name a table of DynamoDB",
            });
        }
        if configuration.own_key().is_some_and(|arn| !arn.is_key()) {
            return Err(BranchKeyError::InvalidOption {
                what: "the KMS key of the branch key store",
                reason: "is an alias; give the ARN of its key",
            });
        }
        Ok(Self {
            logical_name: table.clone(),
            table: Table::new(dynamodb, table),
            kms: Service::new(kms),
            configuration,
        })
    }

    /// Binds branch keys to this name instead of the table's, so that they outlive a table that is
    /// restored or copied under another name. It never changes.
    ///
    /// # Errors
    /// [`BranchKeyError::InvalidOption`] for an empty name.
    pub fn with_logical_name(self, name: impl Into<String>) -> Result<Self, BranchKeyError> {
        let logical_name = name.into();
        if logical_name.is_empty() {
            return Err(BranchKeyError::InvalidOption {
                what: "the logical name of the branch key store",
                reason: "is empty; leave it out, or give the one that its keys were made under",
            });
        }
        Ok(Self {
            logical_name,
            ..self
        })
    }

    /// Sends these with every call of KMS: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        let kms = self.kms.with_grant_tokens(tokens);
        Self { kms, ..self }
    }

    /// The name that branch keys are bound to.
    #[must_use]
    pub fn logical_name(&self) -> &str {
        &self.logical_name
    }

    /// The name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table.name
    }

    /// Makes the table, billed by request, and waits until it is ready. One that exists stays as it is.
    /// The client must be able to sleep, as those of `aws-config` are.
    ///
    /// # Errors
    /// [`BranchKeyError::WrongTable`] when the table exists with other keys, [`BranchKeyError`] of
    /// DynamoDB.
    pub async fn create_table(&self) -> Result<(), BranchKeyError> {
        self.table.create().await
    }

    /// Makes a branch key with its first version, and returns its id: the one given, which needs a
    /// context with at least one pair, or a random UUID. The context stays with the branch key, and
    /// is no secret.
    ///
    /// # Errors
    /// [`BranchKeyError::AlreadyExists`], [`BranchKeyError::ReadOnly`],
    /// [`BranchKeyError::InvalidOption`], those of the services.
    pub async fn create_key(
        &self,
        id: Option<&str>,
        context: &EncryptionContext,
    ) -> Result<String, BranchKeyError> {
        let key = self.own_key()?;
        let id = match id {
            // Specification, "CreateKey": who chooses an id says what it is for.
            Some(_) if context.is_empty() => {
                return Err(BranchKeyError::InvalidOption {
                    what: "the encryption context of a branch key whose id is given",
                    reason: "is empty; give at least one pair, or let the id be chosen",
                });
            }
            Some(id) => checked(id)?.to_owned(),
            None => random_uuid()?.to_string(),
        };
        let version = Attributes::of_version(&id, random_uuid()?, now(), key, context);
        let (beacon, active) = (version.beacon(), version.activated());
        let (version, active) = self.new_version(key, &version, &active).await?;
        let beacon = beacon.to_item(self.generate(key, &beacon).await?);
        let puts = [version, active, beacon].map(|item| self.table.new_item(item));
        self.table.write(puts).await.map_err(|error| match error {
            NotWritten::Failed(error) => error,
            NotWritten::Condition => BranchKeyError::AlreadyExists {
                branch_key: id.clone(),
                table: self.table.name.clone(),
            },
        })?;
        Ok(id)
    }

    /// Makes a new version, which is the active one from now on, and returns its UUID. Older versions
    /// still open what they wrapped.
    ///
    /// # Errors
    /// [`BranchKeyError::ChangedMeanwhile`] when another caller was first; then nothing was written, and
    /// that caller's version may be all you want.
    /// [`BranchKeyError::NotFound`], [`BranchKeyError::ReadOnly`], [`BranchKeyError::Malformed`], those
    /// of the services.
    pub async fn create_version(&self, id: &str) -> Result<String, BranchKeyError> {
        let key = self.own_key()?;
        let old = self.stored(checked(id)?, ACTIVE).await?;
        self.usable_key(&old.attributes)?;
        // Specification, "VersionKey": what the new version is copied from is authenticated first.
        self.re_encrypt(key, &old.wrapped, &old.attributes, &old.attributes)
            .await?;
        let uuid = random_uuid()?;
        let version = old.attributes.next_version(uuid, now());
        let active = version.activated();
        let (version, active) = self.new_version(key, &version, &active).await?;
        let puts = [
            self.table.new_item(version),
            self.table.replacement(active, old.wrapped),
        ];
        self.table.write(puts).await.map_err(|error| match error {
            NotWritten::Failed(error) => error,
            NotWritten::Condition => BranchKeyError::ChangedMeanwhile {
                branch_key: id.to_owned(),
            },
        })?;
        Ok(uuid.to_string())
    }

    /// The version that wraps data keys.
    ///
    /// # Errors
    /// [`BranchKeyError::NotFound`], [`BranchKeyError::Malformed`], those of the services.
    pub async fn active(&self, id: &str) -> Result<BranchKeyVersion, BranchKeyError> {
        self.open(checked(id)?, ACTIVE).await
    }

    /// A version by its UUID.
    ///
    /// # Errors
    /// [`BranchKeyError::NotFound`], [`BranchKeyError::Malformed`], [`BranchKeyError::InvalidOption`]
    /// for what is no UUID, those of the services.
    pub async fn version(
        &self,
        id: &str,
        version: &str,
    ) -> Result<BranchKeyVersion, BranchKeyError> {
        let version = Uuid::try_parse(version).map_err(|_| BranchKeyError::InvalidOption {
            what: "the version of a branch key",
            reason: "must be a UUID",
        })?;
        self.version_of_uuid(id, version).await
    }

    pub(crate) async fn version_of_uuid(
        &self,
        id: &str,
        version: Uuid,
    ) -> Result<BranchKeyVersion, BranchKeyError> {
        self.open(checked(id)?, &version_type(version)).await
    }

    async fn open(&self, id: &str, item_type: &str) -> Result<BranchKeyVersion, BranchKeyError> {
        let stored = self.stored(id, item_type).await?;
        let key = self.usable_key(&stored.attributes)?;
        let context = stored.attributes.to_kms_context(&self.logical_name);
        let wrapped = Decryption::new(&stored.wrapped, Some(context));
        let opened = self.kms.decrypt(&key, wrapped).await;
        let opened = opened.map_err(|error| of(&stored.attributes, error))?;
        BranchKeyVersion::new(&stored.attributes, opened)
    }

    async fn stored(&self, id: &str, item_type: &str) -> Result<StoredItem, BranchKeyError> {
        let item = self.table.item(id, item_type).await?;
        let item = item.ok_or_else(|| BranchKeyError::NotFound {
            branch_key: id.to_owned(),
            item_type: item_type.to_owned(),
            table: self.table.name.clone(),
        })?;
        StoredItem::read(id, item_type, item)
    }

    fn own_key(&self) -> Result<&Arn, BranchKeyError> {
        let own = self.configuration.own_key();
        own.ok_or(BranchKeyError::ReadOnly)
    }

    /// The key to ask KMS for, if the item names one that the configuration allows.
    fn usable_key(&self, attributes: &Attributes) -> Result<Arn, BranchKeyError> {
        let kms_key = attributes.kms_key()?;
        let usable = self.configuration.key_for(&kms_key);
        usable.ok_or_else(|| BranchKeyError::ForeignKmsKey {
            branch_key: attributes.branch_key_id().to_owned(),
            item_type: attributes.item_type().to_owned(),
            kms_key: kms_key.to_string(),
        })
    }

    /// A new key as two items: that of its version, and the active one.
    async fn new_version(
        &self,
        key: &Arn,
        version: &Attributes,
        active: &Attributes,
    ) -> Result<(Item, Item), BranchKeyError> {
        let wrapped = self.generate(key, version).await?;
        let again = self.re_encrypt(key, &wrapped, version, active).await?;
        Ok((version.to_item(wrapped), active.to_item(again)))
    }

    async fn generate(
        &self,
        key: &Arn,
        attributes: &Attributes,
    ) -> Result<Vec<u8>, BranchKeyError> {
        let context = attributes.to_kms_context(&self.logical_name);
        let generated = self.kms.generate_wrapped(key, context).await;
        generated.map_err(|error| of(attributes, error))
    }

    async fn re_encrypt(
        &self,
        key: &Arn,
        wrapped: &[u8],
        from: &Attributes,
        to: &Attributes,
    ) -> Result<Vec<u8>, BranchKeyError> {
        let (source, destination) = (
            from.to_kms_context(&self.logical_name),
            to.to_kms_context(&self.logical_name),
        );
        let wrapped = self.kms.re_encrypt(key, wrapped, source, destination).await;
        wrapped.map_err(|error| of(from, error))
    }
}

fn of(attributes: &Attributes, error: KmsError) -> BranchKeyError {
    BranchKeyError::Kms {
        branch_key: attributes.branch_key_id().to_owned(),
        item_type: attributes.item_type().to_owned(),
        error: Arc::new(error),
    }
}

fn checked(id: &str) -> Result<&str, BranchKeyError> {
    match id.len() {
        1..=MAXIMUM_ID_LENGTH => Ok(id),
        _ => Err(BranchKeyError::InvalidOption {
            what: "the branch key id",
            reason: "must have 1 to 2048 bytes",
        }),
    }
}

fn random_uuid() -> Result<Uuid, BranchKeyError> {
    let bytes = random_bytes::<16>().map_err(|_| BranchKeyError::Randomness)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}

/// Specification, "Branch Key Store": ISO 8601 in UTC, with microseconds.
#[allow(
    clippy::disallowed_methods,
    reason = "a creation time is for people; nothing here depends on it"
)]
fn now() -> String {
    let now: DateTime<Utc> = SystemTime::now().into();
    now.to_rfc3339_opts(SecondsFormat::Micros, true)
}
