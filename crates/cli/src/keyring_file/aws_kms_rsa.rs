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
    key_id: String,
    padding: RsaPadding,
    decrypting: Rsa,
    encrypting: OnceCell<Rsa>,
}

impl FetchingRsa {
    async fn encrypting(&self) -> Result<&Rsa, KmsError> {
        let fetch = async || {
            let key = Rsa::fetch_public_key(self.client.clone(), &self.key_id).await?;
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
