//! The arguments of `envelope keys`.

use clap::{Parser, Subcommand};

use super::ContextArgs;

#[derive(Debug, Parser)]
pub(crate) struct KeysCommand {
    #[command(subcommand)]
    pub(crate) kind: KeysKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysKind {
    /// Try whether each key of the keyring file, by itself, makes data keys, wraps them and opens them
    Check(KeysCheck),
    /// Make a branch key and print its id
    Create(KeysCreate),
    /// Make a new version of a branch key, active from now on, and print its UUID. Older versions
    /// still open what they wrapped
    Version(KeysVersion),
    /// Make the table of branch keys, if there is none, and wait until it is ready
    CreateTable(KeysCreateTable),
}

#[derive(Debug, Parser)]
pub(crate) struct KeysCheck {
    #[command(flatten)]
    pub(crate) context: ContextArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct KeysCreate {
    /// The branch key's id, which needs a --context [default: a random UUID]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) entry: EntryArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct KeysVersion {
    /// The branch key's id
    #[arg(long, value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) entry: EntryArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct KeysCreateTable {
    #[command(flatten)]
    pub(crate) entry: EntryArgs,
}

/// Whose table it is.
#[derive(Debug, Parser)]
pub(crate) struct EntryArgs {
    /// The entry of the keyring file, of type aws-kms-hierarchy: 1 is the first [default: the only one]
    #[arg(long, value_name = "N")]
    pub(crate) entry: Option<usize>,
}
