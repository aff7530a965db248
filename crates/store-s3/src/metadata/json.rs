//! JSON as the format has it: one object, whose values are strings.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

/// A JSON object's members, each key once.
pub(super) struct Members<T>(pub(super) BTreeMap<String, T>);

/// A member of an instruction file.
pub(super) enum Member {
    Text(String),
    /// Written for lengths by old clients.
    Number(u64),
    /// Written by the .NET client for a description that there is not.
    Null,
}

/// A map of strings. Depth costs nothing: the first value that is no string ends it.
pub(super) fn parse_strings(text: &str) -> serde_json::Result<BTreeMap<String, String>> {
    serde_json::from_str::<Members<String>>(text).map(|members| members.0)
}

/// One line of ASCII. Headers hold nothing else, and S3 would encode anything else twice.
pub(super) fn to_ascii<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let members = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()));
    let text = Value::Object(members.collect()).to_string();

    // What is escaped here is always inside a string: JSON needs neither elsewhere.
    let mut ascii = String::with_capacity(text.len());
    let mut previous = ' ';
    for character in text.chars() {
        let begins_encoded_word = previous == '=' && character == '?';
        if character.is_ascii() && !character.is_ascii_control() && !begins_encoded_word {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
        previous = character;
    }
    ascii
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(BTreeMap::new()))
    }
}

struct MembersVisitor<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<T> {
    type Value = Members<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some((key, value)) = map.next_entry()? {
            // Parsers differ in which of two they take, so there must be one.
            if self.0.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Members(self.0))
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl Visitor<'_> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member, E> {
        Ok(Member::Number(number))
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }
}
