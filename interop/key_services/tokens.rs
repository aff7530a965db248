use std::time::Duration;

use anyhow::{Context, Result, ensure};
use envelope::EncryptionContext;
use envelope_vault::{Error, Token, Transit, Vault};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::check::{check as one, refused};
use crate::openbao::{MOUNT, NAME, OpenBao};
use crate::transit::{unwrap, wrap};

/// What a reader and writer needs.
const ALL: [(&str, &str); 3] = [
    ("keys/aes256", "read"),
    ("encrypt/aes256", "update"),
    ("decrypt/aes256", "update"),
];

/// What policies permit, and how tokens end and go on.
pub(crate) async fn check(bao: &OpenBao) -> Result<()> {
    one(NAME, "policies of the README", policies(bao)).await?;
    one(NAME, "policy without decrypt", no_decrypt(bao)).await?;
    one(
        NAME,
        "policy without the key's description",
        no_description(bao),
    )
    .await?;
    one(NAME, "revoked token", revoked(bao)).await?;
    one(NAME, "unknown token", unknown(bao)).await?;
    one(NAME, "expired token", expired(bao)).await?;
    one(NAME, "token file rotated", rotated_file(bao)).await?;
    one(NAME, "renewal by use", renewal_by_use(bao)).await?;
    one(NAME, "renewal by hand", renewal_by_hand(bao)).await?;
    one(NAME, "untrusted certificate", untrusted(bao)).await
}

fn nothing() -> EncryptionContext {
    EncryptionContext::default()
}

async fn policies(bao: &OpenBao) -> Result<String> {
    let token = bao.token(&ALL, json!({})).await?;
    let keyring = bao.keyring(&token, "aes256")?;
    let wrapped = wrap(&keyring, &nothing()).await?;
    unwrap(&keyring, &wrapped, &nothing())
        .await
        .map_err(anyhow::Error::msg)?;
    Ok("enough".to_owned())
}

async fn no_decrypt(bao: &OpenBao) -> Result<String> {
    let [description, encrypt, _] = ALL;
    let token = bao.token(&[description, encrypt], json!({})).await?;
    let keyring = bao.keyring(&token, "aes256")?;
    let wrapped = wrap(&keyring, &nothing()).await?;
    refused(
        unwrap(&keyring, &wrapped, &nothing()).await,
        &[
            "team/transit/decrypt/aes256: permission denied (status 403",
            "needs a policy with capability \"update\" on this path",
        ],
    )
}

async fn no_description(bao: &OpenBao) -> Result<String> {
    let [_, encrypt, _] = ALL;
    let token = bao.token(&[encrypt], json!({})).await?;
    let keyring = bao.keyring(&token, "aes256")?;
    refused(
        wrap(&keyring, &nothing()).await,
        &["team/transit/keys/aes256: permission denied", "\"read\""],
    )
}

const REFUSED: [&str; 2] = [
    "the server does not accept the token (status 403",
    "get a new one",
];

async fn revoked(bao: &OpenBao) -> Result<String> {
    let token = bao.token(&ALL, json!({})).await?;
    let keyring = bao.keyring(&token, "aes256")?;
    let wrapped = wrap(&keyring, &nothing()).await?;
    bao.write("auth/token/revoke", json!({"token": token}))
        .await?;
    let text = refused(unwrap(&keyring, &wrapped, &nothing()).await, &REFUSED)?;
    let again = refused(wrap(&keyring, &nothing()).await, &REFUSED)?;
    for text in [&text, &again] {
        ensure!(!text.contains(&token), "the token is shown");
    }
    Ok(text)
}

async fn unknown(bao: &OpenBao) -> Result<String> {
    let keyring = bao.keyring("s.aaaaaaaaaaaaaaaaaaaaaaaa", "aes256")?;
    refused(wrap(&keyring, &nothing()).await, &REFUSED)
}

/// Nothing can renew it, as its whole life is two seconds.
async fn expired(bao: &OpenBao) -> Result<String> {
    let settings = json!({"ttl": "2s", "explicit_max_ttl": "2s"});
    let token = bao.token(&ALL, settings).await?;
    let keyring = bao.keyring(&token, "aes256")?;
    wrap(&keyring, &nothing()).await?;
    sleep(Duration::from_secs(3)).await;
    refused(wrap(&keyring, &nothing()).await, &REFUSED)
}

async fn rotated_file(bao: &OpenBao) -> Result<String> {
    let path = bao.folder().join("token");
    let first = bao.token(&ALL, json!({})).await?;
    std::fs::write(&path, format!("{first}\n"))?;
    let vault = bao.builder().token_file(&path).build()?;
    let keyring = Transit::new(vault, MOUNT, "aes256")?;
    wrap(&keyring, &nothing()).await?;
    bao.write("auth/token/revoke", json!({"token": first}))
        .await?;
    refused(wrap(&keyring, &nothing()).await, &REFUSED)?;
    let second = bao.token(&ALL, json!({})).await?;
    std::fs::write(&path, format!("{second}\n"))?;
    wrap(&keyring, &nothing()).await?;
    Ok("the new one is used".to_owned())
}

/// A token of four seconds outlives them when it is used.
async fn renewal_by_use(bao: &OpenBao) -> Result<String> {
    let token = bao.token(&ALL, json!({"ttl": "4s"})).await?;
    let keyring = bao.keyring(&token, "aes256")?;
    for _ in 0..9 {
        wrap(&keyring, &nothing()).await?;
        sleep(Duration::from_secs(1)).await;
    }
    let found = bao
        .write("auth/token/lookup", json!({"token": token}))
        .await?;
    let renewed = found.pointer("/data/last_renewal").and_then(Value::as_str);
    renewed.context("never renewed")?;
    // Without use it ends.
    sleep(Duration::from_secs(5)).await;
    refused(wrap(&keyring, &nothing()).await, &REFUSED)?;
    Ok("4 s lasted 9 s".to_owned())
}

async fn renewal_by_hand(bao: &OpenBao) -> Result<String> {
    let token = bao.token(&ALL, json!({"ttl": "100s"})).await?;
    let vault = bao.vault(&token)?;
    sleep(Duration::from_secs(2)).await;
    let lease = vault.renew().await?;
    ensure!(lease.is_renewable, "not renewable");
    let whole = Some(Duration::from_secs(100));
    ensure!(lease.remaining == whole, "{:?} remain", lease.remaining);

    let token = bao.token(&ALL, json!({"renewable": false})).await?;
    let error = bao.vault(&token)?.renew().await.err();
    let error = error.context("renewed a token that cannot be")?;
    ensure!(matches!(error, Error::Refused { .. }), "{error}");
    Ok(error.to_string())
}

/// Nothing is sent to a server whose certificate comes from nobody known.
async fn untrusted(bao: &OpenBao) -> Result<String> {
    let token = bao.token(&ALL, json!({})).await?;
    let vault = Vault::builder(bao.url())
        .token(Token::new(token)?)
        .retries(0)
        .build()?;
    let keyring = Transit::new(vault, MOUNT, "aes256")?;
    refused(wrap(&keyring, &nothing()).await, &["UnknownIssuer"])
}
