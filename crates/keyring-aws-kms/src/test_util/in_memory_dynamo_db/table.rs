use std::collections::BTreeMap;

use super::attribute::{Attribute, Item};
use super::expression::Condition;
use crate::test_util::refusal::Refusal;

/// The longest values of keys, in bytes (DynamoDB developer guide, "Quotas and limits").
const PARTITION_LENGTH: usize = 2048;
const SORT_LENGTH: usize = 1024;

/// Items under keys of text.
pub(super) struct Table {
    pub(super) partition_name: String,
    pub(super) sort_name: Option<String>,
    items: BTreeMap<Key, Item>,
}

/// The partition and the sort key. Without one the latter is empty, which no sort key may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    partition: String,
    sort: String,
}

impl Key {
    pub(super) fn new(partition: &str, sort: &str) -> Self {
        Self {
            partition: partition.to_owned(),
            sort: sort.to_owned(),
        }
    }
}

impl Table {
    pub(super) fn new(partition_name: String, sort_name: Option<String>) -> Self {
        Self {
            partition_name,
            sort_name,
            items: BTreeMap::new(),
        }
    }

    pub(super) fn length(&self) -> usize {
        self.items.len()
    }

    /// The key of an item.
    pub(super) fn key_of(&self, item: &Item) -> Result<Key, Refusal> {
        let sort = match &self.sort_name {
            Some(name) => key_text(item, name, SORT_LENGTH)?,
            None => "",
        };
        let partition = key_text(item, &self.partition_name, PARTITION_LENGTH)?;
        Ok(Key::new(partition, sort))
    }

    /// The key that attributes are, which must be no others.
    pub(super) fn key(&self, attributes: &Item) -> Result<Key, Refusal> {
        let key = self.key_of(attributes)?;
        let length = 1 + usize::from(self.sort_name.is_some());
        match attributes.len() == length {
            true => Ok(key),
            false => Err(Refusal::invalid(
                "the key has other attributes than the table's key",
            )),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Item> {
        self.items.get(key)
    }

    pub(super) fn put(&mut self, key: Key, item: Item) {
        self.items.insert(key, item);
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Item> {
        self.items.remove(key)
    }

    /// The items of one partition in the order of their sort keys, by what the sort key is or
    /// begins with.
    pub(super) fn query(&self, conditions: &[Condition]) -> Result<Vec<&Item>, Refusal> {
        const UNUSABLE: Refusal = Refusal::invalid(
            "a query must be for one partition key, and for a sort key or its beginning",
        );
        let is_partition = |condition: &Condition| matches!(condition, Condition::Equals(name, Attribute::S(_)) if *name == self.partition_name);
        let is_sort = |condition: &Condition| {
            let (Condition::Equals(name, Attribute::S(_)) | Condition::BeginsWith(name, _)) =
                condition
            else {
                return false;
            };
            Some(name) == self.sort_name.as_ref()
        };
        match conditions {
            [partition] if is_partition(partition) => (),
            [partition, sort] | [sort, partition] if is_partition(partition) && is_sort(sort) => (),
            _ => return Err(UNUSABLE),
        }
        let items = self.items.values();
        let found = items.filter(|item| conditions.iter().all(|c| c.holds(Some(item))));
        Ok(found.collect())
    }
}

fn key_text<'a>(item: &'a Item, name: &str, longest: usize) -> Result<&'a str, Refusal> {
    let text = item.get(name).and_then(Attribute::as_text);
    let text = text.ok_or(Refusal::invalid(
        "an attribute of the table's key is missing, or no text",
    ))?;
    match text.len() {
        0 => Err(Refusal::invalid("an attribute of the key is empty")),
        length if length > longest => Err(Refusal::invalid("an attribute of the key is too long")),
        _ => Ok(text),
    }
}
