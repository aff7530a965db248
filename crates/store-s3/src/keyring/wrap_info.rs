use std::collections::BTreeMap;

use envelope::EncryptedDataKey;
use serde_json::Value;

use super::PROVIDER_ID;
use crate::metadata::WrapAlgorithm;

/// What passes between keyrings and the format beside a wrapped data key: how it is wrapped, and the
/// material description that goes or went along. As provider info of an [`EncryptedDataKey`] it is the
/// wrap's name and, unless the description is empty, a space and its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrapInfo {
    pub(crate) wrap: WrapAlgorithm,
    pub(crate) description: BTreeMap<String, String>,
}

impl WrapInfo {
    /// The encrypted data key that says this.
    pub(crate) fn with_key(&self, ciphertext: Vec<u8>) -> EncryptedDataKey {
        EncryptedDataKey::new(PROVIDER_ID, self.to_bytes(), ciphertext)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = self.wrap.name().to_owned();
        if !self.description.is_empty() {
            let pairs = self.description.clone().into_iter();
            text.push(' ');
            text.push_str(&pairs.collect::<Value>().to_string());
        }
        text.into_bytes()
    }

    /// # Errors
    /// What is wrong with them.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "its wrap information is no text")?;
        let (name, json) = text.split_once(' ').unwrap_or((text, "{}"));
        let mut known = WrapAlgorithm::ALL.into_iter();
        let wrap = known.find(|wrap| wrap.name() == name);
        let wrap = wrap.ok_or_else(|| format!("its wrap algorithm {name:?} is unknown"))?;
        let description = serde_json::from_str(json)
            .map_err(|_| "its material description is no JSON object of texts")?;
        Ok(Self { wrap, description })
    }
}
