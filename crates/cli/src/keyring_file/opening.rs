use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
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
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(CONNECTING)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL)
            .build(),
    );
    let mut profile_region = ProfileFileRegionProvider::builder();
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
        profile_region = profile_region.profile_name(profile);
    }
    if let Some(url) = settings.endpoint_url()? {
        loader = loader.endpoint_url(url);
    }
    loader = match &settings.region {
        Some(region) => loader.region(Region::new(region.clone())),
        // Not the default chain: that would ask the network when nothing else knows.
        None => loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(profile_region.build()),
        ),
    };
    let config = loader.load().await;
    match config.region() {
        Some(_) => Ok(config),
        None => Err(
            "field \"region\": nothing names a region; give it here, in AWS_REGION or in the profile"
                .to_owned(),
        ),
    }
}
