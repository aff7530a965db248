use async_trait::async_trait;
use serde::de::DeserializeOwned;

use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::table::parse_table;

/// The fields of an entry of one type.
#[async_trait]
pub(super) trait Fields: Send + Sync {
    /// Reads files and variables, and calls no service.
    ///
    /// # Errors
    /// A text that names field and remedy.
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String>;
}

/// Reads the fields of one type.
pub(super) fn parse<T: Fields + DeserializeOwned + 'static>(
    table: toml::Table,
) -> Result<Box<dyn Fields>, String> {
    Ok(Box::new(parse_table::<T>(table)?))
}
