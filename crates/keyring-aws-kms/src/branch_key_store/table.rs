use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put,
    ScalarAttributeType, TableDescription, TransactWriteItem,
};
use aws_sdk_dynamodb::waiters::table_exists::WaitUntilTableExistsError;

use super::branch_key_error::BranchKeyError;
use super::item::{BRANCH_KEY_ID, ENCRYPTED, Item, TYPE};
use super::table_call::TableCall;

/// A new table takes seconds to be ready.
const LONGEST_CREATION: Duration = Duration::from_secs(300);

/// Items are written where none is of this branch key and type.
const IS_NEW: &str = "attribute_not_exists(#id)";
/// The active item is replaced only as it was read.
const IS_UNCHANGED: &str = "attribute_exists(#id) AND #enc = :old";

/// The table of a branch key store.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    client: Client,
    pub(crate) name: String,
}

/// Why a transaction wrote nothing.
pub(crate) enum NotWritten {
    /// The items are not as they must be before.
    Condition,
    Failed(BranchKeyError),
}

impl Table {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The item, if there is one. Read consistently: a version that another caller made is seen at
    /// once.
    pub(crate) async fn item(
        &self,
        id: &str,
        item_type: &str,
    ) -> Result<Option<Item>, BranchKeyError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(BRANCH_KEY_ID, AttributeValue::S(id.to_owned()))
            .key(TYPE, AttributeValue::S(item_type.to_owned()))
            .consistent_read(true)
            .send()
            .await;
        let answer = answer.map_err(|error| BranchKeyError::new(self.call("GetItem"), &error))?;
        Ok(answer.item)
    }

    /// Puts an item that must not exist yet.
    pub(crate) fn new_item(&self, item: Item) -> PutBuilder {
        self.put(item).condition_expression(IS_NEW)
    }

    /// Puts an item in the place of one with this wrapped key.
    pub(crate) fn replacement(&self, item: Item, old: Vec<u8>) -> PutBuilder {
        self.put(item)
            .condition_expression(IS_UNCHANGED)
            .expression_attribute_names("#enc", ENCRYPTED)
            .expression_attribute_values(":old", AttributeValue::B(Blob::new(old)))
    }

    fn put(&self, item: Item) -> PutBuilder {
        Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .expression_attribute_names("#id", BRANCH_KEY_ID)
    }

    /// Writes all of it, or nothing.
    pub(crate) async fn write(
        &self,
        puts: impl IntoIterator<Item = PutBuilder>,
    ) -> Result<(), NotWritten> {
        let call = || self.call("TransactWriteItems");
        let puts = puts.into_iter().map(|put| {
            let put = put.build()?;
            Ok(TransactWriteItem::builder().put(put).build())
        });
        let puts = puts.collect::<Result<Vec<_>, _>>();
        let puts = puts.map_err(|error| NotWritten::Failed(not_asked(call(), &error)))?;
        let request = self.client.transact_write_items();
        let answer = request.set_transact_items(Some(puts)).send().await;
        let Err(error) = answer else { return Ok(()) };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
            error.as_service_error()
        else {
            return Err(NotWritten::Failed(BranchKeyError::new(call(), &error)));
        };
        let reasons = cancelled.cancellation_reasons().iter();
        let mut codes = reasons.filter_map(|reason| reason.code().filter(|code| *code != "None"));
        if codes.clone().any(|code| code == "ConditionalCheckFailed") {
            return Err(NotWritten::Condition);
        }
        let mut failed = BranchKeyError::new(call(), &error);
        if let (BranchKeyError::Refused { code, .. }, Some(reason)) = (&mut failed, codes.next()) {
            // The transaction's own code says only that it was cancelled.
            *code = Some(reason.to_owned());
        }
        Err(NotWritten::Failed(failed))
    }

    /// Makes the table unless it exists, and waits until it is ready.
    pub(crate) async fn create(&self) -> Result<(), BranchKeyError> {
        let call = || self.call("CreateTable");
        let (attributes, keys) = key_schema().map_err(|error| not_asked(call(), &error))?;
        let made = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes))
            .set_key_schema(Some(keys))
            .send()
            .await;
        match made {
            Err(error) if error.code() == Some("ResourceInUseException") => {}
            made => {
                made.map_err(|error| BranchKeyError::new(call(), &error))?;
            }
        }
        let call = || self.call("DescribeTable");
        let waiter = self.client.wait_until_table_exists();
        let waited = waiter.table_name(&self.name).wait(LONGEST_CREATION).await;
        let found = match waited {
            Ok(found) => found.into_result(),
            Err(WaitUntilTableExistsError::OperationFailed(failed)) => {
                return Err(BranchKeyError::new(call(), failed.error()));
            }
            Err(other) => {
                let reason = other.to_string();
                return Err(BranchKeyError::NoAnswer {
                    call: call(),
                    reason,
                });
            }
        };
        let table = found.ok().and_then(|found| found.table);
        match table.is_some_and(|table| is_for_branch_keys(&table)) {
            true => Ok(()),
            false => Err(BranchKeyError::WrongTable {
                table: self.name.clone(),
            }),
        }
    }

    fn call(&self, operation: &'static str) -> TableCall {
        TableCall {
            operation,
            table: self.name.clone(),
            region: self.client.config().region().map(ToString::to_string),
        }
    }
}

const KEYS: [(&str, KeyType); 2] = [(BRANCH_KEY_ID, KeyType::Hash), (TYPE, KeyType::Range)];

fn key_schema() -> Result<(Vec<AttributeDefinition>, Vec<KeySchemaElement>), BuildError> {
    let attributes = KEYS.iter().map(|(name, _)| {
        AttributeDefinition::builder()
            .attribute_name(*name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    });
    let keys = KEYS.iter().map(|(name, key_type)| {
        KeySchemaElement::builder()
            .attribute_name(*name)
            .key_type(key_type.clone())
            .build()
    });
    Ok((
        attributes.collect::<Result<_, _>>()?,
        keys.collect::<Result<_, _>>()?,
    ))
}

/// A request that was never sent.
fn not_asked(call: TableCall, error: &BuildError) -> BranchKeyError {
    let reason = error.to_string();
    BranchKeyError::NotAsked { call, reason }
}

fn is_for_branch_keys(table: &TableDescription) -> bool {
    let keys = table.key_schema();
    let definitions = table.attribute_definitions();
    keys.len() == KEYS.len()
        && KEYS.iter().all(|(name, key_type)| {
            let is_key = |key: &KeySchemaElement| {
                key.attribute_name() == *name && key.key_type() == key_type
            };
            let is_text = |attribute: &AttributeDefinition| {
                attribute.attribute_name() == *name
                    && *attribute.attribute_type() == ScalarAttributeType::S
            };
            keys.iter().any(is_key) && definitions.iter().any(is_text)
        })
}
