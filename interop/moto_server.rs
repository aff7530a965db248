use std::path::Path;

use anyhow::Result;
use object_store::ClientOptions;
use tempfile::TempDir;
use tokio::process::Command;

use crate::server::{Server, free_addresses};

/// Any identity will do.
pub(crate) const KEY_ID: &str = "testkey";
/// Its secret.
pub(crate) const SECRET: &str = "testsecret";

/// Emulates S3, KMS and DynamoDB, in memory.
pub(crate) struct MotoServer {
    pub(crate) endpoint: String,
    server: Server,
    /// Lives as long as the server.
    _folder: TempDir,
}

impl MotoServer {
    pub(crate) async fn start(tools: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [address] = free_addresses()?;
        let endpoint = format!("http://{address}");
        let mut command = Command::new(tools.join("python/bin/python"));
        command
            .arg("interop/moto_server.py")
            .args(["--host", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()]);
        let ready = format!("{endpoint}/moto-api/");
        let client = ClientOptions::new().with_allow_http(true);
        let server = Server::start("moto", command, folder.path(), &ready, &client).await?;
        Ok(Self {
            endpoint,
            server,
            _folder: folder,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.server.kill().await
    }
}
