use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

/// Names the field, and never shows its value.
pub(super) fn parse_table<T: DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let message = without_value(error.inner().message());
        match error.path().iter().next() {
            Some(Segment::Map { .. }) => format!("field {:?}: {message}", error.path().to_string()),
            _ => message,
        }
    })
}

/// The message without the value that it quotes, which may be a key.
pub(super) fn without_value(message: &str) -> String {
    let quoting = ["invalid type: ", "invalid value: ", "invalid length "];
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if quoting.iter().any(|begin| found.starts_with(begin)) => {
            format!("must be {expected}")
        }
        _ => message.to_owned(),
    }
}
