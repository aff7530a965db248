#[cfg(feature = "branch-keys")]
mod branch_keys;

use std::borrow::Cow;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::KeyAgreementAlgorithmSpec;
use envelope::keyring::KeyRequest;
use envelope::{DataKey, EncryptedDataKey, EncryptionContext};
use zeroize::Zeroizing;

use crate::arn::{Arn, key_arn};
use crate::kms_call::KmsCall;
use crate::kms_error::KmsError;
use crate::kms_key::{Decryption, call, decrypt, pairs, present, same_key, some};
use crate::one_by_one::Refusal;

/// The provider id of data keys under symmetric keys of KMS (specification, "AWS KMS Keyring").
const PROVIDER_ID: &str = "aws-kms";

/// KMS as keyrings call it: answers are checked to be of the key that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    client: Client,
    grant_tokens: Vec<String>,
}

impl Service {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            grant_tokens: Vec::new(),
        }
    }

    pub(crate) fn with_grant_tokens<T: Into<String>>(
        self,
        tokens: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            grant_tokens: tokens.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The client's region, if it has one.
    pub(crate) fn region(&self) -> Option<&str> {
        Some(self.client.config().region()?.as_ref())
    }

    /// A new data key and its wrapped form, with `GenerateDataKey`.
    pub(crate) async fn generate(
        &self,
        key_id: &str,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, EncryptedDataKey), KmsError> {
        // A data key has 32 bytes at most.
        let length = i32::try_from(request.suite.data_key_length()).unwrap_or(i32::MAX);
        let answer = self
            .client
            .generate_data_key()
            .key_id(key_id)
            .number_of_bytes(length)
            .set_encryption_context(pairs(request.context))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call(key_id, "GenerateDataKey");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let plaintext = present(answer.plaintext, call, "Plaintext")?;
        let data_key = DataKey::from_bytes(plaintext, request.suite)?;
        let ciphertext = present(answer.ciphertext_blob, call, "CiphertextBlob")?;
        Ok((data_key, wrapped(call, answer.key_id, ciphertext)?))
    }

    /// Wraps a data key that exists already, with `Encrypt`.
    pub(crate) async fn wrap(
        &self,
        key_id: &str,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKey, KmsError> {
        let answer = self
            .client
            .encrypt()
            .key_id(key_id)
            .plaintext(Blob::new(data_key.expose()))
            .set_encryption_context(pairs(context))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call(key_id, "Encrypt");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let ciphertext = present(answer.ciphertext_blob, call, "CiphertextBlob")?;
        wrapped(call, answer.key_id, ciphertext)
    }

    /// Unwraps a data key under a symmetric key, with `Decrypt`.
    pub(crate) async fn unwrap(
        &self,
        key_arn: &Arn,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        let wrapped = Decryption::new(key.ciphertext(), pairs(request.context));
        data_key(self.decrypt(key_arn, wrapped).await?, request)
    }

    pub(crate) async fn decrypt(
        &self,
        key_arn: &Arn,
        request: Decryption<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let key_id = key_arn.to_string();
        decrypt(&self.client, Some(&key_id), &self.grant_tokens, request).await
    }

    /// The public half of a key, with `GetPublicKey`: DER of a SubjectPublicKeyInfo.
    pub(crate) async fn public_key(&self, key_arn: &Arn) -> Result<Vec<u8>, KmsError> {
        let key_id = key_arn.to_string();
        let answer = self
            .client
            .get_public_key()
            .key_id(&key_id)
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call(&key_id, "GetPublicKey");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let key = present(answer.public_key, call, "PublicKey")?;
        same_key(call, answer.key_id, &key_id)?;
        Ok(key)
    }

    /// What the key shares with the peer's, with `DeriveSharedSecret`. The peer's key is DER of a
    /// SubjectPublicKeyInfo.
    pub(crate) async fn shared_secret(
        &self,
        key_arn: &Arn,
        peer: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let key_id = key_arn.to_string();
        let answer = self
            .client
            .derive_shared_secret()
            .key_id(&key_id)
            .key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh)
            .public_key(Blob::new(peer))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call(&key_id, "DeriveSharedSecret");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let secret = present(answer.shared_secret, call, "SharedSecret").map(Zeroizing::new)?;
        same_key(call, answer.key_id, &key_id)?;
        Ok(secret)
    }

    fn call(&self, key_id: &str, operation: &'static str) -> KmsCall {
        call(&self.client, Some(key_id), operation)
    }
}

/// Takes an unwrapped data key, if it has the suite's length.
pub(crate) fn data_key(
    mut opened: Zeroizing<Vec<u8>>,
    request: KeyRequest<'_>,
) -> Result<DataKey, Refusal> {
    DataKey::from_bytes(std::mem::take(&mut *opened), request.suite).map_err(|_| {
        Refusal::Failed("the unwrapped key has the wrong length for the algorithm suite".into())
    })
}

/// The ARN of the key that wrapped it, if that was a symmetric one of KMS.
pub(crate) fn wrapping_key(key: &EncryptedDataKey) -> Result<Arn, Refusal> {
    if key.provider_id() != PROVIDER_ID {
        return Err(Refusal::Skipped("another provider".into()));
    }
    info_arn(key)
}

/// Specification, "AWS KMS Keyring", "OnDecrypt": what names no key is an error.
pub(crate) fn info_arn(key: &EncryptedDataKey) -> Result<Arn, Refusal> {
    let Ok(info) = std::str::from_utf8(key.provider_info()) else {
        return Err(Refusal::Failed("its provider info is no text".into()));
    };
    key_arn(info).map_err(|error| Refusal::Failed(Cow::Owned(error.to_string())))
}

/// Specification, "AWS KMS Keyring", "OnEncrypt": the message names the key by its ARN, whatever
/// it was asked by.
fn wrapped(
    call: impl Fn() -> KmsCall,
    answered: Option<String>,
    ciphertext: Vec<u8>,
) -> Result<EncryptedDataKey, KmsError> {
    match answered {
        Some(arn) if key_arn(&arn).is_ok() => {
            Ok(EncryptedDataKey::new(PROVIDER_ID, arn, ciphertext))
        }
        answered => Err(KmsError::WrongKey {
            call: call(),
            answered,
        }),
    }
}
