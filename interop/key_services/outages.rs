use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use envelope_vault::{Error, Transit};
use serde_json::json;
use tokio::time::Instant;

use crate::cached::Cached;
use crate::check::{check as one, refused};
use crate::openbao::{NAME, OpenBao};
use crate::transit::{context, wrap};

/// Three waits of at most 0.2, 0.4 and 0.8 seconds are between them.
const ATTEMPTS: usize = 4;
/// How long attempts may take in all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What a sealed server and a stopped one mean, in this order.
pub(crate) async fn check(bao: OpenBao) -> Result<()> {
    let keyring = bao.root_keyring("aes256")?;
    let cached = Cached::start(Arc::new(keyring.clone())).await?;
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
