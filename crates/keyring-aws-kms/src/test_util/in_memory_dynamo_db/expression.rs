use std::collections::{BTreeMap, BTreeSet};

use super::attribute::{Attribute, Item};
use crate::test_util::refusal::Refusal;

const SYNTAX: Refusal = Refusal::invalid(
    "an expression must be attribute_exists(n), attribute_not_exists(n), n = :v or \
     begins_with(n, :v), joined by AND",
);

/// Names by their placeholders.
pub(super) type Names = BTreeMap<String, String>;

/// Conditions that must all hold; of an item, or of the keys that a query is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Exists(String),
    DoesNotExist(String),
    Equals(String, Attribute),
    BeginsWith(String, String),
}

impl Condition {
    /// Whether an item is so; a missing item has no attributes.
    pub(super) fn holds(&self, item: Option<&Item>) -> bool {
        let attribute = |name| item.and_then(|item| item.get(name));
        match self {
            Self::Exists(name) => attribute(name).is_some(),
            Self::DoesNotExist(name) => attribute(name).is_none(),
            Self::Equals(name, value) => attribute(name) == Some(value),
            Self::BeginsWith(name, beginning) => attribute(name)
                .and_then(Attribute::as_text)
                .is_some_and(|text| text.starts_with(beginning)),
        }
    }
}

/// The conditions of an expression, with names and values instead of their placeholders. No
/// expression is no condition.
pub(super) fn conditions(
    expression: Option<&str>,
    names: &Names,
    values: &Item,
) -> Result<Vec<Condition>, Refusal> {
    let mut reader = Reader {
        tokens: tokens(expression.unwrap_or_default())?.into_iter(),
        names,
        values,
        used: BTreeSet::new(),
    };
    let mut conditions = Vec::new();
    if expression.is_some() {
        conditions.push(reader.condition()?);
    }
    while let Some(token) = reader.tokens.next() {
        if !token.eq_ignore_ascii_case("AND") {
            return Err(SYNTAX);
        }
        conditions.push(reader.condition()?);
    }
    reader.all_used()?;
    Ok(conditions)
}

/// Words, and the signs between them. What is no word and no sign, as `-`, must be in a name that a
/// placeholder stands for.
fn tokens(expression: &str) -> Result<Vec<&str>, Refusal> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | ':');
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | ',' | '=' => 1,
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => return Err(SYNTAX),
        };
        let (token, after) = rest.split_at_checked(length).ok_or(SYNTAX)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: std::vec::IntoIter<&'a str>,
    names: &'a Names,
    values: &'a Item,
    used: BTreeSet<&'a str>,
}

impl<'a> Reader<'a> {
    fn condition(&mut self) -> Result<Condition, Refusal> {
        let first = self.word()?;
        let function = first.to_ascii_lowercase();
        let called = self.tokens.as_slice().first() == Some(&"(");
        let condition = match (&*function, called) {
            ("attribute_exists", true) => {
                self.expect("(")?;
                Condition::Exists(self.next_name()?)
            }
            ("attribute_not_exists", true) => {
                self.expect("(")?;
                Condition::DoesNotExist(self.next_name()?)
            }
            ("begins_with", true) => {
                self.expect("(")?;
                let name = self.next_name()?;
                self.expect(",")?;
                let Attribute::S(beginning) = self.value()? else {
                    return Err(Refusal::invalid("begins_with is for text alone here"));
                };
                Condition::BeginsWith(name, beginning)
            }
            (_, false) => {
                let name = self.name(first)?;
                self.expect("=")?;
                return Ok(Condition::Equals(name, self.value()?));
            }
            _ => return Err(SYNTAX),
        };
        self.expect(")")?;
        Ok(condition)
    }

    fn word(&mut self) -> Result<&'a str, Refusal> {
        self.tokens.next().ok_or(SYNTAX)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Refusal> {
        match self.word()? == sign {
            true => Ok(()),
            false => Err(SYNTAX),
        }
    }

    fn next_name(&mut self) -> Result<String, Refusal> {
        let word = self.word()?;
        self.name(word)
    }

    fn name(&mut self, word: &'a str) -> Result<String, Refusal> {
        if word.starts_with('#') {
            let name = self.names.get(word).ok_or(Refusal::invalid(
                "an expression has a name's placeholder that stands for nothing",
            ))?;
            self.used.insert(word);
            return Ok(name.clone());
        }
        let is_name =
            word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains(['#', ':']);
        match is_name {
            true => Ok(word.to_owned()),
            false => Err(SYNTAX),
        }
    }

    fn value(&mut self) -> Result<Attribute, Refusal> {
        let word = self.word()?;
        if !word.starts_with(':') {
            return Err(SYNTAX);
        }
        let value = self.values.get(word).ok_or(Refusal::invalid(
            "an expression has a value's placeholder that stands for nothing",
        ))?;
        value.check()?;
        self.used.insert(word);
        Ok(value.clone())
    }

    /// DynamoDB takes no names and values that the expression does not use.
    fn all_used(&self) -> Result<(), Refusal> {
        let mut given = self.names.keys().chain(self.values.keys());
        match given.all(|key| self.used.contains(&**key)) {
            true => Ok(()),
            false => Err(Refusal::invalid(
                "a name or value is given that no expression uses",
            )),
        }
    }
}
