//! A key service that gives the answers which a real one gave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::keyring::{Attempt, KeyRequest, Keyring, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, EncryptionContext};
use serde_json::Value;

use super::{GOLDEN, context_of, text};

/// Opens what it made or was told of, for exactly the context of that. It stands where the keyring of
/// KMS stands, and labels keys as that does.
#[derive(Debug, Clone, Default)]
pub struct RecordedKms {
    keys: Arc<Mutex<BTreeMap<Vec<u8>, Recorded>>>,
    /// The contexts that it was asked with.
    asked: Arc<Mutex<Vec<EncryptionContext>>>,
}

#[derive(Debug, Clone)]
struct Recorded {
    data_key: Vec<u8>,
    context: EncryptionContext,
}

impl RecordedKms {
    /// Opens every golden object that KMS has the key of.
    pub fn golden() -> Self {
        let kms = Self::default();
        let objects = GOLDEN["objects"].as_array().unwrap().iter();
        for object in objects.filter(|object| object["keyring"] == "kms") {
            let file = object["instruction_json"].as_str().unwrap_or("{}");
            let file: Value = serde_json::from_str(file).unwrap();
            let stored = |names: [&str; 2]| {
                let mut places = [&object["metadata"], &file].into_iter();
                places
                    .find_map(|place| names.iter().find_map(|name| place[*name].as_str()))
                    .unwrap()
                    .to_owned()
            };
            let key = BASE64_STANDARD.decode(stored(["x-amz-key-v2", "x-amz-3"]));
            let context = serde_json::from_str(&stored(["x-amz-matdesc", "x-amz-t"])).unwrap();
            let data_key = hex::decode(text(&object["data_key_hex"])).unwrap();
            kms.record(&key.unwrap(), &data_key, context_of(&context));
        }
        kms
    }

    /// Opens this too.
    pub fn record(&self, wrapped: &[u8], data_key: &[u8], context: EncryptionContext) {
        let recorded = Recorded {
            data_key: data_key.to_vec(),
            context,
        };
        self.keys.lock().unwrap().insert(wrapped.to_vec(), recorded);
    }

    /// The contexts that it was asked with since the last call.
    pub fn asked(&self) -> Vec<EncryptionContext> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn ask(&self, request: KeyRequest<'_>) {
        self.asked.lock().unwrap().push(request.context.clone());
    }
}

#[async_trait]
impl Keyring for RecordedKms {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        self.ask(request);
        let wrapped = envelope::random_bytes::<40>().unwrap();
        self.record(&wrapped, data_key.expose(), request.context.clone());
        let key = EncryptedDataKey::new("S3Keyring", b"kms+context".to_vec(), wrapped.to_vec());
        Ok(vec![key])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let name = "recorded KMS";
        let [key] = keys else {
            return Err(vec![Attempt::skipped(0, name, "not one key")]);
        };
        if !matches!(key.provider_info(), b"kms+context" | b"kms") {
            return Err(vec![Attempt::skipped(0, name, "not wrapped by KMS")]);
        }
        self.ask(request);
        let keys = self.keys.lock().unwrap();
        let Some(recorded) = keys.get(key.ciphertext()) else {
            return Err(vec![Attempt::failed_with(0, name, "unknown ciphertext")]);
        };
        if recorded.context != *request.context {
            return Err(vec![Attempt::failed_with(0, name, "another context")]);
        }
        let data_key = DataKey::from_bytes(recorded.data_key.clone(), request.suite);
        let data_key = data_key.unwrap();
        Ok(Unwrapped { index: 0, data_key })
    }
}
