use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::test_util::refusal::Refusal;

/// The attributes of an item by their names, or those that make its key.
pub(super) type Item = BTreeMap<String, Attribute>;

/// A value as it is in requests and answers (DynamoDB API reference, "AttributeValue").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Attribute {
    S(String),
    N(String),
    /// Base64.
    B(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
    L(Vec<Attribute>),
    M(BTreeMap<String, Attribute>),
}

impl Attribute {
    /// DynamoDB compares numbers by their value. Here each has one form only, so that equal ones are
    /// equal texts; so have bytes.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::N(number) => match number.parse::<i64>() {
                Ok(value) if value.to_string() == *number => Ok(()),
                _ => Err(Refusal::invalid(
                    "numbers must be whole and without needless signs and zeros here",
                )),
            },
            Self::B(text) => match STANDARD.decode(text) {
                Ok(_) => Ok(()),
                Err(_) => Err(Refusal::invalid("a binary value is not base64")),
            },
            Self::Null(false) => Err(Refusal::invalid("a null value must be true")),
            Self::L(values) => values.iter().try_for_each(Self::check),
            Self::M(values) => values.values().try_for_each(Self::check),
            Self::S(_) | Self::Bool(_) | Self::Null(true) => Ok(()),
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::S(text) => Some(text),
            _ => None,
        }
    }
}

impl TryFrom<AttributeValue> for Attribute {
    type Error = Refusal;

    fn try_from(value: AttributeValue) -> Result<Self, Refusal> {
        Ok(match value {
            AttributeValue::S(text) => Self::S(text),
            AttributeValue::N(number) => Self::N(number),
            AttributeValue::B(bytes) => Self::B(STANDARD.encode(bytes)),
            AttributeValue::Bool(value) => Self::Bool(value),
            AttributeValue::Null(value) => Self::Null(value),
            AttributeValue::L(values) => {
                let values = values.into_iter().map(Self::try_from);
                Self::L(values.collect::<Result<_, _>>()?)
            }
            AttributeValue::M(values) => Self::M(item(values)?),
            _ => return Err(Refusal::invalid("sets cannot be kept here")),
        })
    }
}

impl From<&Attribute> for AttributeValue {
    fn from(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::S(text) => Self::S(text.clone()),
            Attribute::N(number) => Self::N(number.clone()),
            // What is kept was checked.
            Attribute::B(text) => Self::B(Blob::new(STANDARD.decode(text).unwrap_or_default())),
            Attribute::Bool(value) => Self::Bool(*value),
            Attribute::Null(value) => Self::Null(*value),
            Attribute::L(values) => Self::L(values.iter().map(Self::from).collect()),
            Attribute::M(values) => Self::M(values_of(values)),
        }
    }
}

/// An item from the SDK's form.
pub(super) fn item(values: HashMap<String, AttributeValue>) -> Result<Item, Refusal> {
    let values = values.into_iter();
    let attributes = values.map(|(name, value)| Ok((name, Attribute::try_from(value)?)));
    attributes.collect()
}

/// An item in the SDK's form.
pub(super) fn values_of(item: &Item) -> HashMap<String, AttributeValue> {
    let attributes = item.iter();
    let values = attributes.map(|(name, value)| (name.clone(), AttributeValue::from(value)));
    values.collect()
}
