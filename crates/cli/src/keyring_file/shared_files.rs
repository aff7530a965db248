use std::env;

use aws_config::Region;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{Profile, ProfileFileRegionProvider, load};
use aws_config::retry::{RetryConfig, RetryMode};
use aws_types::os_shim_internal::{Env, Fs};

use super::aws_settings::AwsSettings;

/// What the shared files of AWS say of one profile, and the environment before them. The SDK reads
/// them too; here they are checked, as it panics at some and asks the network for others.
pub(super) struct SharedFiles {
    profile: Option<Profile>,
}

impl SharedFiles {
    /// # Errors
    /// When the files cannot be read, or have no profile of the name that was given.
    pub(super) async fn load(profile: Option<&str>) -> Result<Self, String> {
        let name = profile.map(|name| name.to_owned().into());
        let found = load(&Fs::real(), &Env::real(), &Default::default(), name).await;
        let found = found.map_err(|error| {
            format!("the shared files of AWS cannot be read: {error}; correct them")
        })?;
        let selected = found.get_profile(found.selected_profile()).cloned();
        match (profile, selected) {
            (Some(name), None) => Err(format!(
                "field \"profile\": {name:?} is in none of the shared files of AWS; correct it, or add it"
            )),
            (_, profile) => Ok(Self { profile }),
        }
    }

    /// The region of the entry, of the environment, or of the profile. The SDK's own chain would ask
    /// the network when nothing else knows.
    ///
    /// # Errors
    /// When nothing names one, or what does cannot be one.
    pub(super) async fn region(&self, settings: &AwsSettings) -> Result<Region, String> {
        let region = match &settings.region {
            Some(region) => Some(Region::new(region.clone())),
            None => {
                let mut profile = ProfileFileRegionProvider::builder();
                if let Some(name) = &settings.profile {
                    profile = profile.profile_name(name);
                }
                RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                    .or_else(profile.build())
                    .region()
                    .await
            }
        };
        let region = region.ok_or(
            "field \"region\": nothing names a region; give it here, in AWS_REGION or in the profile",
        )?;
        // It becomes a part of the service's address.
        let name = region.as_ref();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        match !name.is_empty() && name.len() <= 63 && name.bytes().all(legal) {
            true => Ok(region),
            false => Err(format!(
                "field \"region\": {name:?} is no region; give one such as eu-west-1, here, in AWS_REGION or in the profile"
            )),
        }
    }

    /// How calls are tried again.
    ///
    /// # Errors
    /// What is wrong in the environment or the profile.
    pub(super) fn retries(&self) -> Result<RetryConfig, String> {
        let mut retries = RetryConfig::standard();
        if let Some((place, text)) = self.setting("AWS_RETRY_MODE", "retry_mode") {
            let mode = match text.to_ascii_lowercase().as_str() {
                // What other programs of AWS call their older way.
                "standard" | "legacy" => RetryMode::Standard,
                "adaptive" => RetryMode::Adaptive,
                _ => {
                    return Err(format!(
                        "{place}: {text:?} is no way to retry; give standard"
                    ));
                }
            };
            retries = retries.with_retry_mode(mode);
        }
        if let Some((place, text)) = self.setting("AWS_MAX_ATTEMPTS", "max_attempts") {
            match text.parse() {
                Ok(attempts) if attempts > 0 => retries = retries.with_max_attempts(attempts),
                _ => {
                    return Err(format!(
                        "{place}: {text:?} is no number of attempts; give one from 1"
                    ));
                }
            }
        }
        Ok(retries)
    }

    /// A setting of the environment, or of the profile, and where it stands.
    fn setting(&self, variable: &'static str, field: &'static str) -> Option<(String, String)> {
        if let Ok(text) = env::var(variable) {
            return Some((variable.to_owned(), text));
        }
        let profile = self.profile.as_ref()?;
        let text = profile.get(field)?.to_owned();
        Some((format!("{field} of profile {:?}", profile.name()), text))
    }
}
