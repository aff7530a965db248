//! The calls of KMS that only branch keys need.

use std::collections::HashMap;

use aws_sdk_kms::primitives::Blob;

use super::Service;
use crate::arn::Arn;
use crate::kms_error::KmsError;
use crate::kms_key::{present, same_key, some};

impl Service {
    /// A new secret of 32 bytes in wrapped form alone, with `GenerateDataKeyWithoutPlaintext`.
    pub(crate) async fn generate_wrapped(
        &self,
        key_arn: &Arn,
        context: HashMap<String, String>,
    ) -> Result<Vec<u8>, KmsError> {
        let key_id = key_arn.to_string();
        let answer = self
            .client
            .generate_data_key_without_plaintext()
            .key_id(&key_id)
            .number_of_bytes(32)
            .set_encryption_context(Some(context))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call(&key_id, "GenerateDataKeyWithoutPlaintext");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let ciphertext = present(answer.ciphertext_blob, call, "CiphertextBlob")?;
        same_key(call, answer.key_id, &key_id)?;
        Ok(ciphertext)
    }

    /// Moves what a key wrapped from one context to another under the same key, with `ReEncrypt`.
    pub(crate) async fn re_encrypt(
        &self,
        key_arn: &Arn,
        ciphertext: &[u8],
        from: HashMap<String, String>,
        to: HashMap<String, String>,
    ) -> Result<Vec<u8>, KmsError> {
        let key_id = key_arn.to_string();
        let answer = self
            .client
            .re_encrypt()
            .ciphertext_blob(Blob::new(ciphertext))
            .source_key_id(&key_id)
            .set_source_encryption_context(Some(from))
            .destination_key_id(&key_id)
            .set_destination_encryption_context(Some(to))
            .set_grant_tokens(some(&self.grant_tokens))
            .send()
            .await;
        let call = || self.call(&key_id, "ReEncrypt");
        let answer = answer.map_err(|error| KmsError::new(call(), &error))?;
        let ciphertext = present(answer.ciphertext_blob, call, "CiphertextBlob")?;
        same_key(call, answer.source_key_id, &key_id)?;
        same_key(call, answer.key_id, &key_id)?;
        Ok(ciphertext)
    }
}
