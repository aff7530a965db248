//! A table of branch keys in memory, and what is done to it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, ConditionCheck, KeySchemaElement, KeyType,
    Put, ScalarAttributeType, TransactWriteItem,
};
use envelope_aws_kms::test_util::InMemoryDynamoDb;

pub const REGION: &str = "eu-west-1";
pub const TABLE: &str = "branch-keys";
pub const PARTITION: &str = "branch-key-id";
pub const SORT: &str = "type";

pub type Item = HashMap<String, AttributeValue>;

pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn item<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Item {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), text(value)))
        .collect()
}

pub fn key(partition: &str, sort: &str) -> Item {
    item([(PARTITION, partition), (SORT, sort)])
}

pub fn create(client: &Client, table: &str, keys: &[(&str, KeyType)]) -> CreateTableFluentBuilder {
    let mut request = client.create_table().table_name(table);
    for (name, kind) in keys {
        let attribute = AttributeDefinition::builder().attribute_name(*name);
        let attribute = attribute.attribute_type(ScalarAttributeType::S).build();
        let element = KeySchemaElement::builder().attribute_name(*name);
        let element = element.key_type(kind.clone()).build();
        request = request
            .attribute_definitions(attribute.unwrap())
            .key_schema(element.unwrap());
    }
    request.billing_mode(BillingMode::PayPerRequest)
}

/// A DynamoDB with a table of branch keys, and a client of it.
pub async fn with_table() -> (InMemoryDynamoDb, Client) {
    let dynamo_db = InMemoryDynamoDb::new();
    let client = dynamo_db.client(REGION);
    let keys = [(PARTITION, KeyType::Hash), (SORT, KeyType::Range)];
    create(&client, TABLE, &keys).send().await.unwrap();
    (dynamo_db, client)
}

/// DynamoDB's code of a refusal.
pub fn code<T, E, R>(result: Result<T, SdkError<E, R>>) -> String
where
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let Err(error) = result else {
        panic!("it was not refused")
    };
    error.code().unwrap().to_owned()
}

pub fn put(item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    Put::builder().table_name(TABLE).set_item(Some(item))
}

pub fn new(item: Item) -> TransactWriteItem {
    let put = put(item).condition_expression("attribute_not_exists(#id)");
    let put = put.expression_attribute_names("#id", PARTITION).build();
    TransactWriteItem::builder().put(put.unwrap()).build()
}

pub fn check(key: Item, expression: &str, value: &str) -> TransactWriteItem {
    let check = ConditionCheck::builder()
        .table_name(TABLE)
        .set_key(Some(key))
        .condition_expression(expression)
        .expression_attribute_values(":value", text(value))
        .build();
    let check = check.unwrap();
    TransactWriteItem::builder().condition_check(check).build()
}

/// The codes of the actions, if the transaction was cancelled.
pub async fn transact(client: &Client, actions: Vec<TransactWriteItem>) -> Result<(), Vec<String>> {
    let request = client
        .transact_write_items()
        .set_transact_items(Some(actions));
    match request.send().await.map_err(SdkError::into_service_error) {
        Ok(_) => Ok(()),
        Err(TransactWriteItemsError::TransactionCanceledException(error)) => {
            let reasons = error.cancellation_reasons().iter();
            Err(reasons
                .map(|reason| reason.code().unwrap().to_owned())
                .collect())
        }
        Err(other) => Err(vec![other.code().unwrap().to_owned()]),
    }
}
