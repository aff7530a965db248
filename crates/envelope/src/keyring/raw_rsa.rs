use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Attempt, KeyRequest, Keyring, KeyringError, Refusal, Unwrapped, check_namespace, first_to_open,
};
use crate::crypto::kdf::{self, CounterHash};
use crate::crypto::random;
use crate::crypto::rsa_key::{RsaPadding, RsaPrivateKey, RsaPublicKey};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::secret::{DataKey, DerivedKey};

/// Every failure of OAEP looks the same, so that nobody learns whether a padding was right.
const DOES_NOT_OPEN: &str = "does not open: another private key, another padding, or tampered";

/// Wraps data keys with RSA: the public key encrypts, the private key decrypts.
///
/// Unlike the other keyrings this one does not bind the encryption context to the wrapped key;
/// only the message's header does. Neither key is derived from the other: give the one that the
/// work needs. Source: AWS Encryption SDK specification, "Raw RSA Keyring".
///
/// With PKCS#1 v1.5 a key that does not open is not reported as such: a made-up data key takes its
/// place, and the message fails as not authentic. Put such a keyring last in a
/// [`Multi`](crate::Multi).
///
/// ```
/// use envelope::{DecryptOptions, EncryptOptions, RawRsa, RsaPadding, RsaPrivateKey};
/// use envelope::{RsaPublicKey, blocking};
///
/// # // A key of its own each time; yours come from PEM files.
/// # let generated = RsaPrivateKey::generate(2048)?;
/// # let (private_pem, public_pem) = (generated.to_pem()?, generated.public_key_pem()?);
/// let writer = RawRsa::new("acme", "escrow", RsaPadding::OaepSha256)?
///     .with_public_key(RsaPublicKey::from_pem(&public_pem)?);
/// let message = blocking::encrypt(&writer, b"hello", &EncryptOptions::default())?;
///
/// let reader = RawRsa::new("acme", "escrow", RsaPadding::OaepSha256)?
///     .with_private_key(RsaPrivateKey::from_pem(&private_pem, None)?);
/// let opened = blocking::decrypt(&reader, &message, &DecryptOptions::default())?;
/// assert_eq!(opened.plaintext, b"hello");
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct RawRsa {
    namespace: String,
    name: String,
    description: Arc<str>,
    padding: RsaPadding,
    public_key: Option<RsaPublicKey>,
    private_key: Option<RsaPrivateKey>,
    /// Keys what stands for a data key that PKCS#1 v1.5 padding hides badly.
    stand_in: DerivedKey,
}

impl RawRsa {
    /// A keyring without a key yet. Whoever decrypts needs the same namespace, name and padding.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for the namespace `aws-kms`, which belongs to AWS KMS, and for a
    /// namespace or name that does not fit its field; for a padding that no message has;
    /// [`Error::Randomness`].
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        padding: RsaPadding,
    ) -> Result<Self> {
        let (namespace, name) = (namespace.into(), name.into());
        check_namespace(&namespace, name.len())?;
        padding.check_current()?;
        Ok(Self {
            description: format!("raw RSA {namespace}/{name}, {padding}").into(),
            namespace,
            name,
            padding,
            public_key: None,
            private_key: None,
            stand_in: random_key()?,
        })
    }

    /// Encrypts with this key.
    #[must_use]
    pub fn with_public_key(self, key: RsaPublicKey) -> Self {
        let public_key = Some(key);
        Self { public_key, ..self }
    }

    /// Decrypts with this key.
    #[must_use]
    pub fn with_private_key(self, key: RsaPrivateKey) -> Self {
        let private_key = Some(key);
        Self {
            private_key,
            ..self
        }
    }

    /// The private key, or why the encrypted data key is not one of this keyring's.
    fn matching_key(&self, key: &EncryptedDataKey) -> Result<&RsaPrivateKey, &'static str> {
        if key.provider_id() != self.namespace {
            return Err("another key namespace");
        }
        if key.provider_info() != self.name.as_bytes() {
            return Err("another key name");
        }
        self.private_key
            .as_ref()
            .ok_or("the keyring has no private key")
    }

    fn unwrap(
        &self,
        private_key: &RsaPrivateKey,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Option<DataKey> {
        let decrypted = private_key.decrypt(self.padding, key.ciphertext());
        let opened = decrypted.ok().and_then(|mut bytes| {
            DataKey::from_bytes(std::mem::take(&mut *bytes), request.suite).ok()
        });
        if self.padding != RsaPadding::Pkcs1 {
            return opened;
        }
        // Bad PKCS#1 v1.5 padding must not be told from a wrong key (Bleichenbacher's attack): it
        // gives a key that nobody knows, always the same for one ciphertext, which then fails at
        // the commitment or the header's tag as any wrong key does ("implicit rejection").
        let stand_in = self.stand_in(key.ciphertext(), request).ok()?;
        Some(opened.unwrap_or(stand_in))
    }

    fn stand_in(&self, ciphertext: &[u8], request: KeyRequest<'_>) -> Result<DataKey> {
        DataKey::fill_with(request.suite, |output| {
            let secret = self.stand_in.expose();
            kdf::counter_mode(CounterHash::Sha384, secret, b"stand-in", ciphertext, output)
        })
    }
}

fn random_key() -> Result<DerivedKey> {
    let mut filled = Ok(());
    let key = DerivedKey::fill_with(48, |output| {
        filled = random::fill(output);
        Some(())
    });
    filled?;
    key.ok_or(Error::Randomness)
}

#[async_trait]
impl Keyring for RawRsa {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        _request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let failed = |reason: String| KeyringError::new(self.description.to_string(), reason);
        let public_key = self.public_key.as_ref().ok_or_else(|| {
            KeyringError::misconfigured(
                self.description.to_string(),
                "there is no public key; encrypting needs one, it is never derived",
            )
        })?;
        let wrapped = public_key
            .encrypt(self.padding, data_key.expose())
            .map_err(|error| failed(error.to_string()))?;
        Ok(vec![EncryptedDataKey::new(
            &*self.namespace,
            &*self.name,
            wrapped,
        )])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(&self.description, keys, |key| {
            let private_key = self.matching_key(key).map_err(Refusal::Skipped)?;
            self.unwrap(private_key, key, request)
                .ok_or(Refusal::Failed(DOES_NOT_OPEN))
        })
    }
}

impl fmt::Debug for RawRsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRsa")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("padding", &self.padding)
            .field("public_key", &self.public_key)
            .field("private_key", &self.private_key)
            .finish_non_exhaustive()
    }
}
