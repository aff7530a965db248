use serde::de::DeserializeOwned;

use super::aws_settings::AwsSettings;
use super::fields::Fields;

/// An entry of a type on AWS: the fields that all of them take, and its own.
pub(super) struct OnAws<T> {
    pub(super) aws: AwsSettings,
    pub(super) entry: T,
}

/// Reads the fields of one type on AWS.
pub(super) fn parse<T: DeserializeOwned>(table: toml::Table) -> Result<Box<dyn Fields>, String>
where
    OnAws<T>: Fields + 'static,
{
    let (aws, entry) = AwsSettings::split(table)?;
    Ok(Box::new(OnAws::<T> { aws, entry }))
}
