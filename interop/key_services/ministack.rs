use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_kms::types::KeySpec;
use envelope::{EncryptOptions, EncryptedDataKey, EncryptionContext, Error, ErrorKind, RsaPadding};
use envelope_aws_kms::{Arn, BranchKeyError, Discovery, KmsKey, MultiRegion, Rsa, Strict};
use envelope_s3::S3ec;
use envelope_s3::keyring::Kms;
use envelope_store::EncryptedStore;
use object_store::memory::InMemory;
use object_store::path::Path as Location;
use object_store::{ClientOptions, Extensions, GetOptions, ObjectStore, PutOptions};
use tokio::process::Command;

use crate::check::{check as one, left_out, refused};
use crate::emulator::{Emulator, OTHER_REGION, REGION};
use crate::exchange;
use crate::key_store::{self, KeyStore};
use crate::matrix::Matrix;
use crate::messages::{
    PLAINTEXT, UNSIGNED, flipped, not_opened, not_unwrapped, opening, opens, seal, wrap,
};
use crate::peer::Peer;
use crate::program;
use crate::server::{Server, free_addresses};

const NAME: &str = "MiniStack";

/// What MiniStack's KMS does as AWS's: states of keys, replicas and RSA.
pub(crate) async fn check(tools: &Path, matrix: Matrix) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [address] = free_addresses()?;
    let kms = Emulator {
        name: NAME,
        endpoint: format!("http://{address}"),
        account: "000000000000",
    };
    let mut command = Command::new(tools.join("ministack/bin/ministack"));
    command
        .env("HOME", folder.path())
        // Without it, it listens on all interfaces.
        .env("BIND_HOST", address.ip().to_string())
        .env("GATEWAY_PORT", address.port().to_string());
    let ready = format!("{}/_ministack/health", kms.endpoint);
    let client = ClientOptions::new().with_allow_http(true);
    let server = Server::start(NAME, command, folder.path(), &ready, &client).await?;
    let mut peer = Peer::start(tools, &kms.endpoint).await?;
    let mut exchanges = exchange::symmetric(&kms).await?;
    exchanges.extend(exchange::replicas(&kms).await?);
    exchanges.extend(exchange::rsa_keys(&kms).await?);
    exchange::check(&kms, &mut peer, matrix, "KMS keys", &exchanges).await?;
    peer.stop().await?;
    program::check_ministack(&kms).await?;
    one(NAME, "disabled key", disabled(&kms)).await?;
    one(
        NAME,
        "key that waits for its deletion",
        pending_deletion(&kms),
    )
    .await?;
    one(NAME, "no replica", no_replica(&kms)).await?;
    one(NAME, "RSA", rsa(&kms)).await?;
    one(NAME, "unfit key", unfit_key(&kms)).await?;
    one(NAME, "another data key", another_data_key(&kms)).await?;
    one(NAME, "answer of another key", another_answer(&kms)).await?;
    one(NAME, "S3 object", s3_object(&kms)).await?;
    one(NAME, "branch key", no_branch_key(&kms)).await?;
    left_out(
        NAME,
        &[
            "altered and foreign wrapped keys: it does not authenticate them, moto does",
            "4097 bytes, contexts and grant tokens over KMS's limits: it takes them, the KMS in memory does not",
            "ECDH: it has no DeriveSharedSecret, the KMS in memory has",
            "branch keys: it has no ReEncrypt, moto has",
        ],
    );
    server.kill().await
}

fn strict(kms: &Emulator, key: &Arn) -> Result<Strict> {
    Ok(Strict::new(kms.kms(key.region()), key.to_string())?)
}

fn context() -> Result<EncryptionContext> {
    Ok(EncryptionContext::new([("tenant", "acme")])?)
}

/// Refused both ways, until it is enabled again.
async fn disabled(kms: &Emulator) -> Result<String> {
    let key = kms.symmetric_key(REGION).await?;
    let keyring = strict(kms, &key)?;
    let message = seal(&keyring, UNSIGNED, &context()?).await?;
    let client = kms.kms(REGION);
    client.disable_key().key_id(key.to_string()).send().await?;
    let text = unusable(
        &keyring,
        &message,
        "DisabledException: the key is disabled; enable it",
    );
    let text = text.await?;
    client.enable_key().key_id(key.to_string()).send().await?;
    opens(&keyring, &message, UNSIGNED, &context()?).await?;
    Ok(text)
}

async fn pending_deletion(kms: &Emulator) -> Result<String> {
    let key = kms.symmetric_key(REGION).await?;
    let keyring = strict(kms, &key)?;
    let message = seal(&keyring, UNSIGNED, &context()?).await?;
    let client = kms.kms(REGION);
    let request = client.schedule_key_deletion().key_id(key.to_string());
    request.pending_window_in_days(7).send().await?;
    let part = "KMSInvalidStateException: the key's state does not allow it";
    unusable(&keyring, &message, part).await
}

/// Neither makes nor opens data keys.
async fn unusable(keyring: &Strict, message: &[u8], part: &str) -> Result<String> {
    let error = seal(keyring, UNSIGNED, &context()?).await.err();
    let error = error.context("it was written")?;
    ensure!(error.kind() == ErrorKind::InvalidRequest, "{error:?}");
    refused(Err::<(), _>(error), &["kms:GenerateDataKey with key", part])?;
    let parts = ["failed: kms:Decrypt with key", part];
    not_opened(
        keyring,
        message,
        &opening(),
        ErrorKind::InvalidRequest,
        &parts,
    )
    .await
}

/// A replica that is not there, and keyrings that do not look for one.
async fn no_replica(kms: &Emulator) -> Result<String> {
    let (primary, replica) = kms.replicated_key().await?;
    let message = seal(&strict(kms, &primary)?, UNSIGNED, &context()?).await?;
    let kind = ErrorKind::NoKey;
    let skipped = ["skipped: another key"];
    not_opened(
        &strict(kms, &replica)?,
        &message,
        &opening(),
        kind,
        &skipped,
    )
    .await?;
    let discovery = Discovery::new(kms.kms(OTHER_REGION)).with_filter(kms.filter()?);
    let skipped = ["skipped: another region"];
    not_opened(&discovery, &message, &opening(), kind, &skipped).await?;
    let nowhere = primary.in_region("ap-south-1");
    let keyring = MultiRegion::new(kms.kms("ap-south-1"), nowhere.to_string())?;
    let part = format!("failed: kms:Decrypt with key {nowhere} in ap-south-1: NotFoundException");
    not_opened(&keyring, &message, &opening(), kind, &[&part]).await
}

async fn rsa(kms: &Emulator) -> Result<String> {
    let key = kms.key(REGION, KeySpec::Rsa2048, false).await?;
    let client = || kms.kms(REGION);
    let public_key = || Rsa::fetch_public_key(client(), key.to_string(), &[]);
    let padding = RsaPadding::OaepSha256;
    let writer = Rsa::encrypt_only(key.to_string(), public_key().await?, padding)?;
    let message = seal(&writer, UNSIGNED, &context()?).await?;
    let kind = ErrorKind::NoKey;
    let parts = ["skipped: the keyring only encrypts"];
    not_opened(&writer, &message, &opening(), kind, &parts).await?;
    let reader = Rsa::new(client(), key.to_string(), padding)?;
    opens(&reader, &message, UNSIGNED, &context()?).await?;
    let parts = ["failed: kms:Decrypt", "InvalidCiphertextException"];
    let altered = flipped(&message, 0)?;
    not_opened(&reader, &altered, &opening(), kind, &parts).await?;
    let sha1 = Rsa::new(client(), key.to_string(), RsaPadding::OaepSha1)?;
    not_opened(&sha1, &message, &opening(), kind, &parts).await?;
    let signed = envelope::encrypt(&writer, PLAINTEXT, &EncryptOptions::default()).await;
    let error = signed.err().context("it was signed")?;
    ensure!(error.kind() == ErrorKind::InvalidRequest, "{error:?}");
    refused(
        Err::<(), _>(error),
        &["does not serve suites with a signature; ask for 0478"],
    )
}

async fn unfit_key(kms: &Emulator) -> Result<String> {
    let key = kms.key(REGION, KeySpec::Rsa2048, false).await?;
    let error = seal(&strict(kms, &key)?, UNSIGNED, &context()?).await.err();
    let error = error.context("it was written")?;
    ensure!(error.kind() == ErrorKind::InvalidRequest, "{error:?}");
    let parts = [
        "kms:GenerateDataKey with key",
        "UnsupportedOperationException",
    ];
    refused(Err::<(), _>(error), &parts)
}

/// It opens altered and foreign wrapped keys to another data key. Then the message's commitment to its
/// own fails.
async fn another_data_key(kms: &Emulator) -> Result<String> {
    let keyring = strict(kms, &kms.symmetric_key(REGION).await?)?;
    let message = seal(&keyring, UNSIGNED, &context()?).await?;
    let altered = flipped(&message, 0)?;
    let error = envelope::decrypt(&keyring, &altered, &opening())
        .await
        .err();
    let error = error.context("it was opened")?;
    ensure!(matches!(error, Error::CommitmentMismatch), "{error:?}");
    ensure!(error.kind() == ErrorKind::NotAuthentic, "{error:?}");
    Ok(error.to_string())
}

/// It takes a wrapped key's own key for one that is missing.
async fn another_answer(kms: &Emulator) -> Result<String> {
    let key = kms.symmetric_key(REGION).await?;
    let wrapped = wrap(&strict(kms, &key)?, &context()?).await?;
    let missing: Arn = format!("arn:aws:kms:{REGION}:{}:key/none", kms.account).parse()?;
    let info = missing.to_string();
    let of_missing = EncryptedDataKey::new("aws-kms", info, wrapped.ciphertext());
    let part = format!(
        "failed: kms:Decrypt with key {missing} in {REGION}: the answer is of another key, {key}"
    );
    not_unwrapped(&strict(kms, &missing)?, &of_missing, &context()?, &[&part]).await
}

/// The keyring of the S3 Encryption Client's formats.
async fn s3_object(kms: &Emulator) -> Result<String> {
    let key = kms.symmetric_key(REGION).await?;
    let keyring = Kms::new(KmsKey::new(kms.kms(REGION), key.to_string())?);
    let store = EncryptedStore::builder(Arc::new(InMemory::new()))
        .format(S3ec::v3())
        .build(keyring);
    let location = Location::from("invoices/july");
    let mut extensions = Extensions::new();
    extensions.insert(context()?);
    let options = PutOptions {
        extensions: extensions.clone(),
        ..PutOptions::default()
    };
    store.put_opts(&location, PLAINTEXT.into(), options).await?;
    let read = async || {
        let options = GetOptions::new().with_extensions(extensions.clone());
        store.get_opts(&location, options).await?.bytes().await
    };
    ensure!(read().await? == PLAINTEXT, "altered");
    let client = kms.kms(REGION);
    client.disable_key().key_id(key.to_string()).send().await?;
    let error = read().await.err().context("it was read")?;
    refused(
        Err::<(), _>(format!("{:#}", anyhow::Error::from(error))),
        &["kms:Decrypt with key", "DisabledException"],
    )?;
    Ok("written, read, and not with a disabled key".to_owned())
}

/// Where a key cannot be made, nothing of it is written.
async fn no_branch_key(kms: &Emulator) -> Result<String> {
    let store = KeyStore::under(&kms.symmetric_key(REGION).await?).open(kms)?;
    store.create_table().await?;
    let error = store.create_key(Some("acme"), &context()?).await.err();
    let text = match &error {
        Some(BranchKeyError::Kms { error, .. }) => refused(
            Err::<(), _>(error),
            &["kms:ReEncrypt with key", "InvalidAction"],
        )?,
        _ => bail!("{error:?}"),
    };
    let scan = kms.dynamodb().scan().table_name(key_store::TABLE);
    let items = scan.send().await?.count;
    ensure!(items == 0, "{items} items were written");
    Ok(text)
}
