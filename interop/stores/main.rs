//! Runs checks over real servers, one after the other: `stores TOOLS [SERVER…]`. `stores TOOLS crashes
//! SECONDS` does nothing but kill a server while objects are uploaded, for so long. `interop/run-stores`
//! installs the tools and calls it.

mod authority;
mod azurite;
mod bad_input;
mod client_offsets;
mod fault_proxy;
mod faults;
mod gcs;
mod interrupted;
mod metadata_limit;
mod minio;
mod odd_names;
mod program;
mod s3;
mod s3_encryption_client;
mod seaweedfs;
#[path = "../selection.rs"]
mod selection;
mod server;
mod server_side_encryption;
mod suite;
mod tags;
mod versitygw;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Every server, in the order of the run.
const SERVERS: [&str; 5] = ["seaweedfs", "versitygw", "gcs", "azurite", "minio"];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stores: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<()> {
    if let [tools, crashes, seconds] = arguments
        && crashes == "crashes"
    {
        let seconds = seconds.parse();
        let seconds = seconds.with_context(|| "crashes takes a whole number of seconds")?;
        return seaweedfs::crash_loop(Path::new(tools), Duration::from_secs(seconds)).await;
    }
    let (tools, servers) = selection::selection("stores", &SERVERS, arguments)?;
    for server in servers {
        check(server, tools).await?;
    }
    Ok(())
}

async fn check(server: &str, tools: &Path) -> Result<()> {
    match server {
        "seaweedfs" => seaweedfs::check(tools).await,
        "versitygw" => versitygw::check(tools).await,
        "gcs" => gcs::check(tools).await,
        "azurite" => azurite::check(tools).await,
        "minio" => minio::check(tools).await,
        other => bail!("no server {other:?}"),
    }
}
