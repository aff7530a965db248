use anyhow::{Context, Result};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use aws_types::SdkConfig;
use envelope_aws_kms::{Arn, ClientSupplier, DiscoveryFilter};

use crate::moto_server::{KEY_ID, SECRET};

/// The region of most keys.
pub(crate) const REGION: &str = "eu-west-1";
/// The region of the others.
pub(crate) const OTHER_REGION: &str = "us-east-1";

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

    /// A multi-region key and its replica.
    pub(crate) async fn replicated_key(&self) -> Result<(Arn, Arn)> {
        let primary = self.multi_region_key(REGION).await?;
        let request = self.kms(REGION).replicate_key().key_id(primary.to_string());
        request.replica_region(OTHER_REGION).send().await?;
        let replica = primary.in_region(OTHER_REGION);
        Ok((primary, replica))
    }

    /// A new key: one on a curve is for key agreement, any other for encryption.
    pub(crate) async fn key(&self, region: &str, spec: KeySpec, multi_region: bool) -> Result<Arn> {
        let usage = match spec {
            KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 => {
                KeyUsageType::KeyAgreement
            }
            _ => KeyUsageType::EncryptDecrypt,
        };
        let request = self.kms(region).create_key().key_spec(spec);
        let request = request.key_usage(usage);
        let created = request.multi_region(multi_region).send().await?;
        let metadata = created.key_metadata.context("no metadata")?;
        Ok(metadata.arn.context("the new key has no ARN")?.parse()?)
    }

    /// DER of the public half of a key.
    pub(crate) async fn public_key(&self, key: &Arn) -> Result<Vec<u8>> {
        let request = self.kms(key.region()).get_public_key();
        let public_key = request.key_id(key.to_string()).send().await?.public_key;
        Ok(public_key.context("no public key")?.into_inner())
    }

    /// A new name for the key.
    pub(crate) async fn alias(&self, alias: &str, key: &Arn) -> Result<()> {
        let request = self.kms(key.region()).create_alias().alias_name(alias);
        request.target_key_id(key.id()).send().await?;
        Ok(())
    }
}
