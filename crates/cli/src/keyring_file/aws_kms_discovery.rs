use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope_aws_kms::{AnyKmsKey, Discovery, DiscoveryFilter, MultiRegionDiscovery};
use envelope_s3::keyring::Kms;
use serde::Deserialize;

use super::fields::Fields;
use super::on_aws::OnAws;
use super::opened_key::OpenedKey;
use super::opening::Opening;

/// `type = "aws-kms-discovery"` and `type = "aws-kms-mrk-discovery"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AwsKmsDiscoveryEntry<const MULTI_REGION: bool> {
    accounts: Option<Vec<String>>,
    partition: Option<String>,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

const DECRYPTS_ONLY: &str =
    "discovery opens with whatever key a message names, and encrypts nothing";

#[async_trait]
impl<const MULTI_REGION: bool> Fields for OnAws<AwsKmsDiscoveryEntry<MULTI_REGION>> {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let filter = self.entry.filter()?;
        let config = opening.aws(&self.aws, None).await?;
        let region = config.region().map_or("", |region| region.as_ref());
        let name = match &self.entry.accounts {
            None => format!("any key in {region}"),
            Some(accounts) => format!("keys of {} in {region}", accounts.join(", ")),
        };
        let client = Client::new(&config);
        let tokens = &self.aws.grant_tokens;
        // An object of the S3 Encryption Client does not say whose key it needs, so that no filter
        // could be kept.
        let s3ec = filter
            .is_none()
            .then(|| Kms::discovery(AnyKmsKey::new(client.clone()).with_grant_tokens(tokens)));
        let opened = match MULTI_REGION {
            true => {
                let mut keyring =
                    MultiRegionDiscovery::new(client).map_err(|error| error.to_string())?;
                if let Some(filter) = filter {
                    keyring = keyring.with_filter(filter);
                }
                OpenedKey::new(name, keyring.with_grant_tokens(tokens))
            }
            false => {
                let mut keyring = Discovery::new(client);
                if let Some(filter) = filter {
                    keyring = keyring.with_filter(filter);
                }
                OpenedKey::new(name, keyring.with_grant_tokens(tokens))
            }
        };
        let opened = opened.decrypting_only(DECRYPTS_ONLY);
        Ok(match s3ec {
            Some(s3ec) => opened.with_s3ec(s3ec),
            None => opened,
        })
    }
}

impl<const MULTI_REGION: bool> AwsKmsDiscoveryEntry<MULTI_REGION> {
    fn filter(&self) -> Result<Option<DiscoveryFilter>, String> {
        let partition = self.partition.as_deref();
        match (&self.accounts, partition) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(
                "field \"partition\": goes with \"accounts\", the accounts whose keys may be used"
                    .to_owned(),
            ),
            (Some(accounts), partition) => {
                let partition = partition.unwrap_or("aws");
                if partition.is_empty() {
                    return Err("field \"partition\": is empty; give one such as aws".to_owned());
                }
                let is_account = |account: &String| {
                    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
                };
                if let Some(other) = accounts.iter().find(|account| !is_account(account)) {
                    return Err(format!(
                        "field \"accounts\": {other:?} is no account; one has 12 digits"
                    ));
                }
                DiscoveryFilter::new(partition, accounts)
                    .map(Some)
                    .map_err(|error| format!("field \"accounts\": {error}"))
            }
        }
    }
}
