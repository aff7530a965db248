//! Keys, objects as they are stored, and what reading them comes to.

pub mod recorded_kms;
pub mod stored_object;
pub mod watched;

use std::sync::{Arc, LazyLock};

use envelope::{CommitmentPolicy, EncryptionContext, RsaPrivateKey, RsaPublicKey, WrappingKey};
use envelope_s3::keyring::{Aes, Keys, MaterialDescription, Rsa};
use envelope_s3::{ErrorClass, S3ec};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error as StoreError, GetOptions, ObjectStoreExt};
use pkcs8::spki::EncodePublicKey;
use pkcs8::{EncodePrivateKey, LineEnding};
use rsa::BoxedUint;
use serde_json::Value;

use recorded_kms::RecordedKms;

pub const POLICIES: [CommitmentPolicy; 3] = [
    CommitmentPolicy::ForbidEncryptAllowDecrypt,
    CommitmentPolicy::RequireEncryptAllowDecrypt,
    CommitmentPolicy::RequireEncryptRequireDecrypt,
];

pub static GOLDEN: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../vectors/s3ec/golden_objects.json");
    serde_json::from_str(text).unwrap()
});

static GOLDEN_RSA: LazyLock<(String, String)> = LazyLock::new(|| {
    let number = |name: &str| {
        let digits = text(&GOLDEN["rsa_wrapping_key"][name]);
        let even = digits.len().next_multiple_of(2);
        let bytes = hex::decode(format!("{digits:0>even$}")).unwrap();
        let bits = u32::try_from(bytes.len().next_multiple_of(8) * 8).unwrap();
        BoxedUint::from_be_slice(&bytes, bits).unwrap()
    };
    let primes = vec![number("p"), number("q")];
    let key = rsa::PrivateKey::from_components(number("n"), number("e"), number("d"), primes);
    let key = key.unwrap();
    let public = key.to_public_key().to_public_key_pem(LineEnding::LF);
    let private = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    (public.unwrap(), private.to_string())
});

/// Where objects are.
pub fn path() -> Path {
    Path::from("a/object")
}

/// Where their instruction files are.
pub fn file_path() -> Path {
    Path::from("a/object.instruction")
}

/// Bytes that tell where they stand.
pub fn plaintext(length: usize) -> Vec<u8> {
    let low = |n: usize| n.to_le_bytes()[0];
    (0..length).map(|i| low(i ^ (i >> 8) ^ (i >> 16))).collect()
}

pub fn golden_aes() -> Aes {
    let mut key = hex::decode(text(&GOLDEN["aes_wrapping_key_hex"])).unwrap();
    Aes::new(WrappingKey::from_bytes(&mut key).unwrap())
}

/// Another key than the golden one.
pub fn other_aes() -> Aes {
    Aes::new(WrappingKey::from_bytes(&mut [9; 32]).unwrap())
}

pub fn golden_rsa() -> Rsa {
    let private = RsaPrivateKey::from_pem(&GOLDEN_RSA.1, None).unwrap();
    Rsa::new(golden_rsa_public_key(), private)
}

pub fn golden_rsa_public_key() -> RsaPublicKey {
    RsaPublicKey::from_pem(&GOLDEN_RSA.0).unwrap()
}

/// Everything that opens golden objects.
pub fn golden_keys() -> Keys {
    keys_with(&RecordedKms::golden())
}

pub fn keys_with(kms: &RecordedKms) -> Keys {
    Keys::new(golden_aes()).and(golden_rsa()).and(kms.clone())
}

pub fn described(pairs: &[(&str, &str)]) -> MaterialDescription {
    MaterialDescription::new(pairs.iter().copied())
}

pub fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::new(pairs.iter().copied()).unwrap()
}

/// The pairs of a JSON object of texts.
pub fn context_of(value: &Value) -> EncryptionContext {
    let pairs = value.as_object().unwrap().iter();
    EncryptionContext::new(pairs.map(|(key, value)| (key.as_str(), text(value)))).unwrap()
}

/// Reads under this policy, with all the switches.
pub fn reads_all() -> S3ec {
    reader(CommitmentPolicy::RequireEncryptAllowDecrypt, true, true)
}

pub fn reader(policy: CommitmentPolicy, wraps: bool, unauthenticated: bool) -> S3ec {
    let mut format = match policy {
        CommitmentPolicy::ForbidEncryptAllowDecrypt => S3ec::v2(),
        _ => S3ec::v3().policy(policy),
    };
    if wraps {
        format = format.danger().read_legacy_wraps();
    }
    if unauthenticated {
        format = format.danger().read_legacy_unauthenticated();
    }
    format
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub fn with_context(context: EncryptionContext) -> GetOptions {
    let mut options = GetOptions::new();
    options.extensions.insert(context);
    options
}

pub fn metadata(pairs: &[(&str, &str)]) -> Attributes {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| {
            let name = Attribute::Metadata((*name).to_owned().into());
            (name, (*value).to_owned())
        })
        .collect()
}

/// Whether there is such an object in the inner store.
pub async fn exists(inner: &Arc<InMemory>, location: &Path) -> bool {
    match inner.head(location).await {
        Ok(_) => true,
        Err(StoreError::NotFound { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// What a failure asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Configuration,
    Format,
    Security,
    /// No key opens the object.
    NoKey,
    /// It is none of the format's errors.
    Other,
}

/// The innermost error of ours: the name of its variant, and what it asks for.
pub fn failure(error: &StoreError) -> (String, Class) {
    let (found, class) = chain(error)
        .filter_map(|error| {
            if let Some(error) = error.downcast_ref::<envelope_s3::Error>() {
                let class = match error.class() {
                    ErrorClass::Configuration => Class::Configuration,
                    ErrorClass::Format => Class::Format,
                    ErrorClass::Security => Class::Security,
                    _ => Class::Other,
                };
                return Some((format!("{error:?}"), class));
            }
            if let Some(error) = error.downcast_ref::<envelope::Error>() {
                let class = match error.kind() {
                    envelope::ErrorKind::NoKey => Class::NoKey,
                    envelope::ErrorKind::InvalidRequest => Class::Configuration,
                    envelope::ErrorKind::NotAuthentic => Class::Security,
                    _ => Class::Other,
                };
                return Some((format!("{error:?}"), class));
            }
            let error = error.downcast_ref::<envelope_store::Error>()?;
            Some((format!("{error:?}"), Class::Other))
        })
        .last()
        .unwrap_or_else(|| (format!("{error:?}"), Class::Other));
    let end = found.find(|c: char| !c.is_ascii_alphanumeric());
    (found[..end.unwrap_or(found.len())].to_owned(), class)
}

/// As [`failure`], without the class.
pub fn variant(error: &StoreError) -> String {
    failure(error).0
}

/// The error of the format; a test has no use for any other.
pub fn s3_error(error: &StoreError) -> &envelope_s3::Error {
    envelope_s3::Error::of(error).unwrap_or_else(|| panic!("not the format's: {error:?}"))
}

/// What the store itself says.
pub fn store_error(error: &StoreError) -> &envelope_store::Error {
    envelope_store::Error::of(error).unwrap_or_else(|| panic!("not the store's: {error:?}"))
}

/// Why each keyring did not open the object.
pub fn attempts(error: &StoreError) -> Vec<String> {
    let not_unwrapped = chain(error).find_map(|error| match error.downcast_ref() {
        Some(envelope::Error::NotUnwrapped(found)) => Some(found),
        _ => None,
    });
    let found = not_unwrapped.unwrap_or_else(|| panic!("not a matter of keys: {error:?}"));
    let attempts = found.attempts().iter();
    attempts
        .map(|attempt| attempt.reason().to_owned())
        .collect()
}

/// The error, and whatever is behind it.
fn chain(error: &StoreError) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
}
