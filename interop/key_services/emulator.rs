use anyhow::{Context, Result};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use aws_types::SdkConfig;
use envelope_aws_kms::{Arn, BranchKeyStore, ClientSupplier, DiscoveryFilter, KmsConfiguration};

use crate::moto_server::{KEY_ID, SECRET};

/// The region of most keys.
pub(crate) const REGION: &str = "eu-west-1";
/// The region of the others.
pub(crate) const OTHER_REGION: &str = "us-east-1";

/// The table of branch keys.
pub(crate) const BRANCH_KEY_TABLE: &str = "branch-keys-restored";
/// What they are bound to: the table was once called so.
pub(crate) const BRANCH_KEY_STORE: &str = "branch-keys";

/// A server that acts as KMS and DynamoDB of every region.
pub(crate) struct Emulator {
    pub(crate) name: &'static str,
    pub(crate) endpoint: String,
    /// Whose keys they are.
    pub(crate) account: &'static str,
}

impl Emulator {
    fn config(&self, region: &str) -> SdkConfig {
        let credentials = Credentials::new(KEY_ID, SECRET, None, None, "interop");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::new(region.to_owned()))
            .endpoint_url(&self.endpoint)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

    pub(crate) fn kms(&self, region: &str) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.config(region))
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config(REGION))
    }

    /// Branch keys under this key, in the one table.
    pub(crate) fn branch_key_store(&self, key: &Arn) -> Result<BranchKeyStore> {
        let configuration = KmsConfiguration::Key(key.clone());
        let (dynamodb, kms) = (self.dynamodb(), self.kms(REGION));
        let store = BranchKeyStore::new(dynamodb, kms, BRANCH_KEY_TABLE, configuration)?;
        Ok(store.with_logical_name(BRANCH_KEY_STORE)?)
    }

    pub(crate) fn supplier(&self) -> ClientSupplier {
        ClientSupplier::from_config(&self.config(REGION))
    }

    /// Lets the account's keys through.
    pub(crate) fn filter(&self) -> Result<DiscoveryFilter> {
        Ok(DiscoveryFilter::new("aws", [self.account])?)
    }

    /// A new symmetric key.
    pub(crate) async fn symmetric_key(&self, region: &str) -> Result<Arn> {
        self.key(region, KeySpec::SymmetricDefault, false).await
    }

    /// A new key that may have replicas.
    pub(crate) async fn multi_region_key(&self, region: &str) -> Result<Arn> {
        self.key(region, KeySpec::SymmetricDefault, true).await
    }

    /// A new key for encryption.
    pub(crate) async fn key(&self, region: &str, spec: KeySpec, multi_region: bool) -> Result<Arn> {
        let request = self.kms(region).create_key().key_spec(spec);
        let request = request.key_usage(KeyUsageType::EncryptDecrypt);
        let created = request.multi_region(multi_region).send().await?;
        let metadata = created.key_metadata.context("no metadata")?;
        Ok(metadata.arn.context("the new key has no ARN")?.parse()?)
    }

    /// A new name for the key.
    pub(crate) async fn alias(&self, alias: &str, key: &Arn) -> Result<()> {
        let request = self.kms(key.region()).create_alias().alias_name(alias);
        request.target_key_id(key.id()).send().await?;
        Ok(())
    }
}
