use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::table::parse_table;

/// How an entry reaches AWS, where that is not as the environment says.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AwsSettings {
    pub(super) region: Option<String>,
    pub(super) profile: Option<String>,
    endpoint_url: Option<String>,
    #[serde(default)]
    pub(super) grant_tokens: Vec<String>,
}

/// The fields of every type on AWS.
const FIELDS: [&str; 4] = ["region", "profile", "endpoint-url", "grant-tokens"];

impl AwsSettings {
    /// The settings, and the other fields, of one type.
    pub(super) fn split<T: DeserializeOwned>(mut table: toml::Table) -> Result<(Self, T), String> {
        let shared = FIELDS
            .into_iter()
            .filter_map(|field| table.remove_entry(field));
        let settings = parse_table(shared.collect())?;
        let fields =
            parse_table(table).map_err(|fault: String| match fault.contains("unknown field") {
                true => format!("{fault}, or one of all types on AWS: {}", FIELDS.join(", ")),
                false => fault,
            })?;
        Ok((settings, fields))
    }

    /// With this region where the entry names none.
    pub(super) fn or_region(self, region: Option<&str>) -> Self {
        Self {
            region: self.region.or_else(|| region.map(str::to_owned)),
            ..self
        }
    }

    pub(super) fn endpoint_url(&self) -> Result<Option<&str>, String> {
        let Some(text) = &self.endpoint_url else {
            return Ok(None);
        };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(text)),
            _ => Err(format!(
                "field \"endpoint-url\": {text:?} is no URL of a service; give one such as https://kms.eu-west-1.amazonaws.com"
            )),
        }
    }
}
