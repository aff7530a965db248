use std::collections::HashMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, EncryptionAlgorithmSpec};
use envelope::EncryptionContext;
use zeroize::Zeroizing;

use crate::arn::{key_arn, parse_identifier};
use crate::generated_data_key::GeneratedDataKey;
use crate::kms_call::KmsCall;
use crate::kms_error::KmsError;

/// One symmetric key of KMS, named in every call. Where it is named by its ARN, an answer of another
/// key is refused: [`KmsError::WrongKey`]. Source: AWS KMS API reference.
#[derive(Debug, Clone)]
pub struct KmsKey {
    client: Client,
    key_id: String,
    grant_tokens: Vec<String>,
}

impl KmsKey {
    /// The key with this id, ARN, alias (`alias/…`) or alias ARN.
    ///
    /// # Errors
    /// [`KmsError::EmptyKeyId`], [`KmsError::InvalidKeyId`].
    pub fn new(client: Client, key_id: impl Into<String>) -> Result<Self, KmsError> {
        let key_id = key_id.into();
        parse_identifier(&key_id)?;
        Ok(Self {
            client,
            key_id,
            grant_tokens: Vec::new(),
        })
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self {
            grant_tokens: tokens.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The key as it was named.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Has KMS make a data key of 256 bits, with `GenerateDataKey`.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn generate_data_key(
        &self,
        context: &EncryptionContext,
    ) -> Result<GeneratedDataKey, KmsError> {
        let answer = self
            .client
            .generate_data_key()
            .key_id(&self.key_id)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(pairs(context))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call("GenerateDataKey");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let generated = GeneratedDataKey {
            secret: present(answer.plaintext, call, "Plaintext").map(Zeroizing::new)?,
            ciphertext: present(answer.ciphertext_blob, call, "CiphertextBlob")?,
        };
        asked_key(call, answer.key_id, Some(&self.key_id)).map(|()| generated)
    }

    /// Wraps a data key that exists already, with `Encrypt`, and returns KMS's ciphertext blob.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn encrypt(
        &self,
        secret: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, KmsError> {
        let answer = self
            .client
            .encrypt()
            .key_id(&self.key_id)
            .plaintext(Blob::new(secret))
            .set_encryption_context(pairs(context))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call("Encrypt");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let ciphertext = present(answer.ciphertext_blob, call, "CiphertextBlob")?;
        asked_key(call, answer.key_id, Some(&self.key_id)).map(|()| ciphertext)
    }

    /// Unwraps a data key with `Decrypt`. KMS refuses what another key wrapped.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn decrypt(
        &self,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let key_id = Some(self.key_id.as_str());
        let request = Decryption::new(ciphertext, pairs(context));
        decrypt(&self.client, key_id, &self.grant_tokens, request).await
    }

    fn call(&self, operation: &'static str) -> KmsCall {
        call(&self.client, Some(&self.key_id), operation)
    }
}

/// What is to be unwrapped.
pub(crate) struct Decryption<'a> {
    ciphertext: &'a [u8],
    context: Option<HashMap<String, String>>,
    algorithm: Option<EncryptionAlgorithmSpec>,
}

impl<'a> Decryption<'a> {
    /// Under a symmetric key.
    pub(crate) fn new(ciphertext: &'a [u8], context: Option<HashMap<String, String>>) -> Self {
        Self {
            ciphertext,
            context,
            algorithm: None,
        }
    }

    /// Under an asymmetric key, which binds no context.
    pub(crate) fn by(ciphertext: &'a [u8], algorithm: EncryptionAlgorithmSpec) -> Self {
        Self {
            ciphertext,
            context: None,
            algorithm: Some(algorithm),
        }
    }
}

pub(crate) async fn decrypt(
    client: &Client,
    key_id: Option<&str>,
    grant_tokens: &[String],
    request: Decryption<'_>,
) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let answer = client
        .decrypt()
        .set_key_id(key_id.map(str::to_owned))
        .ciphertext_blob(Blob::new(request.ciphertext))
        .set_encryption_context(request.context)
        .set_encryption_algorithm(request.algorithm)
        .set_grant_tokens(some(grant_tokens))
        .send()
        .await;
    let call = || call(client, key_id, "Decrypt");
    let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
    let plaintext = present(answer.plaintext, call, "Plaintext").map(Zeroizing::new)?;
    asked_key(call, answer.key_id, key_id).map(|()| plaintext)
}

/// Checks that the answer is of the key that was asked, if that was named by its ARN: KMS answers
/// with the ARN, whatever it was asked by.
fn asked_key(
    call: impl Fn() -> KmsCall,
    answered: Option<String>,
    asked: Option<&str>,
) -> Result<(), KmsError> {
    match asked.filter(|key_id| key_arn(key_id).is_ok()) {
        Some(arn) => same_key(call, answered, arn),
        None => Ok(()),
    }
}

/// Specification, "AWS KMS Keyring", "OnDecrypt": the answer must be of the key that was asked.
pub(crate) fn same_key(
    call: impl Fn() -> KmsCall,
    answered: Option<String>,
    asked: &str,
) -> Result<(), KmsError> {
    match answered {
        Some(answered) if answered == asked => Ok(()),
        answered => Err(KmsError::WrongKey {
            call: call(),
            answered,
        }),
    }
}

pub(crate) fn call(client: &Client, key_id: Option<&str>, operation: &'static str) -> KmsCall {
    KmsCall {
        operation,
        key_id: key_id.map(str::to_owned),
        region: client.config().region().map(ToString::to_string),
    }
}

/// A context without pairs is left out, as KMS has none then.
pub(crate) fn pairs(context: &EncryptionContext) -> Option<HashMap<String, String>> {
    let pairs = context
        .iter()
        .map(|(key, value)| (key.into(), value.into()));
    let pairs: HashMap<String, String> = pairs.collect();
    (!pairs.is_empty()).then_some(pairs)
}

pub(crate) fn some(grant_tokens: &[String]) -> Option<Vec<String>> {
    (!grant_tokens.is_empty()).then(|| grant_tokens.to_vec())
}

pub(crate) fn present(
    blob: Option<Blob>,
    call: impl Fn() -> KmsCall,
    field: &'static str,
) -> Result<Vec<u8>, KmsError> {
    let blob = blob.ok_or_else(|| KmsError::Incomplete {
        call: call(),
        field,
    })?;
    Ok(blob.into_inner())
}
