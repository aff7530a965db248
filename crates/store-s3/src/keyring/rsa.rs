use std::sync::Arc;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring, RsaPadding, RsaPrivateKey, RsaPublicKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::received::{Received, Refusal, answer};
use super::{MaterialDescription, WrapAlgorithm, WrapInfo, raw_binding};

/// Every failure looks the same, so that nobody learns whether a padding was right.
const DOES_NOT_OPEN: &str = "does not open: another private key, or tampered";
/// Whoever has the public key can make such a wrap, so this tells them nothing new.
const NOT_BOUND: &str = "holds no data key that is bound to the object's content algorithm; the object's metadata was tampered with";
#[cfg(not(feature = "legacy-oaep"))]
const NOT_BUILT: &str = "is wrapped by OAEP with SHA-256 and MGF1 with SHA-1, which this build cannot open; build envelope-s3 with its feature legacy-oaep";

/// Wraps data keys with RSA: the public key encrypts, the private key decrypts.
///
/// Source: the Java client's RSA keyring, wrap algorithm `RSA-OAEP-SHA1`.
///
/// ```
/// use envelope::{RsaPrivateKey, RsaPublicKey};
/// use envelope_s3::keyring::Rsa;
///
/// # // A key of its own each time; yours come from PEM files.
/// # let generated = RsaPrivateKey::generate(2048)?;
/// # let (private_pem, public_pem) = (generated.to_pem()?, generated.public_key_pem()?);
/// let writer = Rsa::encrypt_only(RsaPublicKey::from_pem(&public_pem)?);
/// let reader = Rsa::decrypt_only(RsaPrivateKey::from_pem(&private_pem, None)?);
/// # Ok::<(), envelope::Error>(())
/// ```
#[derive(Debug)]
pub struct Rsa {
    public_key: Option<RsaPublicKey>,
    private_key: Option<RsaPrivateKey>,
    description: MaterialDescription,
    name: Arc<str>,
    writes: WrapAlgorithm,
}

impl Rsa {
    /// A keyring that writes and reads. Nobody checks that the two keys belong together.
    #[must_use]
    pub fn new(public_key: RsaPublicKey, private_key: RsaPrivateKey) -> Self {
        Self::with_keys(Some(public_key), Some(private_key))
    }

    /// A keyring that only writes.
    #[must_use]
    pub fn encrypt_only(public_key: RsaPublicKey) -> Self {
        Self::with_keys(Some(public_key), None)
    }

    /// A keyring that only reads.
    #[must_use]
    pub fn decrypt_only(private_key: RsaPrivateKey) -> Self {
        Self::with_keys(None, Some(private_key))
    }

    fn with_keys(public_key: Option<RsaPublicKey>, private_key: Option<RsaPrivateKey>) -> Self {
        Self {
            public_key,
            private_key,
            description: MaterialDescription::default(),
            name: "S3 RSA".into(),
            writes: WrapAlgorithm::RsaOaepSha1,
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

    /// Wraps with PKCS#1 v1.5, as format V1 has it. Such a data key is bound to nothing, and readers
    /// of it can be asked until they give it away. Only for fleets that still have readers of V1.
    #[cfg(feature = "legacy-v1-write")]
    #[must_use]
    pub fn wrapping_for_v1_without_integrity(self) -> Self {
        Self {
            writes: WrapAlgorithm::V1Rsa,
            ..self
        }
    }

    fn unwrap(&self, received: &Received<'_>, request: KeyRequest<'_>) -> Result<DataKey, Refusal> {
        let padding = match received.info.wrap {
            WrapAlgorithm::RsaOaepSha1 => RsaPadding::OaepSha1,
            #[cfg(feature = "legacy-oaep")]
            WrapAlgorithm::RsaOaepSha256 => RsaPadding::OaepSha256Mgf1Sha1,
            #[cfg(not(feature = "legacy-oaep"))]
            WrapAlgorithm::RsaOaepSha256 => return Err(Refusal::failed(NOT_BUILT)),
            WrapAlgorithm::V1Rsa => RsaPadding::Pkcs1,
            _ => return Err(received.another_keyring()),
        };
        let private_key = self
            .private_key
            .as_ref()
            .ok_or(Refusal::skipped("the keyring has no private key"))?;
        let mut bytes = private_key
            .decrypt(padding, received.ciphertext)
            .map_err(|_| Refusal::failed(DOES_NOT_OPEN))?;
        if padding == RsaPadding::OaepSha1 {
            return bound_key(&bytes, received.bound, request).ok_or(Refusal::failed(NOT_BOUND));
        }
        // With PKCS#1 v1.5 a made-up key may stand here for bad padding. Nothing in an old object
        // could tell, so a length that no data key has must look like bad padding.
        DataKey::from_bytes(std::mem::take(&mut *bytes), request.suite)
            .map_err(|_| Refusal::failed(DOES_NOT_OPEN))
    }
}

/// What `RSA-OAEP-SHA1` encrypts: the data key behind its length, and what it is bound to.
fn bind(data_key: &[u8], bound: &str) -> Option<Zeroizing<Vec<u8>>> {
    let length = [u8::try_from(data_key.len()).ok()?];
    Some(Zeroizing::new(
        [&length, data_key, bound.as_bytes()].concat(),
    ))
}

/// The data key, if it is one for the suite and bound to exactly this.
fn bound_key(bytes: &[u8], bound: &str, request: KeyRequest<'_>) -> Option<DataKey> {
    let (length, rest) = bytes.split_first()?;
    let (data_key, found) = rest.split_at_checked(usize::from(*length))?;
    let same = bool::from(found.ct_eq(bound.as_bytes()));
    same.then(|| DataKey::from_bytes(data_key.to_vec(), request.suite).ok())?
}

#[async_trait]
impl Keyring for Rsa {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let failed = |reason: &str| KeyringError::new(self.name.to_string(), reason.to_owned());
        let bound = raw_binding(&self.name, request)?;
        let public_key = self.public_key.as_ref().ok_or_else(|| {
            KeyringError::misconfigured(
                self.name.to_string(),
                "there is no public key; encrypting needs one, it is never derived",
            )
        })?;
        let encrypted = if self.writes == WrapAlgorithm::V1Rsa {
            public_key.encrypt(RsaPadding::Pkcs1, data_key.expose())
        } else {
            let bytes =
                bind(data_key.expose(), bound).ok_or_else(|| failed("the data key is too long"))?;
            public_key.encrypt(RsaPadding::OaepSha1, &bytes)
        };
        let info = WrapInfo {
            wrap: self.writes,
            description: self.description.pairs().clone(),
        };
        let ciphertext = encrypted.map_err(|error| failed(&error.to_string()))?;
        Ok(vec![info.with_key(ciphertext)])
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
