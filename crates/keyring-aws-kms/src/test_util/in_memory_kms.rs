mod connection;
mod operations;
mod request;
mod stored_key;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryPartition;
use aws_sdk_kms::config::{BehaviorVersion, Builder, Config, Credentials, Region};
use aws_sdk_kms::types::{KeySpec, KeyState};
use aws_smithy_async::rt::sleep::TokioSleep;
use envelope::random_id;

use super::Fault;
use crate::arn::Arn;
use crate::kms_error::KmsError;
use stored_key::{KeyMaterial, StoredKey};

/// The account that keys belong to unless another is named.
const ACCOUNT: &str = "111122223333";

/// A KMS in memory that `aws_sdk_kms` clients talk to. A clone is the same KMS.
///
/// Keys do real AES-GCM, RSAES-OAEP and ECDH. Encryption contexts, key states, key usages, regions
/// and KMS's limits are checked, and refused with KMS's error codes. It has the operations `Encrypt`,
/// `Decrypt`, `ReEncrypt`, `GenerateDataKey`, `GenerateDataKeyWithoutPlaintext`, `GetPublicKey`,
/// `DeriveSharedSecret` and `DescribeKey`. Keys are made by methods here. There are no key policies:
/// what may be used is what [`deny`](Self::deny) left.
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
    account: String,
}

#[derive(Default)]
struct State {
    keys: HashMap<Arn, StoredKey>,
    /// The ARN of each alias, and of the key that it names.
    aliases: HashMap<Arn, Arn>,
    faults: Option<(Fault, u64)>,
    denied: BTreeSet<String>,
    latency: Duration,
    calls: BTreeMap<String, u64>,
}

impl InMemoryKms {
    /// A KMS without keys. It belongs to account 111122223333.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            account: ACCOUNT.to_owned(),
        }
    }

    /// The same KMS as another account sees it: keys that are made there are of that account. Keys
    /// of all accounts may be used by their ARN.
    #[must_use]
    pub fn in_account(&self, account: impl Into<String>) -> Self {
        Self {
            state: Arc::clone(&self.state),
            account: account.into(),
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
        self.create(region, random_id()?, spec)
    }

    /// Makes a key that can have replicas in other regions.
    ///
    /// # Errors
    /// As [`create_key`](Self::create_key).
    pub fn create_multi_region_key(&self, region: &str, spec: KeySpec) -> Result<Arn, KmsError> {
        self.create(region, format!("mrk-{}", random_id()?), spec)
    }

    fn create(&self, region: &str, id: String, spec: KeySpec) -> Result<Arn, KmsError> {
        let arn: Arn = format!("arn:aws:kms:{region}:{}:key/{id}", self.account).parse()?;
        let key = StoredKey {
            arn: arn.clone(),
            state: KeyState::Enabled,
            material: Arc::new(KeyMaterial::generate(spec)?),
        };
        self.state().keys.insert(arn.clone(), key);
        Ok(arn)
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

    /// Fails the next requests, whatever they ask; `u64::MAX` for all of them.
    pub fn fail_next(&self, requests: u64, fault: Fault) {
        self.state().faults = Some((fault, requests));
    }

    /// Refuses an operation, as `Decrypt`, with `AccessDeniedException`.
    pub fn deny(&self, operation: impl Into<String>) {
        self.state().denied.insert(operation.into());
    }

    /// Answers only after this time. A client whose read time-out is shorter gives up then.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Ends faults, refusals and latency.
    pub fn recover(&self) {
        let mut state = self.state();
        state.faults = None;
        state.denied.clear();
        state.latency = Duration::ZERO;
    }

    /// Requests for an operation so far, as `GenerateDataKey`; those that failed count too.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.state().calls.get(operation).copied().unwrap_or(0)
    }

    /// Requests so far, of all operations.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.state().calls.values().sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so the state is whole even if a thread died holding the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a request, and says how it is to fail.
    fn begin(&mut self, operation: &str) -> Option<Fault> {
        let calls = self.calls.entry(operation.to_owned()).or_default();
        *calls = calls.saturating_add(1);
        let (fault, left) = self.faults?;
        self.faults = Some((fault, left.checked_sub(1)?));
        Some(fault)
    }
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
        let state = self.state();
        f.debug_struct("InMemoryKms")
            .field("keys", &state.keys.keys())
            .field("calls", &state.calls)
            .finish_non_exhaustive()
    }
}
