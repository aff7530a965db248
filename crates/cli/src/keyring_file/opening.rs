use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

use super::aws_settings::AwsSettings;

/// What entries share while they are opened.
pub(super) struct Opening<'a> {
    /// The keyring file; paths are relative to it.
    pub(super) file: &'a Path,
    /// Of entries with the same settings, so that credentials are asked for once.
    configs: HashMap<AwsSettings, SdkConfig>,
}

/// A call ends after this time, with all its attempts and the search for credentials.
const CALL: Duration = Duration::from_secs(30);
const ATTEMPT: Duration = Duration::from_secs(10);
const CONNECTING: Duration = Duration::from_secs(5);

impl<'a> Opening<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Self {
            file,
            configs: HashMap::new(),
        }
    }

    /// How AWS is called: as the entry says, then `region` (an ARN's), then the environment and the
    /// profile. Nothing is sent.
    ///
    /// # Errors
    /// When nothing names a region.
    pub(super) async fn aws(
        &mut self,
        settings: &AwsSettings,
        region: Option<&str>,
    ) -> Result<SdkConfig, String> {
        let settings = settings.clone().or_region(region);
        if let Some(config) = self.configs.get(&settings) {
            return Ok(config.clone());
        }
        let config = load(&settings).await?;
        self.configs.insert(settings, config.clone());
        Ok(config)
    }
}

async fn load(settings: &AwsSettings) -> Result<SdkConfig, String> {
    let region = region(settings).await.ok_or(
        "field \"region\": nothing names a region; give it here, in AWS_REGION or in the profile",
    )?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECTING)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(CALL);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts.build())
        .region(region.clone());
    if let Some(profile) = &settings.profile {
        // Before credentials of the environment, which go first otherwise.
        let provider = ProviderConfig::without_region().with_region(Some(region));
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&provider)
            .profile_name(profile);
        loader = loader
            .profile_name(profile)
            .credentials_provider(credentials.build());
    }
    if let Some(url) = settings.endpoint_url()? {
        loader = loader.endpoint_url(url);
    }
    Ok(loader.load().await)
}

/// Not by the SDK's default chain: that would ask the network when nothing else knows.
async fn region(settings: &AwsSettings) -> Option<Region> {
    if let Some(region) = &settings.region {
        return Some(Region::new(region.clone()));
    }
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build())
        .region()
        .await
}
