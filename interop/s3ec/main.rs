//! Exchanges objects with the Amazon S3 Encryption Clients of other languages, in every direction:
//! `s3ec TOOLS`. `interop/run-s3ec` installs the tools and calls it.

mod exchange;
mod form;
#[path = "../json_peer.rs"]
mod json_peer;
mod keys;
mod moto;
#[path = "../moto_server.rs"]
mod moto_server;
mod object;
mod ours;
mod party;
mod peer;
mod ranges;
mod refusals;
mod rotation;
#[path = "../stores/server.rs"]
mod server;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::keys::Keys;
use crate::moto::Moto;
use crate::ours::Ours;
use crate::party::Party;
use crate::peer::{Peer, PeerKind};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s3ec: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<()> {
    let [tools] = arguments else {
        bail!("usage: s3ec TOOLS");
    };
    let tools = Path::new(tools);
    let moto = Moto::start(tools).await?;
    let keys = Keys::generate(moto.create_key().await?)?;
    let mut parties = vec![Party::Ours(Box::new(Ours::new(&moto, &keys)?))];
    for kind in PeerKind::ALL {
        let peer = Peer::start(kind, tools, &moto.endpoint, &keys).await?;
        parties.push(Party::Peer(Box::new(peer)));
    }
    exchange::exchange(&mut parties).await?;
    ranges::ranges(&mut parties).await?;
    rotation::rotation(&mut parties).await?;
    refusals::refusals(&mut parties, &moto.builder().build()?).await?;
    for party in parties {
        party.stop().await?;
    }
    moto.stop().await
}
