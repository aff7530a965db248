use aws_sdk_kms::Client;
use envelope::EncryptionContext;
use zeroize::Zeroizing;

use crate::kms_error::KmsError;
use crate::kms_key::{Decryption, decrypt, pairs};

/// Whatever key a ciphertext names. It only decrypts.
///
/// Whoever wrote the ciphertext chose the key, which may be one of theirs. Where the key is known
/// beforehand, use a [`KmsKey`](crate::KmsKey).
#[derive(Debug, Clone)]
pub struct AnyKmsKey {
    client: Client,
    grant_tokens: Vec<String>,
}

impl AnyKmsKey {
    /// Keys that the client's credentials may decrypt with, in the client's region.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            grant_tokens: Vec::new(),
        }
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self {
            grant_tokens: tokens.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Unwraps a data key with `Decrypt`.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn decrypt(
        &self,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let request = Decryption::new(ciphertext, pairs(context));
        decrypt(&self.client, None, &self.grant_tokens, request).await
    }
}
