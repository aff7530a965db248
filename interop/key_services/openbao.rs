use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use envelope_vault::{Token, Transit, Vault, VaultBuilder};
use object_store::ClientOptions;
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::server::{Server, free_addresses};
use crate::{outages, program, tokens, transit};

pub(crate) const NAME: &str = "OpenBao";
/// What the keys in every server are: name, and how they are made.
const KEYS: [(&str, &str); 8] = [
    ("aes128", r#"{"type":"aes128-gcm96"}"#),
    ("aes256", r#"{"type":"aes256-gcm96"}"#),
    ("chacha20", r#"{"type":"chacha20-poly1305"}"#),
    ("xchacha20", r#"{"type":"xchacha20-poly1305"}"#),
    ("rsa", r#"{"type":"rsa-2048"}"#),
    ("derived", r#"{"type":"aes256-gcm96","derived":true}"#),
    (
        "derived-chacha20",
        r#"{"type":"chacha20-poly1305","derived":true}"#,
    ),
    ("rotated", r#"{"type":"aes256-gcm96"}"#),
];
/// Where the transit engine is mounted. Mounts of two segments are legal.
pub(crate) const MOUNT: &str = "team/transit";
pub(crate) const ROOT_TOKEN: &str = "root-token-of-the-test";

/// A server in development mode: in memory and unsealed. It speaks TLS with an authority of its own.
pub(crate) struct OpenBao {
    url: String,
    ca_file: PathBuf,
    client: Client,
    server: Server,
    /// Lives as long as the server.
    folder: TempDir,
}

impl OpenBao {
    pub(crate) async fn start(tools: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [address] = free_addresses()?;
        let mut command = Command::new(tools.join("python/bin/bao"));
        command
            .env("HOME", folder.path())
            .args(["server", "-dev-tls", "-dev-no-store-token"])
            .arg(format!("-dev-tls-cert-dir={}", folder.path().display()))
            .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
            .arg(format!("-dev-listen-address={address}"));
        let url = format!("https://{address}");
        // Its authority is made when it starts.
        let blind = ClientOptions::new().with_allow_invalid_certificates(true);
        let ready = format!("{url}/v1/sys/health");
        let server = Server::start(NAME, command, folder.path(), &ready, &blind).await?;
        let ca_file = folder.path().join("vault-ca.pem");
        let root = std::fs::read(&ca_file).context("no certificate of the authority")?;
        let root = Certificate::from_pem(&root)?;
        let bao = Self {
            client: Client::builder().tls_certs_only([root]).build()?,
            url,
            ca_file,
            server,
            folder,
        };
        bao.write(&format!("sys/mounts/{MOUNT}"), json!({"type": "transit"}))
            .await?;
        for (name, settings) in KEYS {
            let settings = serde_json::from_str(settings)?;
            bao.write(&format!("{MOUNT}/keys/{name}"), settings).await?;
        }
        Ok(bao)
    }

    /// Does something as the operator.
    pub(crate) async fn write(&self, path: &str, body: Value) -> Result<Value> {
        self.ask(Method::POST, path, &body).await
    }

    pub(crate) async fn read(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, &Value::Null).await
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let answer = self
            .client
            .request(method, format!("{}/v1/{path}", self.url))
            .header("X-Vault-Token", ROOT_TOKEN)
            .body(body.to_string())
            .send()
            .await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let text = String::from_utf8_lossy(&body);
        ensure!(status.is_success(), "{path}: {status}: {text}");
        match body.is_empty() {
            true => Ok(Value::Null),
            false => Ok(serde_json::from_slice(&body)?),
        }
    }

    /// A token of a policy with these rules, each a path and a capability, and further settings.
    pub(crate) async fn token(&self, rules: &[(&str, &str)], settings: Value) -> Result<String> {
        let rules = rules.iter().map(|(path, capability)| {
            format!("path \"{MOUNT}/{path}\" {{ capabilities = [\"{capability}\"] }}\n")
        });
        let policy: String = rules.collect();
        let name = envelope::random_id()?;
        self.write(
            &format!("sys/policies/acl/{name}"),
            json!({"policy": policy}),
        )
        .await?;
        let mut settings = settings;
        if let Some(fields) = settings.as_object_mut() {
            fields.insert("policies".to_owned(), json!([name]));
        }
        let created = self.write("auth/token/create", settings).await?;
        let token = created.pointer("/auth/client_token");
        let token = token.and_then(Value::as_str).context("no token")?;
        Ok(token.to_owned())
    }

    /// A connection that lacks a token.
    pub(crate) fn builder(&self) -> VaultBuilder {
        Vault::builder(&self.url).ca_file(&self.ca_file)
    }

    pub(crate) fn vault(&self, token: &str) -> Result<Vault> {
        Ok(self
            .builder()
            .token(Token::new(token.to_owned())?)
            .build()?)
    }

    pub(crate) fn keyring(&self, token: &str, key: &str) -> Result<Transit> {
        Ok(Transit::new(self.vault(token)?, MOUNT, key)?)
    }

    /// Of the operator, who may do everything.
    pub(crate) fn root_keyring(&self, key: &str) -> Result<Transit> {
        self.keyring(ROOT_TOKEN, key)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn kill(self) -> Result<()> {
        self.server.kill().await
    }
}

/// Everything, and at last what a sealed and a stopped server mean.
pub(crate) async fn check(tools: &Path) -> Result<()> {
    let bao = OpenBao::start(tools).await?;
    transit::check(&bao).await?;
    tokens::check(&bao).await?;
    program::check_openbao(&bao).await?;
    outages::check(bao).await
}
