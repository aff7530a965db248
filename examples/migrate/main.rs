//! Moves objects of the Amazon S3 Encryption Client, formats V1, V2 and V3, to another store, where
//! they are framed objects under another key; and back again, as V3.
//!
//! ```sh
//! cargo run --release -p examples --example migrate
//! cargo run --release -p examples --example migrate -- --help
//! cargo run --release -p examples --features clouds --example migrate -- s3://old gs://new
//! ```

mod bucket;
mod keys;
mod memory;
mod migration;
mod objects;
mod place;

use std::env;

use anyhow::{Result, bail, ensure};

use bucket::Bucket;
use keys::{DemonstrationKeys, Keys};
use migration::{Migration, Moved};
use place::Place;

const USAGE: &str = "\
Usage: migrate
       migrate SOURCE DESTINATION
       migrate --back SOURCE DESTINATION

Without arguments: makes a bucket in memory and moves it to files in a temporary folder, and back.
With two URLs: objects of the S3 Encryption Client below SOURCE, V1 to V3, become framed objects below
DESTINATION. With --back, framed objects below SOURCE become V3 objects below DESTINATION.
Objects that are at the destination under the same names are replaced. The source is only read.

URLs: file:///folder and, when built with `--features clouds`, s3://bucket/prefix, gs://bucket/prefix
and az://container/prefix. Settings come from the environment (AWS_*, GOOGLE_*, AZURE_*).

Keys, in environment variables that name files:
  S3EC_AES_KEY      16, 24 or 32 raw bytes: wraps data keys of S3 Encryption Client objects
  S3EC_RSA_KEY      PKCS#8 PEM: the private key, for objects that an RSA key wraps
  FRAMED_AES_KEY    16, 24 or 32 raw bytes: wraps data keys of framed objects
  FRAMED_KEY_NAME   namespace/name of that key, not a file; example/framed without it

One of the first two is enough. --back writes with the AES key where there is one, otherwise with the
RSA key. Objects under KMS keys need another keyring: see keys.rs.
";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        [] => demonstrate().await,
        ["-h" | "--help"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["--back", source, destination] => between(source, destination, true).await,
        [source, destination] if !source.starts_with('-') => {
            between(source, destination, false).await
        }
        _ => bail!("these arguments are not understood\n\n{USAGE}"),
    }
}

/// From one URL to another.
async fn between(source: &str, destination: &str, back: bool) -> Result<()> {
    let keys = Keys::from_environment()?;
    let (source, destination) = (Place::open(source)?, Place::open(destination)?);
    ensure!(
        !source.overlaps(&destination),
        "{source} and {destination} overlap, and the source would be written to; choose another place"
    );
    let migration = match back {
        false => Migration::to_framed(&source, &destination, &keys),
        true => Migration::to_s3ec(&source, &destination, &keys),
    };
    migrate(1, &migration).await?;
    Ok(())
}

/// Moves, compares, and makes sure that the source is as it was. Returns what was moved.
async fn migrate(first_step: u32, migration: &Migration<'_>) -> Result<Moved> {
    let before = migration.source().stored().await?;
    memory::begin_anew();
    let moved = migration.run().await?;
    println!("{first_step}. {migration}: {moved}");
    moved.print();
    print_memory(migration).await?;

    let digests = migration.digests(&moved).await?;
    ensure!(
        digests == moved.digests,
        "an object has another content now than when it was moved"
    );
    println!(
        "{}. read both sides anew: the SHA-256 of all {} objects are the same",
        first_step + 1,
        digests.len()
    );

    let after = migration.source().stored().await?;
    ensure!(before == after, "the source was changed meanwhile");
    println!(
        "{}. the source is untouched: {} ETags and lengths are as before",
        first_step + 2,
        after.len()
    );
    Ok(moved)
}

async fn print_memory(migration: &Migration<'_>) -> Result<()> {
    let Some(peak) = memory::peak() else {
        return Ok(());
    };
    let mut held = 0;
    for place in [migration.source(), migration.destination()] {
        if place.is_in_memory() {
            held += place
                .list()
                .await?
                .iter()
                .map(|meta| meta.size)
                .sum::<u64>();
        }
    }
    print!("   peak memory {} MiB", peak >> 20);
    match held {
        0 => println!(),
        _ => println!(", of which {} MiB are the bucket itself", held >> 20),
    }
    Ok(())
}

async fn demonstrate() -> Result<()> {
    let keys = DemonstrationKeys::generate()?;
    let source = Place::in_memory();
    let bucket = Bucket::fill(&source, &keys).await?;
    println!(
        "1. make a bucket of the S3 Encryption Client in memory: {} objects of V1, V2 and V3, {} \
         things stored with their instruction files",
        bucket.digests.len(),
        source.list().await?.len()
    );

    let folder = tempfile::tempdir()?;
    let framed = Place::in_folder(folder.path())?;
    let keys = keys.into_keys()?;
    let there = migrate(2, &Migration::to_framed(&source, &framed, &keys)).await?;
    ensure!(
        there.digests == bucket.digests,
        "not what was put into the bucket came out of it"
    );

    let again = Place::in_memory();
    let back = migrate(5, &Migration::to_s3ec(&framed, &again, &keys)).await?;
    ensure!(
        back.digests == bucket.digests,
        "not what was put into the bucket came back"
    );
    println!("8. all of it has the content that was put into the bucket at first");
    Ok(())
}
