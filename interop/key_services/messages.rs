use anyhow::{Context, Result, bail, ensure};
use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptOptions, EncryptOptions, EncryptedDataKey,
    EncryptionContext, Error, ErrorKind, Keyring, MaterialsManager, UnverifiedHeader,
};

/// Commits and does not sign.
pub(crate) const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
pub(crate) const PLAINTEXT: &[u8] = b"hello";

/// Every suite is read.
pub(crate) fn opening() -> DecryptOptions {
    DecryptOptions::default().with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
}

pub(crate) async fn seal<M: MaterialsManager + ?Sized>(
    keys: &M,
    suite: AlgorithmSuite,
    context: &EncryptionContext,
) -> Result<Vec<u8>, Error> {
    let policy = match suite.commits() {
        true => CommitmentPolicy::default(),
        false => CommitmentPolicy::ForbidEncryptAllowDecrypt,
    };
    let options = EncryptOptions::default()
        .with_suite(suite)
        .with_policy(policy)
        .with_context(context.clone());
    envelope::encrypt(keys, PLAINTEXT, &options).await
}

/// That the message opens, and is what was written.
pub(crate) async fn opens<M: MaterialsManager + ?Sized>(
    keys: &M,
    message: &[u8],
    suite: AlgorithmSuite,
    context: &EncryptionContext,
) -> Result<()> {
    let options = opening().expect_context(context.clone());
    let opened = envelope::decrypt(keys, message, &options).await?;
    ensure!(opened.plaintext == PLAINTEXT, "another plaintext");
    ensure!(opened.suite == suite, "another suite");
    let pairs = opened.context.iter();
    let pairs = pairs.filter(|(key, _)| *key != "aws-crypto-public-key");
    ensure!(pairs.eq(context.iter()), "another context");
    Ok(())
}

/// That a keyring opens none of the message's encrypted data keys, for a reason of this kind. What it
/// says of one of them has to hold each of these parts.
pub(crate) async fn not_opened<M: MaterialsManager + ?Sized>(
    keys: &M,
    message: &[u8],
    options: &DecryptOptions,
    kind: ErrorKind,
    parts: &[&str],
) -> Result<String> {
    let Err(error) = envelope::decrypt(keys, message, options).await else {
        bail!("the message was opened; expected {parts:?}");
    };
    let found = error.kind();
    ensure!(found == kind, "{found:?}, not {kind:?}: {error}");
    let Error::NotUnwrapped(report) = error else {
        bail!("expected {parts:?}: {error}");
    };
    let mut texts = report.attempts().iter().map(ToString::to_string);
    let holds_all = |text: &String| parts.iter().all(|part| text.contains(part));
    let found = texts.find(holds_all);
    found.with_context(|| format!("expected {parts:?}: {report}"))
}

/// A data key that is wrapped by hand, so that it can be altered.
pub(crate) async fn wrap(
    keyring: &dyn Keyring,
    context: &EncryptionContext,
) -> Result<EncryptedDataKey> {
    let data_key = DataKey::from_bytes(vec![7; 32], UNSIGNED)?;
    let keys = keyring.wrap_key(&data_key, request(context)).await?;
    keys.into_iter().next().context("no key")
}

/// That the keyring does not open the wrapped key. What it says has to hold each of these parts.
pub(crate) async fn not_unwrapped(
    keyring: &dyn Keyring,
    key: &EncryptedDataKey,
    context: &EncryptionContext,
    parts: &[&str],
) -> Result<String> {
    let keys = std::slice::from_ref(key);
    let Err(attempts) = keyring.unwrap_key(keys, request(context)).await else {
        bail!("the data key was opened; expected {parts:?}");
    };
    let attempt = attempts.first().context("nothing was tried")?;
    let text = attempt.to_string();
    for part in parts {
        ensure!(text.contains(part), "no {part:?} in: {text}");
    }
    Ok(text)
}

/// The message with a bit of its first wrapped key flipped: of the last byte but this many.
pub(crate) fn flipped(message: &[u8], from_end: usize) -> Result<Vec<u8>> {
    let header = UnverifiedHeader::parse_whole(message, &opening())?;
    let keys = header.claims().encrypted_data_keys();
    let blob = keys.first().context("no key")?.ciphertext();
    let mut found = message.windows(blob.len());
    let start = found.position(|window| window == blob);
    let start = start.context("the wrapped key is not in the message")?;
    let at = (start + blob.len()).checked_sub(from_end + 1);
    let mut altered = message.to_vec();
    let byte = at.and_then(|at| altered.get_mut(at));
    *byte.context("the wrapped key is short")? ^= 1;
    Ok(altered)
}

fn request(context: &EncryptionContext) -> KeyRequest<'_> {
    KeyRequest {
        suite: UNSIGNED,
        context,
    }
}
