//! `envelope keys`: what keys can do, and branch keys.

mod branch_keys;
mod check;
mod trial;

use std::path::Path;

use crate::args::keys::{KeysCommand, KeysKind};
use crate::error::Error;
use crate::output::Output;

pub(crate) async fn run(
    command: &KeysCommand,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    match &command.kind {
        KeysKind::Check(command) => check::run(command, keyring, output).await,
        KeysKind::Create(command) => branch_keys::create(command, keyring, output).await,
        KeysKind::Version(command) => branch_keys::version(command, keyring, output).await,
        KeysKind::CreateTable(command) => branch_keys::create_table(command, keyring, output).await,
    }
}
