use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::test_util::refusal::Refusal;

/// All fields that the operations have (AWS KMS API reference); each takes its own.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request {
    pub(super) key_id: Option<String>,
    pub(super) plaintext: Option<String>,
    pub(super) ciphertext_blob: Option<String>,
    #[serde(default)]
    pub(super) encryption_context: BTreeMap<String, String>,
    pub(super) encryption_algorithm: Option<String>,
    pub(super) key_spec: Option<String>,
    pub(super) key_usage: Option<String>,
    #[serde(default)]
    pub(super) multi_region: bool,
    pub(super) replica_region: Option<String>,
    pub(super) number_of_bytes: Option<usize>,
    pub(super) source_key_id: Option<String>,
    #[serde(default)]
    pub(super) source_encryption_context: BTreeMap<String, String>,
    pub(super) source_encryption_algorithm: Option<String>,
    pub(super) destination_key_id: Option<String>,
    #[serde(default)]
    pub(super) destination_encryption_context: BTreeMap<String, String>,
    pub(super) destination_encryption_algorithm: Option<String>,
    pub(super) key_agreement_algorithm: Option<String>,
    pub(super) public_key: Option<String>,
    #[serde(default)]
    pub(super) grant_tokens: Vec<String>,
}

impl From<envelope::Error> for Refusal {
    fn from(_: envelope::Error) -> Self {
        Self::new("KMSInternalException", "the cryptography library failed")
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

/// Limits that hold for every operation.
impl Request {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.grant_tokens.len() > 10 {
            return Err(Refusal::invalid("there are more than 10 grant tokens"));
        }
        for context in [
            &self.encryption_context,
            &self.source_encryption_context,
            &self.destination_encryption_context,
        ] {
            if context_bytes(context)?.len() > 8192 {
                return Err(Refusal::invalid(
                    "the encryption context is longer than 8192 bytes",
                ));
            }
        }
        Ok(())
    }
}

/// What ciphertexts are bound to: one text for one context.
pub(super) fn context_bytes(context: &BTreeMap<String, String>) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(context).map_err(|_| Refusal::invalid("the context is no text"))
}

pub(super) fn required<'a>(
    field: &'a Option<String>,
    missing: &'static str,
) -> Result<&'a str, Refusal> {
    field.as_deref().ok_or(Refusal::invalid(missing))
}

/// A blob of the given lengths.
pub(super) fn blob(
    field: &Option<String>,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let text = required(field, "a blob is missing")?;
    let bytes = STANDARD.decode(text).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| Refusal::invalid("a blob is not base64"))?;
    if !lengths.contains(&bytes.len()) {
        return Err(Refusal::invalid("a blob is empty or too long"));
    }
    Ok(bytes)
}

pub(super) fn base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(bytes))
}
