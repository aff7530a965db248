//! The program `envelope`: client-side encryption of files and pipes.
//!
//! A library only so that its keyring-file parser can be fuzzed; it promises nothing.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod error;
mod failures;
mod formats;
mod interrupt;
mod keyring_file;
mod keys;
mod location;
mod output;
mod place;
mod upload;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::error::Error;
use crate::output::Output;

pub use keyring_file::KeyringFile;

/// Runs the program on the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return output::parse_failure(&error),
    };
    let output = Output::new(&args);
    interrupt::install();
    match run(args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.failure(&interrupt::explain(error)),
    }
}

fn run(args: Args, output: &Output) -> Result<(), Error> {
    let keyring = args.keyring.as_deref();
    match args.command {
        Command::Keygen(command) => commands::keygen::run(&command, output),
        Command::Keys(command) => wait(commands::keys::run(&command, keyring, output)),
        Command::Encrypt(command) => wait(commands::encrypt::run(&command, keyring, output)),
        Command::Decrypt(command) => wait(commands::decrypt::run(&command, keyring, output)),
        Command::Inspect(command) => wait(commands::inspect::run(&command, output)),
        Command::Ls(command) => wait(commands::ls::run(&command, output)),
        Command::Cat(command) => wait(commands::cat::run(&command, keyring)),
        Command::Cp(command) => wait(commands::cp::run(&command, keyring, output)),
        Command::Rm(command) => wait(commands::rm::run(&command, output)),
        Command::Rewrap(command) => wait(commands::rewrap::run(&command, keyring, output)),
        Command::Reencrypt(command) => wait(commands::reencrypt::run(&command, keyring, output)),
    }
}

/// Runs a command that talks to stores or key services.
fn wait(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|source| Error::Read {
        name: "the system's timers and sockets".to_owned(),
        source,
    })?;
    runtime.block_on(command)
}
