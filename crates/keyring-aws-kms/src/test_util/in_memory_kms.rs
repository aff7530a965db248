mod operations;
mod request;
mod stored_key;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryPartition;
use aws_sdk_kms::config::{
    BehaviorVersion, Builder, Config, Credentials, HttpClient, Region, RuntimeComponents,
};
use aws_sdk_kms::types::{KeySpec, KeyState};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use envelope::random_id;
use serde_json::Value;

use super::Behaviour;
use super::connection::{Service, connect};
use super::refusal::Refusal;
use crate::arn::Arn;
use crate::kms_error::KmsError;
use operations::Caller;
use request::Request;
use stored_key::{KeyMaterial, StoredKey};

/// The account that keys belong to unless another is named.
const ACCOUNT: &str = "111122223333";

/// A KMS in memory that `aws_sdk_kms` clients talk to. A clone is the same KMS.
///
/// Keys do real AES-GCM, RSAES-OAEP and ECDH. Encryption contexts, key states, key usages, regions
/// and KMS's limits are checked, and refused with KMS's error codes. It has the operations `Encrypt`,
/// `Decrypt`, `ReEncrypt`, `GenerateDataKey`, `GenerateDataKeyWithoutPlaintext`, `GetPublicKey`,
/// `DeriveSharedSecret`, `DescribeKey`, `CreateKey` and `ReplicateKey`. There are no key policies: what
/// may be used is what [`deny`](Behaviour::deny) left.
///
/// Retries and latency need the Tokio runtime; its time may be paused.
///
/// ```
/// use aws_sdk_kms::types::KeySpec;
/// use envelope::{DecryptOptions, EncryptOptions, decrypt, encrypt};
/// use envelope_aws_kms::Strict;
/// use envelope_aws_kms::test_util::InMemoryKms;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kms = InMemoryKms::new();
/// let arn = kms.create_key("eu-west-1", KeySpec::SymmetricDefault)?;
/// let keyring = Strict::new(kms.client("eu-west-1"), arn.to_string())?;
///
/// let message = encrypt(&keyring, b"hello", &EncryptOptions::default()).await?;
/// let opened = decrypt(&keyring, &message, &DecryptOptions::default()).await?;
/// assert_eq!(opened.plaintext, b"hello");
/// assert_eq!((kms.calls("GenerateDataKey"), kms.calls("Decrypt")), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct InMemoryKms {
    state: Arc<Mutex<State>>,
    behaviour: Behaviour,
    account: String,
}

#[derive(Default)]
struct State {
    keys: HashMap<Arn, StoredKey>,
    /// The ARN of each alias, and of the key that it names.
    aliases: HashMap<Arn, Arn>,
}

impl InMemoryKms {
    /// A KMS without keys. It belongs to account 111122223333.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            behaviour: Behaviour::default(),
            account: ACCOUNT.to_owned(),
        }
    }

    /// The same KMS as another account sees it: keys that are made there are of that account. Keys
    /// of all accounts may be used by their ARN.
    #[must_use]
    pub fn in_account(&self, account: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            ..self.clone()
        }
    }

    /// A client of this KMS in a region, with the SDK's default retries.
    #[must_use]
    pub fn client(&self, region: impl Into<String>) -> Client {
        Client::from_conf(self.config(region).build())
    }

    /// The configuration of [`client`](Self::client), to be changed: its retries, its time-outs.
    /// Its retry quota is its own, so that tests do not use up each other's.
    #[must_use]
    pub fn config(&self, region: impl Into<String>) -> Builder {
        Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new("id", "secret", None, None, "InMemoryKms"))
            .region(Region::new(region.into()))
            .retry_partition(RetryPartition::custom("InMemoryKms").build())
            .sleep_impl(TokioSleep::new())
            .http_client(self.clone())
    }

    /// Makes a key: [`KeySpec::SymmetricDefault`], one of RSA for encryption, or one on a curve of
    /// NIST for key agreement.
    ///
    /// # Errors
    /// [`KmsError::InvalidOption`] for another kind of key, [`KmsError::Key`] without randomness.
    pub fn create_key(&self, region: &str, spec: KeySpec) -> Result<Arn, KmsError> {
        self.create(region, spec, false)
    }

    /// Makes a key that can have replicas in other regions.
    ///
    /// # Errors
    /// As [`create_key`](Self::create_key).
    pub fn create_multi_region_key(&self, region: &str, spec: KeySpec) -> Result<Arn, KmsError> {
        self.create(region, spec, true)
    }

    fn create(&self, region: &str, spec: KeySpec, multi_region: bool) -> Result<Arn, KmsError> {
        let material = KeyMaterial::generate(spec)?;
        Ok(self.keep(region, &key_id(multi_region)?, material)?.arn)
    }

    /// The key in its region from now on.
    fn keep(&self, region: &str, id: &str, material: KeyMaterial) -> Result<StoredKey, KmsError> {
        let arn: Arn = format!("arn:aws:kms:{region}:{}:key/{id}", self.account).parse()?;
        let key = StoredKey {
            arn: arn.clone(),
            state: KeyState::Enabled,
            material: Arc::new(material),
        };
        self.state().keys.insert(arn, key.clone());
        Ok(key)
    }

    /// Makes a replica of a multi-region key: the same key in another region.
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is no multi-region key of this KMS.
    pub fn replicate(&self, key: &Arn, region: &str) -> Result<Arn, KmsError> {
        let mut state = self.state();
        let primary = state.keys.get(key).filter(|_| key.is_multi_region());
        let primary = primary.ok_or_else(|| unknown(key))?;
        let arn = key.in_region(region);
        let replica = StoredKey {
            arn: arn.clone(),
            state: KeyState::Enabled,
            material: Arc::clone(&primary.material),
        };
        state.keys.insert(arn.clone(), replica);
        Ok(arn)
    }

    /// Names a key, in the key's account and region; an alias that exists already names this key from
    /// now on. Returns the alias's ARN.
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for a name that does not begin with `alias/`, and for what is no
    /// key of this KMS.
    pub fn create_alias(&self, alias: &str, key: &Arn) -> Result<Arn, KmsError> {
        let (region, account) = (key.region(), key.account());
        let arn: Arn = format!("arn:aws:kms:{region}:{account}:{alias}").parse()?;
        let mut state = self.state();
        if arn.is_key() || !state.keys.contains_key(key) {
            return Err(unknown(if arn.is_key() { &arn } else { key }));
        }
        state.aliases.insert(arn.clone(), key.clone());
        Ok(arn)
    }

    /// Changes what a key may be used for: [`KeyState::Enabled`], [`KeyState::Disabled`],
    /// [`KeyState::PendingDeletion`] and so on.
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is no key of this KMS.
    pub fn set_key_state(&self, key: &Arn, key_state: KeyState) -> Result<(), KmsError> {
        let mut state = self.state();
        let stored = state.keys.get_mut(key).ok_or_else(|| unknown(key))?;
        stored.state = key_state;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so the state is whole even if a thread died holding the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How it fails, and what it was asked.
impl Deref for InMemoryKms {
    type Target = Behaviour;

    fn deref(&self) -> &Behaviour {
        &self.behaviour
    }
}

impl Service for InMemoryKms {
    const TARGET_PREFIX: &'static str = "TrentService.";
    const CONTENT_TYPE: &'static str = "application/x-amz-json-1.1";
    const THROTTLED: &'static str = "ThrottlingException";
    const INTERNAL_ERROR: &'static str = "KMSInternalException";

    fn answer(&self, operation: &str, region: &str, body: &[u8]) -> Result<Value, Refusal> {
        let request: Request = serde_json::from_slice(body)
            .map_err(|_| Refusal::new("SerializationException", "the body cannot be read"))?;
        let kms = self;
        Caller { kms, region }.answer(operation, &request)
    }
}

impl HttpClient for InMemoryKms {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        connect(self.clone(), settings, components)
    }
}

/// A new key's id.
fn key_id(multi_region: bool) -> Result<String, envelope::Error> {
    let prefix = if multi_region { "mrk-" } else { "" };
    Ok(format!("{prefix}{}", random_id()?))
}

fn unknown(key: &Arn) -> KmsError {
    KmsError::InvalidKeyId {
        key_id: key.to_string(),
        reason: "is no key of this KMS that it can be done to",
    }
}

impl Default for InMemoryKms {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryKms")
            .field("keys", &self.state().keys.keys())
            .field("calls", &self.behaviour)
            .finish_non_exhaustive()
    }
}
