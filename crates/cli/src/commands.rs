//! One file for each command.

pub(crate) mod cat;
pub(crate) mod cp;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod keys;
pub(crate) mod ls;
pub(crate) mod reencrypt;
pub(crate) mod rewrap;
pub(crate) mod rm;

use envelope::EncryptionContext;
use serde_json::{Map, Value};

/// The pairs as a JSON object.
fn context_json(context: &EncryptionContext) -> Value {
    let pairs = context.iter();
    let object: Map<String, Value> = pairs.map(|(k, v)| (k.to_owned(), v.into())).collect();
    object.into()
}

/// The suite's id, as `--suite` takes it.
fn suite_id(suite: envelope::AlgorithmSuite) -> String {
    format!("{:04x}", suite.id())
}
