use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring, WrappingKey, random_bytes};
use zeroize::Zeroizing;

use super::received::{Received, Refusal, answer};
use super::{MaterialDescription, WrapAlgorithm, WrapInfo, aes_legacy, check_length, raw_binding};
use crate::content::{GcmKey, IV_LENGTH, one_shot};

/// Random IVs under one key: at most 2^32 (NIST SP 800-38D, section 8.3).
const MAXIMUM_USES: u64 = 1 << 32;

/// Every failure of a wrap looks the same.
const DOES_NOT_OPEN: &str =
    "does not open: another wrapping key, another content algorithm, or tampered";

/// Wraps data keys with an AES key of 128, 192 or 256 bits held in this process.
///
/// Source: the Java client's AES keyring, wrap algorithm `AES/GCM`.
///
/// ```
/// use envelope::WrappingKey;
/// use envelope_s3::keyring::{Aes, MaterialDescription};
///
/// let keyring = Aes::new(WrappingKey::generate()?)
///     .described(MaterialDescription::new([("kid", "7")]));
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct Aes {
    key: WrappingKey,
    description: MaterialDescription,
    name: Arc<str>,
    writes: WrapAlgorithm,
    uses: AtomicU64,
}

impl Aes {
    /// A keyring of this key. It is tried for objects with any material description.
    #[must_use]
    pub fn new(key: WrappingKey) -> Self {
        Self {
            key,
            description: MaterialDescription::default(),
            name: "S3 AES".into(),
            writes: WrapAlgorithm::AesGcm,
            uses: AtomicU64::new(0),
        }
    }

    /// Stores this description with each object, and is tried only for objects with exactly this
    /// one. An empty description is none.
    #[must_use]
    pub fn described(self, description: MaterialDescription) -> Self {
        Self {
            description,
            ..self
        }
    }

    /// Wraps with AES-ECB, as format V1 has it. Such a data key is bound to nothing and not
    /// authenticated: whoever can write objects can change it unnoticed. Only for fleets that still
    /// have readers of V1.
    #[cfg(feature = "legacy-v1-write")]
    #[must_use]
    pub fn wrapping_for_v1_without_integrity(self) -> Self {
        Self {
            writes: WrapAlgorithm::V1Aes,
            ..self
        }
    }

    fn wrap(&self, data_key: &DataKey, bound: &'static str) -> Result<Vec<u8>, KeyringError> {
        let failed = |reason: String| KeyringError::new(self.name.to_string(), reason);
        let refused = || failed("the cryptography library failed to encrypt".to_owned());
        #[cfg(feature = "legacy-v1-write")]
        if self.writes == WrapAlgorithm::V1Aes {
            return aes_legacy::seal_ecb(self.key.expose(), data_key.expose()).ok_or_else(refused);
        }
        check_length(&self.name, data_key)?;
        if self.uses.fetch_add(1, Ordering::Relaxed) >= MAXIMUM_USES {
            return Err(failed(
                "the key has wrapped 2^32 data keys, its limit with random IVs; use a new key"
                    .to_owned(),
            ));
        }
        let iv = random_bytes::<IV_LENGTH>().map_err(|error| failed(error.to_string()))?;
        let data_key = data_key.expose();
        let mut wrapped = vec![0; data_key.len()];
        let key = GcmKey::new(self.key.expose(), &iv, bound.as_bytes()).map_err(|_| refused())?;
        let tag = one_shot::seal(&key, data_key, &mut wrapped).map_err(|_| refused())?;
        Ok([&iv, wrapped.as_slice(), &tag].concat())
    }

    fn unwrap(&self, received: &Received<'_>, request: KeyRequest<'_>) -> Result<DataKey, Refusal> {
        let (ciphertext, key) = (received.ciphertext, self.key.expose());
        let lengths = received.info.wrap.key_lengths();
        if lengths.is_some_and(|lengths| !lengths.contains(&ciphertext.len())) {
            let wrong = "the wrapped key has the wrong length for its wrap algorithm";
            return Err(Refusal::failed(wrong));
        }
        let opened = match received.info.wrap {
            WrapAlgorithm::AesGcm => self.open_gcm(ciphertext, received.bound),
            WrapAlgorithm::AesKeyWrap => aes_legacy::unwrap_rfc_3394(key, ciphertext),
            WrapAlgorithm::V1Aes => aes_legacy::open_ecb(key, ciphertext),
            _ => return Err(received.another_keyring()),
        };
        opened
            .and_then(|mut bytes| {
                DataKey::from_bytes(std::mem::take(&mut *bytes), request.suite).ok()
            })
            .ok_or(Refusal::failed(DOES_NOT_OPEN))
    }

    fn open_gcm(&self, ciphertext: &[u8], bound: &'static str) -> Option<Zeroizing<Vec<u8>>> {
        let (iv, sealed) = ciphertext.split_first_chunk::<IV_LENGTH>()?;
        let key = GcmKey::new(self.key.expose(), iv, bound.as_bytes()).ok()?;
        let mut data_key = Zeroizing::new(sealed.to_vec());
        one_shot::open(&key, &mut data_key).ok()?;
        Some(data_key)
    }
}

#[async_trait]
impl Keyring for Aes {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let bound = raw_binding(&self.name, request)?;
        let info = WrapInfo {
            wrap: self.writes,
            description: self.description.pairs().clone(),
        };
        Ok(vec![info.with_key(self.wrap(data_key, bound)?)])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let opened = Received::new(keys, request).and_then(|received| {
            received.described_as(&self.description)?;
            self.unwrap(&received, request)
        });
        answer(&self.name, opened)
    }
}

impl fmt::Debug for Aes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aes")
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}
