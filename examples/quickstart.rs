//! Encrypts this repository's own sources into a folder, looks at them as an attacker would,
//! and reads them back.
//!
//! ```sh
//! cargo run --release --example quickstart
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use envelope::{
    AlgorithmSuite, DecryptOptions, EncryptOptions, EncryptionContext, MaterialsManager,
    OutputBuffer, RawAes, UnverifiedHeader, WrappingKey, blocking,
};
use envelope_fs::{decrypt_file, encrypt_file};
use futures::executor::block_on;

fn main() -> Result<()> {
    let repository = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let store = tempfile::tempdir()?;

    println!("1. make a wrapping key of 256 bits; it never leaves this process");
    let keyring = RawAes::new("quickstart", "2026-11", WrappingKey::generate()?)?;
    // Unsigned, so that ranges can be read without the rest.
    let sealing = EncryptOptions::default()
        .with_suite(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
        .with_context(EncryptionContext::new([("project", "envelope")])?);
    let opening = DecryptOptions::default()
        .expect_context(EncryptionContext::new([("project", "envelope")])?);

    let sources = files_below(&repository.join("crates"))?;
    let mut plaintext_bytes = 0;
    for source in &sources {
        let sealed = sealed_path(&repository, source, store.path())?;
        fs::create_dir_all(sealed.parent().context("a file lies in a folder")?)?;
        block_on(encrypt_file(&keyring, source, &sealed, &sealing))?;
        plaintext_bytes += fs::metadata(source)?.len();
    }
    println!(
        "2. encrypt {} files, {plaintext_bytes} bytes, each under a data key of its own, to {}",
        sources.len(),
        store.path().display()
    );

    let largest = sources
        .iter()
        .max_by_key(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
        .context("the repository has sources")?;
    let sealed = sealed_path(&repository, largest, store.path())?;
    println!("3. what an attacker sees of {}:", largest.display());
    show_claims(&sealed)?;

    let copy = store.path().join("copy");
    for source in &sources {
        let sealed = sealed_path(&repository, source, store.path())?;
        block_on(decrypt_file(&keyring, &sealed, &copy, &opening))?;
        ensure!(
            fs::read(&copy)? == fs::read(source)?,
            "a file came back changed"
        );
    }
    println!("4. read back: all {} files are as they were", sources.len());

    let range = read_middle(&keyring, &sealed, &fs::read(largest)?, &opening)?;
    println!("5. {range}");

    let mut tampered = fs::read(&sealed)?;
    let middle = tampered.len() / 2;
    if let Some(byte) = tampered.get_mut(middle) {
        *byte ^= 1;
    }
    match blocking::decrypt(&keyring, &tampered, &opening) {
        Ok(_) => anyhow::bail!("a changed message opened"),
        Err(error) => println!("6. flip one bit of byte {middle}: refused: {error}"),
    }
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

fn sealed_path(repository: &Path, source: &Path, store: &Path) -> Result<PathBuf> {
    Ok(store.join("sealed").join(source.strip_prefix(repository)?))
}

/// Everything here is readable without a key, and none of it is verified.
fn show_claims(sealed: &Path) -> Result<()> {
    let message = fs::read(sealed)?;
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default())?;
    let claims = header.claims();
    println!("   suite             {}", claims.suite());
    println!("   context           {:?}", claims.context());
    for key in claims.encrypted_data_keys() {
        println!(
            "   encrypted for     {}/{} ({} bytes)",
            key.provider_id(),
            key.key_name(),
            key.ciphertext().len()
        );
    }
    println!("   frame length      {} bytes", claims.frame_length());
    println!(
        "   plaintext length  {} bytes",
        claims.layout()?.plaintext_len(message.len() as u64)?
    );
    let body = message.get(header.length() + 16..).unwrap_or_default();
    let shown: String = body.iter().take(16).map(|b| format!("{b:02x} ")).collect();
    println!("   first ciphertext  {shown}…");
    Ok(())
}

/// Reads bytes out of the middle from the header and the frames that cover them.
fn read_middle(
    keyring: &RawAes,
    sealed: &Path,
    plaintext: &[u8],
    opening: &DecryptOptions,
) -> Result<String> {
    let message = fs::read(sealed)?;
    let header = UnverifiedHeader::parse_whole(&message, opening)?;
    let header_length = header.length();
    let materials = block_on(keyring.decryption_materials(header.request()))?;
    let ranges = header.verify_for_ranges(materials)?;

    let start = plaintext.len() as u64 / 2;
    let wanted = start..start + 100;
    let plan = ranges.layout().plan(wanted.clone(), message.len() as u64)?;
    let fetch = plan.ciphertext();
    let fetched = message
        .get(usize::try_from(fetch.start)?..usize::try_from(fetch.end)?)
        .context("the plan lies within the message")?;
    let mut output = OutputBuffer::new();
    let mut range = ranges.open(plan);
    range.update(fetched, &mut output)?;
    range.finish()?;

    let expected = plaintext.get(usize::try_from(start)?..usize::try_from(start)? + 100);
    ensure!(
        Some(output.as_slice()) == expected,
        "a range came back changed"
    );
    Ok(format!(
        "read bytes {}..{} from {} of the message's {} bytes (header of {header_length}, frames of {})",
        wanted.start,
        wanted.end,
        header_length + fetched.len(),
        message.len(),
        fetched.len(),
    ))
}
