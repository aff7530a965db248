//! Runs keyrings over real key services, one after the other, and exchanges messages with Python's AWS
//! Encryption SDK over those that it has keyrings for: `keys [--full] TOOLS [SERVICE…]`.
//! `interop/run-key-services` installs the tools and calls it.

mod branch_key_items;
mod branch_key_races;
mod branch_keys;
mod cached;
mod check;
mod emulator;
mod exchange;
mod in_memory;
mod in_memory_server;
#[path = "../json_peer.rs"]
mod json_peer;
mod key_description;
mod key_store;
#[path = "../matrix.rs"]
mod matrix;
mod messages;
mod ministack;
mod moto;
#[path = "../moto_server.rs"]
mod moto_server;
mod openbao;
mod outages;
mod peer;
mod program;
#[path = "../selection.rs"]
mod selection;
#[path = "../stores/server.rs"]
mod server;
mod tokens;
mod transit;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::matrix::Matrix;

/// Every service, in the order of the run.
const SERVICES: [&str; 4] = ["openbao", "moto", "ministack", "in-memory"];

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let matrix = Matrix::take(&mut arguments);
    match run(&arguments, matrix).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keys: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String], matrix: Matrix) -> Result<()> {
    let (tools, services) = selection::selection("keys", &SERVICES, arguments)?;
    for service in services {
        check_service(service, tools, matrix).await?;
    }
    Ok(())
}

async fn check_service(service: &str, tools: &Path, matrix: Matrix) -> Result<()> {
    match service {
        "openbao" => openbao::check(tools).await,
        "moto" => moto::check(tools, matrix).await,
        "ministack" => ministack::check(tools, matrix).await,
        "in-memory" => in_memory::check(tools, matrix).await,
        other => bail!("no service {other:?}"),
    }
}
