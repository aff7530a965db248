use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use envelope::{EncryptedDataKey, EncryptionContext, Error, ErrorKind, Keyring, RsaPadding};
use envelope_aws_kms::{
    Arn, Discovery, DiscoveryFilter, KmsError, KmsKey, MultiRegion, Rsa, Strict,
};
use tokio::time::Instant;

use crate::branch_keys;
use crate::cached::Cached;
use crate::check::{check as one, left_out, refused};
use crate::emulator::{Emulator, OTHER_REGION, REGION};
use crate::exchange;
use crate::matrix::Matrix;
use crate::messages::{UNSIGNED, not_opened, not_unwrapped, opening, seal, wrap};
use crate::moto_server::MotoServer;
use crate::outages::PATIENCE;
use crate::peer::Peer;
use crate::program;

const NAME: &str = "moto";
/// More than KMS encrypts at once, by a byte.
const TOO_LONG: usize = 4097;

/// What moto's KMS does as AWS's, and at last what it means that it is gone.
pub(crate) async fn check(tools: &Path, matrix: Matrix) -> Result<()> {
    let server = MotoServer::start(tools).await?;
    let kms = Emulator {
        name: NAME,
        endpoint: server.endpoint.clone(),
        account: "123456789012",
    };
    let mut peer = Peer::start(tools, &kms.endpoint).await?;
    let exchanges = exchange::symmetric(&kms).await?;
    exchange::check(&kms, &mut peer, matrix, "KMS keys", &exchanges).await?;
    branch_keys::check(&kms, &mut peer, matrix).await?;
    peer.stop().await?;
    program::check_moto(&kms).await?;
    let key = kms.symmetric_key(REGION).await?;
    one(NAME, "missing context", missing_context(&kms, &key)).await?;
    one(NAME, "altered wrapped key", altered(&kms, &key)).await?;
    one(NAME, "another key's wrapped key", another_key(&kms, &key)).await?;
    one(NAME, "alias", alias(&kms, &key)).await?;
    one(NAME, "missing key", missing_key(&kms, &key)).await?;
    one(NAME, "another region", another_region(&kms, &key)).await?;
    one(NAME, "outside the filter", outside_filter(&kms, &key)).await?;
    one(NAME, "discovery writes", discovery_writes(&kms)).await?;
    one(NAME, "4097 bytes", too_long(&kms, &key)).await?;
    left_out(
        NAME,
        &[
            "disabled keys and those that wait for their deletion: it goes on with them, MiniStack does not",
            "multi-region keys: it opens nothing of theirs, MiniStack does",
            "RSA: its own is none, MiniStack's is",
            "ECDH: its DeriveSharedSecret fails, the KMS in memory has it",
            "contexts and grant tokens over KMS's limits: it takes them, the KMS in memory does not",
        ],
    );
    stopped(server, &kms, &key).await
}

fn strict(kms: &Emulator, key: &Arn) -> Result<Strict> {
    Ok(Strict::new(kms.kms(key.region()), key.to_string())?)
}

fn context() -> Result<EncryptionContext> {
    Ok(EncryptionContext::new([("tenant", "acme")])?)
}

/// The same key with another ciphertext.
fn with_ciphertext(key: &EncryptedDataKey, ciphertext: Vec<u8>) -> EncryptedDataKey {
    EncryptedDataKey::new(key.provider_id(), key.provider_info(), ciphertext)
}

async fn missing_context(kms: &Emulator, key: &Arn) -> Result<String> {
    let keyring = strict(kms, key)?;
    let wrapped = wrap(&keyring, &context()?).await?;
    let without = EncryptionContext::default();
    let parts = ["failed", "InvalidCiphertextException", "(request "];
    let text = not_unwrapped(&keyring, &wrapped, &without, &parts).await?;
    let key = KmsKey::new(kms.kms(REGION), key.to_string())?;
    let error = key.decrypt(wrapped.ciphertext(), &without).await.err();
    let Some(KmsError::Refused { code, .. }) = error else {
        bail!("{error:?}");
    };
    ensure!(
        code.as_deref() == Some("InvalidCiphertextException"),
        "{code:?}"
    );
    Ok(text)
}

async fn altered(kms: &Emulator, key: &Arn) -> Result<String> {
    let keyring = strict(kms, key)?;
    let context = context()?;
    let wrapped = wrap(&keyring, &context).await?;
    let length = wrapped.ciphertext().len();
    // Its IV, its tag, its ciphertext: the key's id stands before them.
    for at in [36, 36 + 12, length - 1] {
        let mut ciphertext = wrapped.ciphertext().to_vec();
        *ciphertext.get_mut(at).context("it is short")? ^= 1;
        let altered = with_ciphertext(&wrapped, ciphertext);
        let parts = ["failed", "InvalidCiphertextException", "tampered with"];
        not_unwrapped(&keyring, &altered, &context, &parts).await?;
    }
    let garbage = with_ciphertext(&wrapped, b"garbage".to_vec());
    let parts = ["failed", "InvalidCiphertextException"];
    not_unwrapped(&keyring, &garbage, &context, &parts).await?;
    Ok("4 ways refused".to_owned())
}

/// KMS itself says `IncorrectKeyException`.
async fn another_key(kms: &Emulator, key: &Arn) -> Result<String> {
    let other = kms.symmetric_key(REGION).await?;
    let context = context()?;
    let foreign = wrap(&strict(kms, &other)?, &context).await?;
    let own = EncryptedDataKey::new("aws-kms", key.to_string(), foreign.ciphertext());
    let keyring = strict(kms, key)?;
    let parts = ["failed", "AccessDeniedException: allow kms:Decrypt"];
    let text = not_unwrapped(&keyring, &own, &context, &parts).await?;
    not_unwrapped(&keyring, &foreign, &context, &["skipped: another key"]).await?;
    Ok(text)
}

/// It writes, and what it wrote names the key by its ARN; it reads nothing.
async fn alias(kms: &Emulator, key: &Arn) -> Result<String> {
    kms.alias("alias/invoices", key).await?;
    let alias_arn = format!("arn:aws:kms:{REGION}:{}:alias/invoices", kms.account);
    let context = context()?;
    let names = ["alias/invoices", &alias_arn, key.id()];
    for name in names {
        let keyring = Strict::new(kms.kms(REGION), name)?;
        let message = seal(&keyring, UNSIGNED, &context).await?;
        let parts = ["skipped", "to decrypt, name the key by its ARN"];
        let kind = ErrorKind::NoKey;
        not_opened(&keyring, &message, &opening(), kind, &parts).await?;
        let named = strict(kms, key)?;
        envelope::decrypt(&named, &message, &opening()).await?;
        let keyring = MultiRegion::new(kms.kms(REGION), name)?;
        not_opened(&keyring, &message, &opening(), kind, &parts).await?;
    }
    let bare = Strict::multi(&kms.supplier(), "alias/invoices", [key.to_string()]);
    refused(bare, &["\"alias/invoices\" names no region"])?;
    let rsa = Rsa::new(kms.kms(REGION), &alias_arn, RsaPadding::OaepSha256);
    refused(rsa, &["is an alias; give the ARN of its key"])?;
    let wrapped = wrap(&strict(kms, key)?, &context).await?;
    let of_alias = EncryptedDataKey::new("aws-kms", alias_arn, wrapped.ciphertext());
    let keyring = Discovery::new(kms.kms(REGION)).with_filter(kms.filter()?);
    let parts = ["failed", "is an alias; give the ARN of its key"];
    not_unwrapped(&keyring, &of_alias, &context, &parts).await
}

async fn missing_key(kms: &Emulator, key: &Arn) -> Result<String> {
    let missing: Arn = format!("arn:aws:kms:{REGION}:{}:key/none", kms.account).parse()?;
    let parts = [
        "NotFoundException: there is no such key or alias in this account and region",
        "(request ",
    ];
    for name in [missing.to_string(), "alias/none".to_owned()] {
        let keyring = Strict::new(kms.kms(REGION), name)?;
        let error = seal(&keyring, UNSIGNED, &context()?).await.err();
        let error = error.context("it was written")?;
        ensure!(error.kind() == ErrorKind::InvalidRequest, "{error:?}");
        refused(Err::<(), _>(error), &parts)?;
    }
    let wrapped = wrap(&strict(kms, key)?, &context()?).await?;
    let of_missing = EncryptedDataKey::new("aws-kms", missing.to_string(), wrapped.ciphertext());
    not_unwrapped(&strict(kms, &missing)?, &of_missing, &context()?, &parts).await
}

async fn another_region(kms: &Emulator, key: &Arn) -> Result<String> {
    let message = seal(&strict(kms, key)?, UNSIGNED, &context()?).await?;
    let keyring = Strict::new(kms.kms(OTHER_REGION), key.to_string())?;
    let asked = format!("failed: kms:Decrypt with key {key} in {OTHER_REGION}: NotFoundException");
    let kind = ErrorKind::NoKey;
    let text = not_opened(&keyring, &message, &opening(), kind, &[&asked]).await?;
    let keyring = Discovery::new(kms.kms(OTHER_REGION)).with_filter(kms.filter()?);
    let parts = ["skipped: another region"];
    not_opened(&keyring, &message, &opening(), kind, &parts).await?;
    Ok(text)
}

async fn outside_filter(kms: &Emulator, key: &Arn) -> Result<String> {
    let message = seal(&strict(kms, key)?, UNSIGNED, &context()?).await?;
    let kind = ErrorKind::NoKey;
    for (partition, account, part) in [
        ("aws", "999999999999", "skipped: its account is outside"),
        ("aws-cn", kms.account, "skipped: its partition is outside"),
    ] {
        let filter = DiscoveryFilter::new(partition, [account])?;
        let keyring = Discovery::new(kms.kms(REGION)).with_filter(filter);
        not_opened(&keyring, &message, &opening(), kind, &[part]).await?;
    }
    Ok("account and partition".to_owned())
}

async fn discovery_writes(kms: &Emulator) -> Result<String> {
    let keyring = Discovery::new(kms.kms(REGION)).with_filter(kms.filter()?);
    let error = seal(&keyring, UNSIGNED, &context()?).await.err();
    let error = error.context("it was written")?;
    ensure!(error.kind() == ErrorKind::InvalidRequest, "{error:?}");
    refused(
        Err::<(), _>(error),
        &["a discovery keyring encrypts nothing"],
    )
}

async fn too_long(kms: &Emulator, key: &Arn) -> Result<String> {
    let key = KmsKey::new(kms.kms(REGION), key.to_string())?;
    let context = context()?;
    let blob = key.encrypt(&[7; TOO_LONG - 1], &context).await?;
    let opened = key.decrypt(&blob, &context).await?;
    ensure!(*opened == [7; TOO_LONG - 1], "altered");
    let error = key.encrypt(&[7; TOO_LONG], &context).await.err();
    let Some(KmsError::Refused { code, .. }) = &error else {
        bail!("{error:?}");
    };
    ensure!(code.as_deref() == Some("ValidationException"), "{code:?}");
    refused(error.map_or(Ok(()), Err), &["KMS takes no such value"])
}

/// Without an answer the keyring ends soon, and what is cached goes on.
async fn stopped(server: MotoServer, kms: &Emulator, key: &Arn) -> Result<()> {
    let keyring: Arc<dyn Keyring> = Arc::new(strict(kms, key)?);
    let cached = Cached::start(Arc::clone(&keyring)).await?;
    let message = seal(&*keyring, UNSIGNED, &context()?).await?;
    server.stop().await?;
    one(NAME, "stopped", async {
        let started = Instant::now();
        let kind = ErrorKind::Unavailable;
        let parts = ["failed: kms:Decrypt with key", "no answer: "];
        let text = not_opened(&*keyring, &message, &opening(), kind, &parts).await?;
        let elapsed = started.elapsed();
        ensure!(elapsed < PATIENCE, "it took {elapsed:?}");
        let error = seal(&*keyring, UNSIGNED, &context()?).await.err();
        let Some(Error::Keyring(error)) = error else {
            bail!("{error:?}");
        };
        refused(Err::<(), _>(error), &["kms:GenerateDataKey", "no answer: "])?;
        Ok(text)
    })
    .await?;
    one(NAME, "cached data key", async {
        cached.reads().await?;
        Ok("still reads".to_owned())
    })
    .await
}
