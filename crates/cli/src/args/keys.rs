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
}

#[derive(Debug, Parser)]
pub(crate) struct KeysCheck {
    #[command(flatten)]
    pub(crate) context: ContextArgs,
}
