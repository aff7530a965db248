//! What the operations take (DynamoDB API reference). Fields that are not here are refused, so
//! that none is ignored.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::attribute::Item;
use super::expression::Names;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateTable {
    pub(super) table_name: String,
    pub(super) attribute_definitions: Vec<AttributeDefinition>,
    pub(super) key_schema: Vec<KeySchemaElement>,
    /// What capacity costs makes no difference here.
    #[serde(rename = "BillingMode")]
    pub(super) _billing_mode: Option<IgnoredAny>,
    #[serde(rename = "ProvisionedThroughput")]
    pub(super) _provisioned_throughput: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct AttributeDefinition {
    pub(super) attribute_name: String,
    pub(super) attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct KeySchemaElement {
    pub(super) attribute_name: String,
    pub(super) key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DescribeTable {
    pub(super) table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetItem {
    pub(super) table_name: String,
    pub(super) key: Item,
    /// Every read is consistent here.
    #[serde(rename = "ConsistentRead")]
    pub(super) _consistent_read: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Query {
    pub(super) table_name: String,
    pub(super) key_condition_expression: String,
    #[serde(default)]
    pub(super) expression_attribute_names: Names,
    #[serde(default)]
    pub(super) expression_attribute_values: Item,
    #[serde(rename = "ConsistentRead")]
    pub(super) _consistent_read: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TransactWriteItems {
    pub(super) transact_items: Vec<Action>,
    pub(super) client_request_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Action {
    Put(Put),
    ConditionCheck(ConditionCheck),
}

/// An action of a transaction, and all of `PutItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Put {
    pub(super) table_name: String,
    pub(super) item: Item,
    pub(super) condition_expression: Option<String>,
    #[serde(default)]
    pub(super) expression_attribute_names: Names,
    #[serde(default)]
    pub(super) expression_attribute_values: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ConditionCheck {
    pub(super) table_name: String,
    pub(super) key: Item,
    pub(super) condition_expression: String,
    #[serde(default)]
    pub(super) expression_attribute_names: Names,
    #[serde(default)]
    pub(super) expression_attribute_values: Item,
}
