//! The operations of DynamoDB (Amazon DynamoDB API reference).

use std::collections::{BTreeSet, HashMap};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::attribute::{Attribute, Item};
use super::expression::{Condition, conditions};
use super::request::{
    Action, CreateTable, DescribeTable, GetItem, KeySchemaElement, Put, Query, TransactWriteItems,
};
use super::table::{Key, Table};
use crate::test_util::refusal::Refusal;

const MAXIMUM_ACTIONS: usize = 100;

const NO_TABLE: Refusal = Refusal::new(
    "ResourceNotFoundException",
    "there is no table of this name",
);
const CONDITION_FAILED: Refusal = Refusal::new(
    "ConditionalCheckFailedException",
    "a condition does not hold",
);

/// Tables by name, and what was done once already.
#[derive(Default)]
pub(super) struct Tables {
    tables: HashMap<String, Table>,
    /// Requests of transactions by their tokens, in whatever order their fields came.
    done: HashMap<String, Value>,
}

/// One action of a transaction, read and looked up.
struct Step {
    table: String,
    key: Key,
    conditions: Vec<Condition>,
    put: Option<Item>,
}

impl Tables {
    pub(super) fn answer(&mut self, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
        match operation {
            "CreateTable" => self.create_table(parse(body)?),
            "DescribeTable" => self.describe_table(&parse(body)?),
            "GetItem" => self.get_item(&parse(body)?),
            "PutItem" => self.put_item(parse(body)?),
            "Query" => self.query(&parse(body)?),
            "TransactWriteItems" => self.transact_write_items(parse(body)?, parse(body)?),
            _ => Err(Refusal::new(
                "UnknownOperationException",
                "this DynamoDB has no such operation",
            )),
        }
    }

    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.tables.keys().map(String::as_str).collect()
    }

    pub(super) fn table(&self, name: &str) -> Result<&Table, Refusal> {
        self.tables.get(name).ok_or(NO_TABLE)
    }

    pub(super) fn table_mut(&mut self, name: &str) -> Result<&mut Table, Refusal> {
        self.tables.get_mut(name).ok_or(NO_TABLE)
    }

    fn create_table(&mut self, request: CreateTable) -> Result<Value, Refusal> {
        let name = request.table_name;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(3..=255).contains(&name.len()) || !name.chars().all(is_name) {
            return Err(Refusal::invalid(
                "a table's name must have 3 to 255 letters, digits, and signs of _-.",
            ));
        }
        if self.tables.contains_key(&name) {
            return Err(Refusal::new(
                "ResourceInUseException",
                "there is a table of this name already",
            ));
        }
        let (partition, sort) = key_names(&request.key_schema)?;
        let keys: BTreeSet<&str> = sort.iter().copied().chain([partition]).collect();
        let defined = &request.attribute_definitions;
        let names: BTreeSet<&str> = defined.iter().map(|a| &*a.attribute_name).collect();
        if names != keys || defined.iter().any(|a| a.attribute_type != "S") {
            return Err(Refusal::invalid(
                "the attributes of the key, and no others, must be defined, and must be text here",
            ));
        }
        let table = Table::new(partition.to_owned(), sort.map(str::to_owned));
        let description = describe(&name, &table);
        self.tables.insert(name, table);
        Ok(json!({ "TableDescription": description }))
    }

    fn describe_table(&self, request: &DescribeTable) -> Result<Value, Refusal> {
        let table = self.table(&request.table_name)?;
        Ok(json!({ "Table": describe(&request.table_name, table) }))
    }

    fn get_item(&self, request: &GetItem) -> Result<Value, Refusal> {
        let table = self.table(&request.table_name)?;
        match table.get(&table.key(&request.key)?) {
            Some(item) => Ok(json!({ "Item": item })),
            None => Ok(json!({})),
        }
    }

    fn put_item(&mut self, request: Put) -> Result<Value, Refusal> {
        let step = self.put_step(request)?;
        self.check(&step)?;
        self.take(step)?;
        Ok(json!({}))
    }

    fn query(&self, request: &Query) -> Result<Value, Refusal> {
        let table = self.table(&request.table_name)?;
        let conditions = conditions(
            Some(&request.key_condition_expression),
            &request.expression_attribute_names,
            &request.expression_attribute_values,
        )?;
        let items = table.query(&conditions)?;
        Ok(json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() }))
    }

    fn transact_write_items(
        &mut self,
        request: TransactWriteItems,
        body: Value,
    ) -> Result<Value, Refusal> {
        let token = request.client_request_token;
        match token.as_ref().and_then(|token| self.done.get(token)) {
            Some(done) if *done == body => return Ok(json!({})),
            Some(_) => {
                return Err(Refusal::new(
                    "IdempotentParameterMismatchException",
                    "the token was used for another transaction",
                ));
            }
            None => (),
        }
        let actions = request.transact_items.into_iter();
        let steps = actions.map(|action| self.step(action));
        let steps: Vec<Step> = steps.collect::<Result<_, _>>()?;
        if steps.is_empty() || steps.len() > MAXIMUM_ACTIONS {
            return Err(Refusal::invalid("a transaction must have 1 to 100 actions"));
        }
        let items: BTreeSet<_> = steps.iter().map(|step| (&step.table, &step.key)).collect();
        if items.len() != steps.len() {
            return Err(Refusal::invalid(
                "a transaction must have one action for each item",
            ));
        }
        let checks: Vec<_> = steps.iter().map(|step| self.check(step)).collect();
        if checks.iter().any(Result::is_err) {
            return Err(Refusal::canceled(checks.into_iter().map(reason).collect()));
        }
        steps.into_iter().try_for_each(|step| self.take(step))?;
        if let Some(token) = token {
            self.done.insert(token, body);
        }
        Ok(json!({}))
    }

    fn step(&self, action: Action) -> Result<Step, Refusal> {
        let check = match action {
            Action::Put(put) => return self.put_step(put),
            Action::ConditionCheck(check) => check,
        };
        Ok(Step {
            key: self.table(&check.table_name)?.key(&check.key)?,
            conditions: conditions(
                Some(&check.condition_expression),
                &check.expression_attribute_names,
                &check.expression_attribute_values,
            )?,
            table: check.table_name,
            put: None,
        })
    }

    fn put_step(&self, put: Put) -> Result<Step, Refusal> {
        put.item.values().try_for_each(Attribute::check)?;
        Ok(Step {
            key: self.table(&put.table_name)?.key_of(&put.item)?,
            conditions: conditions(
                put.condition_expression.as_deref(),
                &put.expression_attribute_names,
                &put.expression_attribute_values,
            )?,
            table: put.table_name,
            put: Some(put.item),
        })
    }

    fn check(&self, step: &Step) -> Result<(), Refusal> {
        let item = self.table(&step.table)?.get(&step.key);
        match step
            .conditions
            .iter()
            .all(|condition| condition.holds(item))
        {
            true => Ok(()),
            false => Err(CONDITION_FAILED),
        }
    }

    fn take(&mut self, step: Step) -> Result<(), Refusal> {
        let table = self.table_mut(&step.table)?;
        if let Some(item) = step.put {
            table.put(step.key, item);
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| {
        Refusal::invalid("a field is missing, of another type, or of no effect in this DynamoDB")
    })
}

fn key_names(schema: &[KeySchemaElement]) -> Result<(&str, Option<&str>), Refusal> {
    let is = |element: &KeySchemaElement, key_type| element.key_type == key_type;
    match schema {
        [partition] if is(partition, "HASH") => Ok((&partition.attribute_name, None)),
        [partition, sort]
            if is(partition, "HASH")
                && is(sort, "RANGE")
                && partition.attribute_name != sort.attribute_name =>
        {
            Ok((&partition.attribute_name, Some(&sort.attribute_name)))
        }
        _ => Err(Refusal::invalid(
            "the key schema must be a HASH attribute and perhaps a RANGE attribute",
        )),
    }
}

fn describe(name: &str, table: &Table) -> Value {
    let keys = [
        (Some(&table.partition_name), "HASH"),
        (table.sort_name.as_ref(), "RANGE"),
    ];
    let keys = keys
        .iter()
        .filter_map(|(name, kind)| Some(((*name)?, *kind)));
    let schema: Vec<Value> = keys
        .clone()
        .map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind }))
        .collect();
    let definitions: Vec<Value> = keys
        .map(|(name, _)| json!({ "AttributeName": name, "AttributeType": "S" }))
        .collect();
    json!({
        "TableName": name,
        "TableStatus": "ACTIVE",
        "KeySchema": schema,
        "AttributeDefinitions": definitions,
        "ItemCount": table.length(),
    })
}

/// Why an action did not let its transaction be done; `None` is DynamoDB's code for one that did.
fn reason(check: Result<(), Refusal>) -> Value {
    match check {
        Ok(()) => json!({ "Code": "None" }),
        Err(refusal) => {
            let code = refusal.code().trim_end_matches("Exception");
            json!({ "Code": code, "Message": refusal.message() })
        }
    }
}
