use std::path::PathBuf;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring, RsaPadding};
use envelope_aws_kms::{Arn, KmsError, Rsa};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::fields::Fields;
use super::on_aws::OnAws;
use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::rsa_public_pem::RsaPublicPem;

/// `type = "aws-kms-rsa"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AwsKmsRsaEntry {
    key_id: String,
    padding: Option<String>,
    public_key_file: Option<PathBuf>,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

#[async_trait]
impl Fields for OnAws<AwsKmsRsaEntry> {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let Self { aws, entry } = *self;
        let padding = entry.padding.as_deref().map(str::parse).transpose();
        let padding = padding
            .map_err(|error: envelope::Error| format!("field \"padding\": {error}"))?
            .unwrap_or(RsaPadding::OaepSha256);
        let arn = entry.key_id.parse();
        let arn: Arn = arn.map_err(|error| format!("field \"key-id\": {error}"))?;
        let config = opening.aws(&aws, Some(arn.region())).await?;
        let client = Client::new(&config);
        let refused = |error| match error {
            KmsError::InvalidOption { .. } => format!("field \"padding\": {error}"),
            other => format!("field \"key-id\": {other}"),
        };
        let keyring = Rsa::new(client.clone(), &entry.key_id, padding)
            .map_err(refused)?
            .with_grant_tokens(&aws.grant_tokens);
        let name = entry.key_id.clone();
        match entry.public_key_file {
            Some(path) => {
                let public = RsaPublicPem::read(opening.file, path)?.decode()?;
                Ok(OpenedKey::new(name, keyring.with_public_key(public)))
            }
            None => Ok(OpenedKey::new(
                name,
                FetchingRsa {
                    client,
                    grant_tokens: aws.grant_tokens,
                    key_id: entry.key_id,
                    padding,
                    decrypting: keyring,
                    encrypting: OnceCell::new(),
                },
            )),
        }
    }
}

/// Asks KMS for the public key when something is first encrypted.
#[derive(Debug)]
struct FetchingRsa {
    client: Client,
    grant_tokens: Vec<String>,
    key_id: String,
    padding: RsaPadding,
    decrypting: Rsa,
    encrypting: OnceCell<Rsa>,
}

impl FetchingRsa {
    async fn encrypting(&self) -> Result<&Rsa, KmsError> {
        let fetch = async || {
            let key = Rsa::fetch_public_key(self.client.clone(), &self.key_id, &self.grant_tokens)
                .await?;
            Rsa::encrypt_only(&self.key_id, key, self.padding)
        };
        self.encrypting.get_or_try_init(fetch).await
    }
}

#[async_trait]
impl Keyring for FetchingRsa {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        // It says so by itself, without a call.
        if request.suite.is_signed() {
            return self.decrypting.wrap_key(data_key, request).await;
        }
        let encrypting = self.encrypting().await.map_err(|error| {
            let name = format!("AWS KMS RSA {}", self.key_id);
            KeyringError::of_kind(error.kind(), name, error.to_string())
        })?;
        encrypting.wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        self.decrypting.unwrap_key(keys, request).await
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::types::KeySpec;
    use envelope::{AlgorithmSuite, EncryptionContext};
    use envelope_aws_kms::test_util::InMemoryKms;

    use super::*;

    #[tokio::test]
    async fn the_public_key_is_asked_for_once_and_only_to_encrypt() {
        let kms = InMemoryKms::new();
        let arn = kms.create_key("eu-west-1", KeySpec::Rsa2048).unwrap();
        let client = kms.client("eu-west-1");
        let (key_id, padding) = (arn.to_string(), RsaPadding::OaepSha256);
        let keyring = FetchingRsa {
            decrypting: Rsa::new(client.clone(), &key_id, padding).unwrap(),
            client,
            grant_tokens: vec!["token".to_owned()],
            key_id,
            padding,
            encrypting: OnceCell::new(),
        };
        let context = &EncryptionContext::new([("tenant", "acme")]).unwrap();
        let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        let request = KeyRequest { suite, context };
        let data_key = DataKey::generate(suite).unwrap();
        for _ in 0..3 {
            let keys = keyring.wrap_key(&data_key, request).await.unwrap();
            let opened = keyring.unwrap_key(&keys, request).await.unwrap();
            assert_eq!(opened.data_key.expose(), data_key.expose());
        }
        assert_eq!((kms.calls("GetPublicKey"), kms.calls("Decrypt")), (1, 3));
        let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
        let request = KeyRequest { suite, context };
        let error = keyring.wrap_key(&data_key, request).await.unwrap_err();
        assert!(error.to_string().contains("signature"), "{error}");
    }
}
