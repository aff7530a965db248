use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::EncryptionAlgorithmSpec;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, EncryptionContext, Keyring, RsaPadding, RsaPublicKey};
use sha2::{Digest, Sha384};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::arn::{Arn, key_arn};
use crate::kms_error::KmsError;
use crate::kms_key::Decryption;
use crate::one_by_one::{OneByOne, Refusal, first_to_open};
use crate::service::{Service, data_key, info_arn};

const PROVIDER_ID: &str = "aws-kms-rsa";
/// SHA-384 of the encryption context stands before the data key.
const DIGEST_LENGTH: usize = 48;
/// Anybody can wrap with a public key, so a signature whose key stands in the wrapped context would
/// prove nothing (specification, "AWS KMS RSA Keyring").
const SIGNED: &str = "an RSA key of KMS does not serve suites with a signature; ask for 0478";

/// Wraps data keys with an RSA key of KMS: its public half encrypts here, without a call, and KMS
/// decrypts.
///
/// It refuses suites with a signature, as the default one is. Replicas of a multi-region key open
/// each other's data keys. Source: AWS Encryption SDK specification, "AWS KMS RSA Keyring".
///
/// ```no_run
/// use aws_sdk_kms::Client;
/// use envelope::{AlgorithmSuite, EncryptOptions, RsaPadding, encrypt};
/// use envelope_aws_kms::Rsa;
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// let public_key = Rsa::fetch_public_key(client.clone(), arn, &[]).await?;
/// let keyring = Rsa::new(client, arn, RsaPadding::OaepSha256)?.with_public_key(public_key);
/// let options = EncryptOptions::default()
///     .with_suite(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
/// let message = encrypt(&keyring, b"hello", &options).await?;
/// # Ok(())
/// # }
/// ```
pub struct Rsa {
    service: Option<Service>,
    arn: Arn,
    public_key: Option<RsaPublicKey>,
    padding: RsaPadding,
    algorithm: EncryptionAlgorithmSpec,
    description: Arc<str>,
}

impl Rsa {
    /// A keyring that decrypts; to encrypt it needs the public key too. The padding is OAEP with
    /// SHA-1 or SHA-256, the two that KMS has.
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is not the ARN of a key, [`KmsError::InvalidOption`] for
    /// another padding.
    pub fn new(
        client: Client,
        key_id: impl AsRef<str>,
        padding: RsaPadding,
    ) -> Result<Self, KmsError> {
        let keyring = Self::without_keys(key_id.as_ref(), padding)?;
        Ok(Self {
            service: Some(Service::new(client)),
            ..keyring
        })
    }

    /// A keyring that encrypts to the key, and never calls KMS.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn encrypt_only(
        key_id: impl AsRef<str>,
        public_key: RsaPublicKey,
        padding: RsaPadding,
    ) -> Result<Self, KmsError> {
        Ok(Self::without_keys(key_id.as_ref(), padding)?.with_public_key(public_key))
    }

    fn without_keys(key_id: &str, padding: RsaPadding) -> Result<Self, KmsError> {
        let arn = key_arn(key_id)?;
        let algorithm = match padding {
            RsaPadding::OaepSha1 => EncryptionAlgorithmSpec::RsaesOaepSha1,
            RsaPadding::OaepSha256 => EncryptionAlgorithmSpec::RsaesOaepSha256,
            _ => {
                return Err(KmsError::InvalidOption {
                    what: "the RSA padding",
                    reason: "must be oaep-sha1 or oaep-sha256: KMS has no other",
                });
            }
        };
        Ok(Self {
            description: format!("AWS KMS RSA {arn}, {padding}").into(),
            service: None,
            arn,
            public_key: None,
            padding,
            algorithm,
        })
    }

    /// Encrypts with this key, the public half of the KMS key.
    #[must_use]
    pub fn with_public_key(self, key: RsaPublicKey) -> Self {
        let public_key = Some(key);
        Self { public_key, ..self }
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        let service = self
            .service
            .map(|service| service.with_grant_tokens(tokens));
        Self { service, ..self }
    }

    /// Asks KMS for the public half of a key, with these grant tokens. Keep it: it never changes.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsError::Key`] when it is no RSA key.
    pub async fn fetch_public_key(
        client: Client,
        key_id: impl AsRef<str>,
        grant_tokens: &[String],
    ) -> Result<RsaPublicKey, KmsError> {
        let arn = key_arn(key_id.as_ref())?;
        let service = Service::new(client).with_grant_tokens(grant_tokens);
        let der = service.public_key(&arn).await?;
        Ok(RsaPublicKey::from_der(&der)?)
    }
}

fn digest(context: &EncryptionContext) -> [u8; DIGEST_LENGTH] {
    Sha384::digest(context.to_bytes()).into()
}

#[async_trait]
impl OneByOne for Rsa {
    fn description(&self) -> &Arc<str> {
        &self.description
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        if key.provider_id() != PROVIDER_ID {
            return Err(Refusal::Skipped("another provider".into()));
        }
        if !info_arn(key)?.is_replica_of(&self.arn) {
            return Err(Refusal::Skipped("another key".into()));
        }
        let service = self.service.as_ref();
        let service = service.ok_or(Refusal::Skipped("the keyring only encrypts".into()))?;
        if request.suite.is_signed() {
            return Err(Refusal::Failed(SIGNED.into()));
        }
        let wrapped = Decryption::by(key.ciphertext(), self.algorithm.clone());
        let opened = service.decrypt(&self.arn, wrapped).await?;
        let (found, bytes) = opened
            .split_first_chunk::<DIGEST_LENGTH>()
            .ok_or(Refusal::Failed("the unwrapped key is too short".into()))?;
        if !bool::from(found.ct_eq(&digest(request.context))) {
            return Err(Refusal::Failed(
                "wrapped under another encryption context".into(),
            ));
        }
        data_key(Zeroizing::new(bytes.to_vec()), request)
    }
}

#[async_trait]
impl Keyring for Rsa {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let misconfigured =
            |reason| KeyringError::misconfigured(self.description.to_string(), reason);
        if request.suite.is_signed() {
            return Err(misconfigured(SIGNED));
        }
        let public_key = self.public_key.as_ref().ok_or_else(|| {
            misconfigured("there is no public key; fetch it from KMS, or give it")
        })?;
        let mut plaintext = Zeroizing::new(Vec::with_capacity(
            DIGEST_LENGTH + request.suite.data_key_length(),
        ));
        plaintext.extend_from_slice(&digest(request.context));
        plaintext.extend_from_slice(data_key.expose());
        let wrapped = public_key
            .encrypt(self.padding, &plaintext)
            .map_err(|error| KmsError::from(error).of_keyring(&self.description))?;
        Ok(vec![EncryptedDataKey::new(
            PROVIDER_ID,
            self.arn.to_string(),
            wrapped,
        )])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(self, keys, request).await
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsa({})", self.description)
    }
}
