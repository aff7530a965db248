use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::encoded_words;
use super::json::{self, Member, Members};
use super::names::is_reserved;
use super::names::{self, DESCRIPTION_V3, DESCRIPTIONS, OPTIONAL, PLAINTEXT_LENGTH, TAG_LENGTH};
use crate::error::Error;

/// Longest instruction file, and longest value of a pair, in bytes. S3 keeps 2 KiB of metadata.
pub(crate) const MAXIMUM_LENGTH: usize = 64 << 10;

/// The client's pairs in user metadata or in an instruction file, each key once.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    /// Those of an object's user metadata. Pairs of the user's own are left out.
    pub(super) fn of_object<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let mut fields = Self::default();
        for (name, value) in pairs {
            let Some(name) = names::known(name) else {
                continue;
            };
            let value = if DESCRIPTIONS.contains(&name) {
                encoded_words::decode(value)
            } else {
                Cow::from(value)
            };
            fields.insert(name, value.into_owned())?;
        }
        Ok(fields)
    }

    /// Those of an instruction file.
    pub(super) fn of_file(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAXIMUM_LENGTH {
            return Err(Error::invalid_file("it is longer than 64 KiB"));
        }
        let members: Members<Member> =
            serde_json::from_slice(json).map_err(|error| Error::invalid_file(error.to_string()))?;
        let mut fields = Self::default();
        for (name, member) in members.0 {
            let known = names::known(&name);
            let value = match member {
                Member::Text(text) => text,
                Member::Number(number) if is_number(known) => number.to_string(),
                Member::Null if known == Some(DESCRIPTION_V3) => continue,
                Member::Number(_) | Member::Null => {
                    return Err(Error::invalid_file("a value is not a string"));
                }
            };
            match known {
                Some(name) => fields.insert(name, value)?,
                // One of a format that we do not know.
                None if !is_reserved(&name) && name.to_ascii_lowercase().starts_with("x-amz-") => {
                    return Err(Error::unknown_key(&name));
                }
                None => {}
            }
        }
        Ok(fields)
    }

    fn insert(&mut self, name: &'static str, value: String) -> Result<(), Error> {
        if value.is_empty() && OPTIONAL.contains(&name) {
            return Ok(());
        }
        if value.len() > MAXIMUM_LENGTH {
            return Err(Error::invalid_value(name, "it is longer than 64 KiB"));
        }
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(Error::invalid_value(name, "it is there twice")),
        }
    }

    pub(super) fn has(&self, name: &'static str) -> bool {
        self.0.contains_key(name)
    }

    /// The first of these keys that is there.
    pub(super) fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.has(name))
    }

    pub(super) fn optional(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, Error> {
        let missing = Error::IncompleteEnvelope { missing: name };
        self.optional(name).ok_or(missing)
    }

    pub(super) fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        STANDARD
            .decode(self.required(name)?)
            .map_err(|_| Error::invalid_value(name, "it is not base64, padded and on one line"))
    }

    pub(super) fn array<const LENGTH: usize>(
        &self,
        name: &'static str,
    ) -> Result<[u8; LENGTH], Error> {
        let bytes = self.bytes(name)?;
        <[u8; LENGTH]>::try_from(&*bytes).map_err(|_| {
            let found = bytes.len();
            Error::invalid_value(name, format!("it has {found} bytes and must have {LENGTH}"))
        })
    }

    /// A map of strings; an empty one when there is none.
    pub(super) fn description(
        &self,
        name: &'static str,
    ) -> Result<BTreeMap<String, String>, Error> {
        match self.optional(name) {
            Some(text) => json::parse_strings(text).map_err(|error| {
                Error::invalid_value(name, format!("it is not a JSON object of strings: {error}"))
            }),
            None => Ok(BTreeMap::new()),
        }
    }

    pub(super) fn plaintext_length(&self) -> Result<Option<u64>, Error> {
        let Some(text) = self.optional(PLAINTEXT_LENGTH) else {
            return Ok(None);
        };
        // A sign would parse.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let length = text.parse().ok().filter(|_| digits);
        let invalid = || Error::invalid_value(PLAINTEXT_LENGTH, "it is no number of bytes");
        length.ok_or_else(invalid).map(Some)
    }
}

/// Keys whose values some clients write into files as JSON numbers.
fn is_number(name: Option<&str>) -> bool {
    name.is_some_and(|name| [TAG_LENGTH, PLAINTEXT_LENGTH].contains(&name))
}
