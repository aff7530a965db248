use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope_aws_kms::{Arn, KmsError, KmsKey, MultiRegion, Strict};
use envelope_s3::keyring::Kms;
use serde::Deserialize;

use super::fields::Fields;
use super::on_aws::OnAws;
use super::opened_key::OpenedKey;
use super::opening::Opening;

/// `type = "aws-kms"` and `type = "aws-kms-mrk"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AwsKmsEntry<const MULTI_REGION: bool> {
    key_id: String,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

const BY_NAME: &str = "it is named by an alias or an id, so no message can be known to be its own; \
    to decrypt, name it by its ARN";

#[async_trait]
impl<const MULTI_REGION: bool> Fields for OnAws<AwsKmsEntry<MULTI_REGION>> {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let id = &self.entry.key_id;
        let refused = |error: KmsError| format!("field \"key-id\": {error}");
        let arn = match id.starts_with("arn:") {
            true => Some(id.parse::<Arn>().map_err(refused)?),
            false => None,
        };
        let config = opening
            .aws(&self.aws, arn.as_ref().map(Arn::region))
            .await?;
        let client = Client::new(&config);
        let tokens = &self.aws.grant_tokens;
        let s3ec = KmsKey::new(client.clone(), id).map_err(refused)?;
        let s3ec = Kms::new(s3ec.with_grant_tokens(tokens));
        let opened = match MULTI_REGION {
            true => {
                let keyring = MultiRegion::new(client, id).map_err(refused)?;
                OpenedKey::new(id.clone(), keyring.with_grant_tokens(tokens))
            }
            false => {
                let keyring = Strict::new(client, id).map_err(refused)?;
                OpenedKey::new(id.clone(), keyring.with_grant_tokens(tokens))
            }
        };
        let opened = opened.with_s3ec(s3ec);
        Ok(match arn.is_some_and(|arn| arn.is_key()) {
            true => opened,
            false => opened.encrypting_only(BY_NAME),
        })
    }
}
