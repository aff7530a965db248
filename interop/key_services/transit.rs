use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptOptions, EncryptOptions, EncryptedDataKey,
    EncryptionContext, Keyring,
};
use envelope_vault::{Binding, Error, PROVIDER_ID, Token, Transit};
use serde_json::{Value, json};

use crate::check::{check as one, refused};
use crate::openbao::{MOUNT, NAME, OpenBao, ROOT_TOKEN};

const POLICY: CommitmentPolicy = CommitmentPolicy::ForbidEncryptAllowDecrypt;
const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
/// Each cipher's key length, with and without signature, commitment and key derivation.
const SUITES: [u16; 6] = [0x0014, 0x0146, 0x0378, 0x0078, 0x0478, 0x0578];

pub(crate) fn context(tenant: &str) -> Result<EncryptionContext> {
    Ok(EncryptionContext::new([
        ("tenant", tenant),
        ("ключ", "\u{1D122}"),
    ])?)
}

/// What the keyring does with keys of the engine.
pub(crate) async fn check(bao: &OpenBao) -> Result<()> {
    one(NAME, "round trips", round_trips(bao)).await?;
    one(NAME, "bound bytes", bound_bytes(bao)).await?;
    one(NAME, "wrong context", wrong_context(bao)).await?;
    one(NAME, "swapped binding", swapped_binding(bao)).await?;
    one(NAME, "altered wrapped key", altered(bao)).await?;
    one(NAME, "key versions", versions(bao)).await?;
    one(NAME, "rewrap of derived keys", rewrap(bao)).await?;
    one(NAME, "rewrap with associated data", no_rewrap(bao)).await?;
    one(NAME, "namespace", namespace(bao)).await?;
    one(NAME, "missing key", missing_key(bao)).await?;
    one(NAME, "missing mount", missing_mount(bao)).await?;
    one(NAME, "unfit key", unfit_key(bao)).await
}

fn keyrings(bao: &OpenBao) -> Result<Vec<(&'static str, Transit)>> {
    let mut keyrings = Vec::new();
    for key in ["aes128", "aes256", "chacha20", "xchacha20"] {
        keyrings.push((key, bao.root_keyring(key)?));
    }
    for key in ["derived", "derived-chacha20"] {
        let keyring = bao.root_keyring(key)?;
        keyrings.push((key, keyring.with_binding(Binding::DerivedKey)));
    }
    Ok(keyrings)
}

async fn round_trips(bao: &OpenBao) -> Result<String> {
    let long = EncryptionContext::new([("long", "v".repeat(60_000))])?;
    let contexts = [EncryptionContext::default(), context("acme")?, long];
    let mut count = 0;
    for (name, keyring) in keyrings(bao)? {
        for id in SUITES {
            let policy = match AlgorithmSuite::from_id(id)?.commits() {
                true => CommitmentPolicy::default(),
                false => POLICY,
            };
            for context in &contexts {
                let options = EncryptOptions::default()
                    .with_suite(AlgorithmSuite::from_id(id)?)
                    .with_policy(policy)
                    .with_context(context.clone());
                let message = envelope::encrypt(&keyring, b"hello", &options).await;
                let message = message.with_context(|| format!("{name}, {id:04x}"))?;
                let options = DecryptOptions::default().with_policy(policy);
                let opened = envelope::decrypt(&keyring, &message, &options).await;
                let opened = opened.with_context(|| format!("{name}, {id:04x}"))?;
                ensure!(opened.plaintext == b"hello", "{name}, {id:04x}: altered");
                count += 1;
            }
        }
    }
    Ok(format!("{count} messages"))
}

pub(crate) async fn wrap(
    keyring: &Transit,
    context: &EncryptionContext,
) -> Result<EncryptedDataKey> {
    let request = KeyRequest {
        suite: SUITE,
        context,
    };
    let data_key = DataKey::from_bytes(vec![7; 32], SUITE)?;
    let keys = keyring.wrap_key(&data_key, request).await?;
    keys.into_iter().next().context("no key")
}

/// What the keyring says of a wrapped key that it does not open.
pub(crate) async fn unwrap(
    keyring: &Transit,
    key: &EncryptedDataKey,
    context: &EncryptionContext,
) -> Result<(), String> {
    let request = KeyRequest {
        suite: SUITE,
        context,
    };
    match keyring.unwrap_key(std::slice::from_ref(key), request).await {
        Ok(unwrapped) if unwrapped.data_key.expose() == [7; 32] => Ok(()),
        Ok(_) => Err("another data key".to_owned()),
        Err(attempts) => Err(attempts.iter().map(|a| format!("{a} ")).collect()),
    }
}

/// The crate's README says which bytes are bound. A reader of that, who has the context in his own
/// bytes, opens the wrapped key with the server alone.
async fn bound_bytes(bao: &OpenBao) -> Result<String> {
    let context = EncryptionContext::new([("tenant", "acme")])?;
    let wrapped = wrap(&bao.root_keyring("aes256")?, &context).await?;
    ensure!(wrapped.provider_id() == PROVIDER_ID, "another provider id");
    let info = format!("{MOUNT}/aes256");
    ensure!(wrapped.provider_info() == info.as_bytes(), "another info");
    let ciphertext = String::from_utf8(wrapped.ciphertext().to_vec())?;
    let canonical = STANDARD.encode(b"\x00\x01\x00\x06tenant\x00\x04acme");
    let fields = json!({"ciphertext": ciphertext, "associated_data": canonical});
    opens(bao, "aes256", fields).await?;

    let keyring = bao.root_keyring("derived")?;
    let keyring = keyring.with_binding(Binding::DerivedKey);
    let wrapped = wrap(&keyring, &context).await?;
    let ciphertext = String::from_utf8(wrapped.ciphertext().to_vec())?;
    // SHA-256 of the same bytes.
    let hashed = "FIPE1tviOpBaHBD3izSfY7Rj/jb0j0QaUbO/MpsusvQ=";
    let fields = json!({"ciphertext": ciphertext, "context": hashed});
    opens(bao, "derived", fields).await?;
    Ok("opened by the server alone".to_owned())
}

async fn opens(bao: &OpenBao, key: &str, fields: Value) -> Result<()> {
    let answer = bao.write(&format!("{MOUNT}/decrypt/{key}"), fields).await?;
    let plaintext = answer.pointer("/data/plaintext").and_then(Value::as_str);
    let is_same = plaintext == Some(STANDARD.encode([7; 32]).as_str());
    ensure!(is_same, "{key}: another data key");
    Ok(())
}

async fn wrong_context(bao: &OpenBao) -> Result<String> {
    for (name, keyring) in keyrings(bao)? {
        let wrapped = wrap(&keyring, &context("acme")?).await?;
        unwrap(&keyring, &wrapped, &context("acme")?)
            .await
            .map_err(anyhow::Error::msg)?;
        for wrong in [context("other")?, EncryptionContext::default()] {
            let result = unwrap(&keyring, &wrapped, &wrong).await;
            refused(result, &["not authentic", "another encryption context"]).context(name)?;
        }
        let unbound = wrap(&keyring, &EncryptionContext::default()).await?;
        let result = unwrap(&keyring, &unbound, &context("acme")?).await;
        refused(result, &["not authentic"]).context(name)?;
    }
    Ok("not authentic".to_owned())
}

/// A server ignores `context` for a key that is not derived, so the keyring must not get that far.
async fn swapped_binding(bao: &OpenBao) -> Result<String> {
    let plain = bao.root_keyring("aes256")?;
    let wrapped = wrap(&plain, &context("acme")?).await?;
    let swapped = plain.with_binding(Binding::DerivedKey);
    let part = ["the key is not derived"];
    refused(wrap(&swapped, &context("acme")?).await, &part)?;
    refused(unwrap(&swapped, &wrapped, &context("acme")?).await, &part)?;
    let derived = bao.root_keyring("derived")?;
    refused(
        wrap(&derived, &context("acme")?).await,
        &["the key is derived"],
    )?;
    Ok("refused".to_owned())
}

async fn altered(bao: &OpenBao) -> Result<String> {
    let keyring = bao.root_keyring("aes256")?;
    let context = context("acme")?;
    let wrapped = wrap(&keyring, &context).await?;
    let text = String::from_utf8(wrapped.ciphertext().to_vec())?;
    let (prefix, base64) = text.rsplit_once(':').context("no base64")?;
    let bytes = STANDARD.decode(base64)?;
    for at in [0, 12, bytes.len() - 1] {
        let mut altered = bytes.clone();
        if let Some(byte) = altered.get_mut(at) {
            *byte ^= 1;
        }
        let text = format!("{prefix}:{}", STANDARD.encode(altered));
        let key = EncryptedDataKey::new(PROVIDER_ID, wrapped.provider_info(), text);
        refused(unwrap(&keyring, &key, &context).await, &["not authentic"])?;
    }
    for (text, part) in [
        (format!("{prefix}:AAAA"), "invalid ciphertext length"),
        (format!("vault:v9:{base64}"), "version is too new"),
    ] {
        let key = EncryptedDataKey::new(PROVIDER_ID, wrapped.provider_info(), text);
        refused(unwrap(&keyring, &key, &context).await, &[part])?;
    }
    Ok("5 ways refused".to_owned())
}

/// Old versions go on opening until they are retired, and then the error says so.
async fn versions(bao: &OpenBao) -> Result<String> {
    let keyring = bao.root_keyring("rotated")?;
    let context = context("acme")?;
    let first = wrap(&keyring, &context).await?;
    ensure!(first.ciphertext().starts_with(b"vault:v1:"), "not v1");
    bao.write(&format!("{MOUNT}/keys/rotated/rotate"), json!({}))
        .await?;
    let second = wrap(&keyring, &context).await?;
    ensure!(second.ciphertext().starts_with(b"vault:v2:"), "not v2");
    for key in [&first, &second] {
        unwrap(&keyring, key, &context)
            .await
            .map_err(anyhow::Error::msg)?;
    }
    let retire = json!({"min_decryption_version": 2});
    bao.write(&format!("{MOUNT}/keys/rotated/config"), retire)
        .await?;
    unwrap(&keyring, &second, &context)
        .await
        .map_err(anyhow::Error::msg)?;
    let result = unwrap(&keyring, &first, &context).await;
    refused(result, &["version 1", "below its min_decryption_version"])
}

async fn rewrap(bao: &OpenBao) -> Result<String> {
    let keyring = bao.root_keyring("derived")?;
    let keyring = keyring.with_binding(Binding::DerivedKey);
    let right = context("acme")?;
    let first = wrap(&keyring, &right).await?;
    bao.write(&format!("{MOUNT}/keys/derived/rotate"), json!({}))
        .await?;
    let second = keyring.rewrap(&first, &right).await?;
    ensure!(second.ciphertext().starts_with(b"vault:v2:"), "not v2");
    ensure!(
        second.provider_info() == first.provider_info(),
        "another info"
    );
    unwrap(&keyring, &second, &right)
        .await
        .map_err(anyhow::Error::msg)?;
    let error = keyring.rewrap(&first, &context("other")?).await.err();
    ensure!(
        matches!(error, Some(Error::NotAuthentic { .. })),
        "another context: {error:?}"
    );
    let foreign = EncryptedDataKey::new(PROVIDER_ID, "transit/other", first.ciphertext());
    let error = keyring.rewrap(&foreign, &right).await.err();
    ensure!(
        matches!(error, Some(Error::AnotherKey { .. })),
        "another key: {error:?}"
    );
    let retire = json!({"min_decryption_version": 2});
    bao.write(&format!("{MOUNT}/keys/derived/config"), retire)
        .await?;
    let error = keyring.rewrap(&first, &right).await.err();
    ensure!(
        matches!(error, Some(Error::VersionRetired { version: 1, .. })),
        "retired: {error:?}"
    );
    Ok("v1 to v2; refused for another context, another key, a retired version".to_owned())
}

async fn no_rewrap(bao: &OpenBao) -> Result<String> {
    let keyring = bao.root_keyring("aes256")?;
    let context = context("acme")?;
    let wrapped = wrap(&keyring, &context).await?;
    let ours = refused(
        keyring.rewrap(&wrapped, &context).await,
        &["the server cannot rewrap data keys of team/transit/aes256"],
    )?;
    // The statement is about the server, so it is asked too.
    let body = json!({
        "ciphertext": String::from_utf8(wrapped.ciphertext().to_vec())?,
        "associated_data": STANDARD.encode(context.to_bytes()),
    });
    let answer = bao.write(&format!("{MOUNT}/rewrap/aes256"), body).await;
    refused(answer, &["400", "message authentication failed"])?;
    Ok(ours)
}

/// The same mount and key of a namespace are another key.
async fn namespace(bao: &OpenBao) -> Result<String> {
    let context = context("acme")?;
    bao.write("sys/namespaces/project", json!({})).await?;
    let mount = format!("project/sys/mounts/{MOUNT}");
    bao.write(&mount, json!({"type": "transit"})).await?;
    let token = Token::new(ROOT_TOKEN.to_owned())?;
    let vault = bao.builder().token(token).namespace("project").build()?;
    let within = Transit::new(vault, MOUNT, "aes256")?;
    let parts = ["keys/aes256 in namespace project: there is no such key"];
    let text = refused(wrap(&within, &context).await, &parts)?;
    let key = format!("project/{MOUNT}/keys/aes256");
    bao.write(&key, json!({})).await?;
    let wrapped = wrap(&within, &context).await?;
    unwrap(&within, &wrapped, &context)
        .await
        .map_err(anyhow::Error::msg)?;
    let outside = bao.root_keyring("aes256")?;
    refused(
        unwrap(&outside, &wrapped, &context).await,
        &["not authentic"],
    )?;
    Ok(text)
}

/// The operator may create keys, and still a mistyped name creates none.
async fn missing_key(bao: &OpenBao) -> Result<String> {
    let keyring = bao.root_keyring("mistyped")?;
    let parts = ["keys/mistyped: there is no such key (status 404)"];
    let text = refused(wrap(&keyring, &context("acme")?).await, &parts)?;
    let read = bao.read(&format!("{MOUNT}/keys/mistyped")).await;
    refused(read, &["404"])?;
    Ok(text)
}

async fn missing_mount(bao: &OpenBao) -> Result<String> {
    let vault = bao.vault(ROOT_TOKEN)?;
    let keyring = Transit::new(vault, "elsewhere", "aes256")?;
    let parts = ["elsewhere/keys/aes256: no secrets engine is mounted here"];
    refused(wrap(&keyring, &context("acme")?).await, &parts)
}

async fn unfit_key(bao: &OpenBao) -> Result<String> {
    let keyring = bao.root_keyring("rsa")?;
    let parts = ["the key is of type \"rsa-2048\""];
    refused(wrap(&keyring, &context("acme")?).await, &parts)
}
