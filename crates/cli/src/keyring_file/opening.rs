use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use super::aws_settings::AwsSettings;
use super::shared_files::SharedFiles;

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
    let shared = SharedFiles::load(settings.profile.as_deref()).await?;
    let region = shared.region(settings).await?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECTING)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(CALL);
    // The SDK gives up sooner, and a program that fetches credentials may ask a person.
    let identities = IdentityCache::lazy().load_timeout(CALL);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts.build())
        .retry_config(shared.retries()?)
        .identity_cache(identities.build())
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
