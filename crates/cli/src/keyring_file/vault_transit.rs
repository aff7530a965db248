use std::path::PathBuf;

use async_trait::async_trait;
use envelope_vault::{Binding, Error, Token, Transit, Vault};
use serde::Deserialize;
use url::{Host, Url};

use super::fields::Fields;
use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::secret_file::{beside, private_path, read_variable};

/// `type = "vault-transit"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VaultTransitEntry {
    address: String,
    #[serde(default = "default_mount")]
    mount: String,
    key: String,
    #[serde(default)]
    binding: BindingName,
    token_env: Option<String>,
    token_file: Option<PathBuf>,
    namespace: Option<String>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    allow_http: bool,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
enum BindingName {
    #[default]
    AssociatedData,
    DerivedKey,
}

fn default_mount() -> String {
    "transit".to_owned()
}

#[async_trait]
impl Fields for VaultTransitEntry {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let mut builder = Vault::builder(&self.address);
        builder = match (&self.token_env, &self.token_file) {
            (Some(variable), None) => {
                let mut text = read_variable("token-env", variable)?;
                let token = Token::new(std::mem::take(&mut *text));
                builder.token(token.map_err(|error| format!("field \"token-env\": {error}"))?)
            }
            (None, Some(path)) => {
                builder.token_file(private_path("token-file", opening.file, path)?)
            }
            _ => {
                return Err(
                    "give the token in exactly one of \"token-env\" and \"token-file\"".to_owned(),
                );
            }
        };
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(path) = &self.ca_file {
            builder = builder.ca_file(beside(opening.file, path));
        }
        if self.allow_http || is_this_machine(&self.address) {
            builder = builder.allow_http();
        }
        let vault = builder.build().map_err(described)?;
        let transit = Transit::new(vault, &self.mount, &self.key).map_err(described)?;
        let binding = match self.binding {
            BindingName::AssociatedData => Binding::AssociatedData,
            BindingName::DerivedKey => Binding::DerivedKey,
        };
        let name = format!("{}/{} at {}", self.mount, self.key, self.address);
        Ok(OpenedKey::new(name, transit.with_binding(binding)))
    }
}

/// What goes there passes no network.
fn is_this_machine(address: &str) -> bool {
    let address = Url::parse(address).ok();
    match address.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Names the field that is wrong.
fn described(error: Error) -> String {
    let field = match &error {
        Error::NotAnAddress { .. } => "address",
        Error::PlainHttp { address } => {
            return format!(
                "field \"address\": {address} is plain HTTP, which shows the token and the data \
                keys to the network; use https, or allow it by allow-http = true"
            );
        }
        Error::TokenNotValid | Error::TokenFile { .. } => "token-file",
        Error::CaFile { .. } => "ca-file",
        Error::NotAName { what, .. } if what.contains("namespace") => "namespace",
        Error::NotAName { what, .. } if what.contains("mount") => "mount",
        Error::NotAName { .. } => "key",
        _ => return error.to_string(),
    };
    format!("field {field:?}: {error}")
}
