use std::path::Path;

use envelope_aws_kms::BranchKeyStore;
use serde_json::json;

use crate::args::keys::{EntryArgs, KeysCreate, KeysCreateTable, KeysVersion};
use crate::error::Error;
use crate::interrupt;
use crate::keyring_file;
use crate::output::Output;

/// Makes a branch key and says its id.
pub(crate) async fn create(
    command: &KeysCreate,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let context = command.context.load()?;
    let store = store(&command.entry, keyring).await?;
    let id = store.create_key(command.id.as_deref(), &context);
    let id = interrupt::or(id).await??;
    let json = json!({
        "command": "keys create",
        "table": store.table(),
        "logical_name": store.logical_name(),
        "branch_key_id": id,
    });
    output.result(&json, &format!("{id}\n"))
}

/// Makes a new version of a branch key, which is the active one from now on, and says its UUID.
pub(crate) async fn version(
    command: &KeysVersion,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let store = store(&command.entry, keyring).await?;
    let version = interrupt::or(store.create_version(&command.id)).await??;
    let json = json!({
        "command": "keys version",
        "table": store.table(),
        "logical_name": store.logical_name(),
        "branch_key_id": command.id,
        "version": version,
    });
    output.result(&json, &format!("{version}\n"))
}

/// Makes the table of branch keys, if there is none.
pub(crate) async fn create_table(
    command: &KeysCreateTable,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let store = store(&command.entry, keyring).await?;
    interrupt::or(store.create_table()).await??;
    let json = json!({ "command": "keys create-table", "table": store.table() });
    output.result(&json, &format!("table {} is ready\n", store.table()))
}

/// The store of the entry that was named, or of the only one that has one.
async fn store(entry: &EntryArgs, keyring: Option<&Path>) -> Result<BranchKeyStore, Error> {
    let keys = keyring_file::load_each(keyring).await?;
    let total = keys.len();
    let stores = keys.into_iter().map(|listed| listed.key.branch_keys);
    let refused = |what: String| Err(Error::Usage(what));
    match entry.entry {
        Some(number) => match stores.enumerate().find(|(index, _)| index + 1 == number) {
            Some((_, Some(store))) => Ok(store),
            Some((_, None)) => refused(format!(
                "--entry {number}: key {number} has no branch keys; name one of type aws-kms-hierarchy"
            )),
            None => refused(format!(
                "--entry {number}: the keyring file has {total} keys; the first is 1"
            )),
        },
        None => {
            let mut stores = stores.flatten();
            match (stores.next(), stores.next()) {
                (Some(store), None) => Ok(store),
                (None, _) => refused(
                    "the keyring file has no key of type aws-kms-hierarchy; add one".to_owned(),
                ),
                (Some(_), Some(_)) => refused(
                    "the keyring file has several keys of type aws-kms-hierarchy; choose one with --entry"
                        .to_owned(),
                ),
            }
        }
    }
}
