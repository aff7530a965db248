//! `envelope keys`: what keys can do.

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
    }
}
