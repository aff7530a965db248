use std::time::Duration;

use anyhow::{Context, Result, ensure};
use envelope::{
    AlgorithmSuite, CacheLimits, CachingManager, DecryptOptions, EncryptOptions, MaterialsCache,
};
use envelope_vault::{Error, Transit};
use serde_json::json;
use tokio::time::Instant;

use crate::check::{check as one, refused};
use crate::openbao::{NAME, OpenBao};
use crate::transit::{context, wrap};

/// Attempts, and how long they may take in all: three waits of at most 0.2, 0.4 and 0.8 seconds.
const ATTEMPTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(5);

/// What a sealed server and a stopped one mean, in this order.
pub(crate) async fn check(bao: OpenBao) -> Result<()> {
    let keyring = bao.root_keyring("aes256")?;
    let cached = Cached::start(&keyring).await?;
    one(NAME, "sealed", sealed(&bao, &keyring)).await?;
    one(NAME, "stopped", stopped(bao, &keyring)).await?;
    one(NAME, "cached data key", async {
        cached.reads().await?;
        Ok("still reads".to_owned())
    })
    .await
}

/// Said at once, as it does not pass by itself.
async fn sealed(bao: &OpenBao, keyring: &Transit) -> Result<String> {
    wrap(keyring, &context("acme")?).await?;
    bao.write("sys/seal", json!({})).await?;
    let started = Instant::now();
    let parts = ["the server is sealed (status 503", "unseal it"];
    let text = refused(wrap(keyring, &context("acme")?).await, &parts)?;
    ensure!(started.elapsed() < Duration::from_secs(1), "it took long");
    Ok(text)
}

async fn stopped(bao: OpenBao, keyring: &Transit) -> Result<String> {
    bao.kill().await?;
    let started = Instant::now();
    let error = keyring.check().await.err().context("it answered")?;
    let elapsed = started.elapsed();
    ensure!(elapsed < PATIENCE, "it took {elapsed:?}");
    match &error {
        Error::Unreachable { attempts, .. } => ensure!(*attempts == ATTEMPTS, "{error}"),
        _ => anyhow::bail!("{error}"),
    }
    Ok(error.to_string())
}

/// A message that was read once, and the materials for it.
struct Cached {
    manager: CachingManager,
    message: Vec<u8>,
}

impl Cached {
    async fn start(keyring: &Transit) -> Result<Self> {
        let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        let options = EncryptOptions::default().with_suite(suite);
        let message = envelope::encrypt(keyring, b"hello", &options).await?;
        let limits = CacheLimits::new(Duration::from_secs(600));
        let manager = CachingManager::new(keyring.clone(), MaterialsCache::new(10)?, limits)?;
        let cached = Self { manager, message };
        cached.reads().await?;
        Ok(cached)
    }

    async fn reads(&self) -> Result<()> {
        let options = DecryptOptions::default();
        let opened = envelope::decrypt(&self.manager, &self.message, &options).await?;
        ensure!(opened.plaintext == b"hello", "altered");
        Ok(())
    }
}
