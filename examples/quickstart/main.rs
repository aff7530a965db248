//! Puts this repository's own sources into an encrypted store, looks at them as an attacker would,
//! reads them back, and gives one of them another key. Then it shows objects of the Amazon S3
//! Encryption Client.
//!
//! ```sh
//! cargo run --release -p examples --example quickstart
//! ```

mod s3_encryption_client;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use envelope::{DecryptOptions, EncryptionContext, RawAes, WrappingKey, blocking};
use envelope_fs::LocalStore;
use envelope_store::{EncryptedStore, Framed, Opened};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};

type Store = EncryptedStore<LocalStore>;

#[tokio::main]
async fn main() -> Result<()> {
    let repository = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let folder = tempfile::tempdir()?;

    println!("1. make a wrapping key of 256 bits; it never leaves this process");
    let keyring = Arc::new(RawAes::new("acme", "2026-11", WrappingKey::generate()?)?);
    // The same code works over a bucket: `envelope_s3::open(…)`, `envelope_gcs::open(…)`.
    let files = LocalStore::new(LocalFileSystem::new_with_prefix(folder.path())?);
    let context = EncryptionContext::new([("project", "envelope")])?;
    let store = EncryptedStore::builder(files.clone())
        .context(context.clone())
        .build(Arc::clone(&keyring));

    let sources = files_below(&repository.join("crates"))?;
    let mut plaintext_bytes = 0;
    for source in &sources {
        let content = fs::read(source)?;
        plaintext_bytes += content.len() as u64;
        store
            .put(&object(&repository, source)?, content.into())
            .await?;
    }
    println!(
        "2. put {} files, {plaintext_bytes} bytes, each under a data key of its own, into {}",
        sources.len(),
        folder.path().display()
    );

    let listed: Vec<_> = store.list(None).try_collect().await?;
    let claimed: u64 = listed.iter().map(|meta| meta.size).sum();
    let stored: Vec<_> = files.list(None).try_collect().await?;
    let taken: u64 = stored.iter().map(|meta| meta.size).sum();
    ensure!(
        claimed == plaintext_bytes,
        "listed sizes are the plaintext's"
    );
    println!("3. list them: {claimed} bytes of plaintext, {taken} bytes on disk");

    let largest = listed
        .iter()
        .max_by_key(|meta| meta.size)
        .context("the repository has sources")?
        .location
        .clone();
    println!("4. what an attacker sees of {largest}:");
    show_claims(&store, &largest).await?;

    for source in &sources {
        let read = store.get(&object(&repository, source)?).await?;
        ensure!(
            read.bytes().await? == fs::read(source)?,
            "a file came back changed"
        );
    }
    println!("5. read back: all {} files are as they were", sources.len());

    let middle = store.head(&largest).await?.size / 2;
    let range = store.get_range(&largest, middle..middle + 100).await?;
    let content = fs::read(repository.join(largest.as_ref()))?;
    let start = usize::try_from(middle)?;
    ensure!(
        content.get(start..start + 100) == Some(&range),
        "a range came back changed"
    );
    println!("6. read 100 bytes from {middle} on: only the frames that cover them are fetched");

    let path = folder.path().join(largest.as_ref());
    let message = fs::read(&path)?;
    let opening = DecryptOptions::default().expect_context(context);
    let opened = blocking::decrypt(&*keyring, &message, &opening)?;
    ensure!(opened.plaintext == content, "the message holds the file");
    println!("7. the object is a message of the AWS Encryption SDK: any of its kind opens it");

    change_one_bit(&store, &largest, &path, message).await?;
    rotate(files, &largest, content).await?;
    s3_encryption_client::demonstrate().await
}

/// Everything here is readable without a key, and none of it is verified.
async fn show_claims(store: &Store, location: &ObjectPath) -> Result<()> {
    let claims = store.inspect(location).await?;
    println!("   suite             {}", claims.suite);
    println!("   context           {:?}", claims.context);
    for key in &claims.encrypted_data_keys {
        println!(
            "   encrypted for     {}/{} ({} bytes)",
            key.provider_id(),
            key.key_name(),
            key.ciphertext().len()
        );
    }
    println!(
        "   frame length      {} bytes",
        claims.frame_length.unwrap_or_default()
    );
    if let Some(length) = claims.plaintext_length {
        println!("   plaintext length  {length} bytes");
    }
    Ok(())
}

async fn change_one_bit(
    store: &Store,
    location: &ObjectPath,
    path: &Path,
    mut message: Vec<u8>,
) -> Result<()> {
    let middle = message.len() / 2;
    if let Some(byte) = message.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(path, message)?;
    let read = async { store.get(location).await?.bytes().await };
    match read.await {
        Ok(_) => bail!("a changed object was read"),
        Err(error) => println!("8. flip one bit of byte {middle}: refused: {error}"),
    }
    Ok(())
}

/// With its keys in an instruction file an object gets another key by a small write.
async fn rotate(files: LocalStore, location: &ObjectPath, content: Vec<u8>) -> Result<()> {
    let named = |name| RawAes::new("acme", name, WrappingKey::generate()?);
    let (old, new) = (Arc::new(named("2026-11")?), Arc::new(named("2026-12")?));
    let store = |keyring| {
        EncryptedStore::builder(files.clone())
            .format(Framed::new().with_instruction_files())
            .build(keyring)
    };
    let (before, after) = (store(Arc::clone(&old)), store(Arc::clone(&new)));
    before.put(location, content.clone().into()).await?;
    before.rewrap(location, &new).await?;

    let read = after.get(location).await?;
    let key = read.extensions.get::<Opened>().map(Opened::key);
    let key = key.context("a read tells what opened the object")?;
    println!("9. wrap its key anew: it opens with {}", key.key_name());
    ensure!(
        read.bytes().await? == content,
        "the object came back changed"
    );
    ensure!(
        before.get(location).await.is_err(),
        "the old key opens the instruction file no more"
    );
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn object(repository: &Path, source: &Path) -> Result<ObjectPath> {
    let name = source.strip_prefix(repository)?;
    Ok(ObjectPath::parse(name.to_string_lossy())?)
}
