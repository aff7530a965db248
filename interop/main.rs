//! Exchanges messages with other AWS Encryption SDKs, in both directions: `interop [--full] NAME PROGRAM
//! ARGUMENT…` starts one peer and checks every suite with every keyring that the peer has.

mod batch;
mod keys;
mod matrix;
mod peer;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::batch::{Batch, batches};
use crate::keys::Keys;
use crate::matrix::Matrix;
use crate::peer::{Peer, PeerKind};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let matrix = Matrix::take(&mut arguments);
    match run(&arguments, matrix) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String], matrix: Matrix) -> Result<()> {
    let [name, program @ ..] = arguments else {
        bail!("usage: interop [--full] python|javascript PROGRAM ARGUMENT…");
    };
    let kind = match name.as_str() {
        "python" => PeerKind::Python,
        "javascript" => PeerKind::JavaScript,
        other => bail!("no peer {other:?}"),
    };
    let keys = Keys::generate()?;
    let mut peer = Peer::start(kind, program)?;
    let (mut ours, mut theirs) = (0, 0);
    for batch in batches(kind, &keys, matrix)? {
        let label = batch.label();
        ours +=
            exchange(&batch, &mut peer).with_context(|| format!("{label}: {kind} reads ours"))?;
        let written = batch.written_by(kind);
        theirs +=
            read_back(&written, &mut peer).with_context(|| format!("{label}: we read {kind}'s"))?;
    }
    peer.stop()?;
    println!("{kind}: {ours} messages of ours read, {theirs} of theirs");
    Ok(())
}

/// We write, the peer reads.
fn exchange(batch: &Batch, peer: &mut Peer) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    batch.describe(folder.path())?;
    batch.encrypt(folder.path())?;
    peer.ask("decrypt", folder.path())?;
    Ok(batch.len())
}

/// The peer writes, we read.
fn read_back(batch: &Batch, peer: &mut Peer) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    batch.describe(folder.path())?;
    peer.ask("encrypt", folder.path())?;
    batch.decrypt(folder.path())?;
    Ok(batch.len())
}
