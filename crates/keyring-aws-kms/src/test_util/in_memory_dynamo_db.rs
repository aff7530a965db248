mod attribute;
mod expression;
mod operations;
mod request;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Config, Credentials, HttpClient, Region, RuntimeComponents,
};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use serde_json::Value;

use super::Behaviour;
use super::connection::{Service, connect};
use super::refusal::Refusal;
use crate::kms_error::KmsError;
use attribute::{Attribute, item, values_of};
use operations::Tables;
use table::Key;

/// A DynamoDB in memory that `aws_sdk_dynamodb` clients talk to. A clone is the same DynamoDB.
///
/// It has the operations that a table of branch keys needs: `CreateTable`, `DescribeTable`, `GetItem`,
/// `PutItem`, `Query`, and `TransactWriteItems` with `Put` and `ConditionCheck`. Every read is
/// consistent, a transaction is done as a whole or not at all, and one that is sent again with its
/// token is not done again. Clients of all regions see the same tables.
///
/// What it does not know it refuses with `ValidationException`, so that nothing is ignored: keys
/// that are no text, sets, numbers that are not whole, indexes, filters, pages. Expressions are made
/// of `attribute_exists(n)`, `attribute_not_exists(n)`, `n = :v` and `begins_with(n, :v)`, joined by
/// `AND`; a name in them may be a placeholder. Two things DynamoDB refuses and this does not: a
/// reserved word as a name, and an item that is too large.
///
/// Retries and latency need the Tokio runtime; its time may be paused.
///
/// ```
/// use aws_sdk_dynamodb::types::{
///     AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
///     ScalarAttributeType,
/// };
/// use envelope_aws_kms::test_util::InMemoryDynamoDb;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dynamo_db = InMemoryDynamoDb::new();
/// let client = dynamo_db.client("eu-west-1");
/// let id = AttributeDefinition::builder().attribute_name("id");
/// let key = KeySchemaElement::builder().attribute_name("id");
/// client
///     .create_table()
///     .table_name("keys")
///     .attribute_definitions(id.attribute_type(ScalarAttributeType::S).build()?)
///     .key_schema(key.key_type(KeyType::Hash).build()?)
///     .billing_mode(BillingMode::PayPerRequest)
///     .send()
///     .await?;
///
/// let acme = AttributeValue::S("acme".to_owned());
/// let put = client.put_item().table_name("keys").item("id", acme.clone());
/// put.send().await?;
///
/// let item = dynamo_db.item("keys", "acme", "");
/// assert_eq!(item.and_then(|item| item.get("id").cloned()), Some(acme));
/// assert_eq!(dynamo_db.calls("PutItem"), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct InMemoryDynamoDb {
    tables: Arc<Mutex<Tables>>,
    behaviour: Behaviour,
}

impl InMemoryDynamoDb {
    /// A DynamoDB without tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A client of this DynamoDB in a region, with the SDK's default retries.
    #[must_use]
    pub fn client(&self, region: impl Into<String>) -> Client {
        Client::from_conf(self.config(region).build())
    }

    /// The configuration of [`client`](Self::client), to be changed: its retries, its time-outs.
    /// Its retry quota is its own, so that tests do not use up each other's.
    #[must_use]
    pub fn config(&self, region: impl Into<String>) -> Builder {
        Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new(
                "id",
                "secret",
                None,
                None,
                "InMemoryDynamoDb",
            ))
            .region(Region::new(region.into()))
            .retry_partition(RetryPartition::custom("InMemoryDynamoDb").build())
            .sleep_impl(TokioSleep::new())
            .http_client(self.clone())
    }

    /// The item of a table under a key; the sort key is empty where the table has none. `None` if
    /// there is no such item or no such table.
    #[must_use]
    pub fn item(
        &self,
        table: &str,
        partition: &str,
        sort: &str,
    ) -> Option<HashMap<String, AttributeValue>> {
        let tables = self.tables();
        let item = tables.table(table).ok()?.get(&Key::new(partition, sort));
        item.map(values_of)
    }

    /// Puts an item past all clients, as another program would; one under its key is replaced.
    ///
    /// # Errors
    /// [`KmsError::InvalidOption`] for an item that the table cannot keep, and without the table.
    pub fn put_item(
        &self,
        table: &str,
        values: HashMap<String, AttributeValue>,
    ) -> Result<(), KmsError> {
        let refused = |refusal: Refusal| KmsError::InvalidOption {
            what: "the item",
            reason: refusal.message(),
        };
        let item = item(values).map_err(refused)?;
        let check = item.values().try_for_each(Attribute::check);
        check.map_err(refused)?;
        let mut tables = self.tables();
        let table = tables.table_mut(table).map_err(refused)?;
        let key = table.key_of(&item).map_err(refused)?;
        table.put(key, item);
        Ok(())
    }

    /// Removes an item past all clients, and returns it. `None` if there is no such item or no such
    /// table.
    pub fn remove_item(
        &self,
        table: &str,
        partition: &str,
        sort: &str,
    ) -> Option<HashMap<String, AttributeValue>> {
        let mut tables = self.tables();
        let table = tables.table_mut(table).ok()?;
        let item = table.remove(&Key::new(partition, sort))?;
        Some(values_of(&item))
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change is one step, so the tables are whole even if a thread died holding the lock.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How it fails, and what it was asked.
impl Deref for InMemoryDynamoDb {
    type Target = Behaviour;

    fn deref(&self) -> &Behaviour {
        &self.behaviour
    }
}

impl Service for InMemoryDynamoDb {
    const TARGET_PREFIX: &'static str = "DynamoDB_20120810.";
    const CONTENT_TYPE: &'static str = "application/x-amz-json-1.0";
    const THROTTLED: &'static str = "ProvisionedThroughputExceededException";
    const INTERNAL_ERROR: &'static str = "InternalServerError";

    fn answer(&self, operation: &str, _region: &str, body: &[u8]) -> Result<Value, Refusal> {
        self.tables().answer(operation, body)
    }
}

impl HttpClient for InMemoryDynamoDb {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        connect(self.clone(), settings, components)
    }
}

impl fmt::Debug for InMemoryDynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryDynamoDb")
            .field("tables", &self.tables().names())
            .field("calls", &self.behaviour)
            .finish_non_exhaustive()
    }
}
