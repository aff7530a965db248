use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{AlgorithmSuite, EncryptionContext};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::json_peer::JsonPeer;
use crate::messages::PLAINTEXT;

/// Python's AWS Encryption SDK.
pub(crate) struct Peer(JsonPeer);

impl Peer {
    pub(crate) async fn start(tools: &Path, endpoint: &str) -> Result<Self> {
        let mut command = Command::new(tools.join("python/bin/python"));
        command.arg("interop/key_services/peer.py");
        let mut peer = JsonPeer::start("Python", command)?;
        peer.done(json!({"command": "start", "endpoint": endpoint}))
            .await?;
        Ok(Self(peer))
    }

    /// Writes a message.
    pub(crate) async fn seal(
        &mut self,
        keyring: &Value,
        suite: AlgorithmSuite,
        context: &EncryptionContext,
    ) -> Result<Result<Vec<u8>, String>> {
        let answer = self
            .ask(json!({
                "command": "encrypt", "keyring": keyring, "suite": suite.id(),
                "context": pairs(context), "plaintext": STANDARD.encode(PLAINTEXT),
            }))
            .await?;
        match answer {
            Ok(answer) => {
                let message = answer.get("message").and_then(Value::as_str);
                Ok(Ok(STANDARD.decode(message.context("no message")?)?))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Reads a message, and ensures that it is what was written. The inner error is a refusal.
    pub(crate) async fn opens(
        &mut self,
        keyring: &Value,
        message: &[u8],
        suite: AlgorithmSuite,
        context: &EncryptionContext,
    ) -> Result<Result<(), String>> {
        let answer = self
            .ask(json!({
                "command": "decrypt", "keyring": keyring, "context": pairs(context),
                "message": STANDARD.encode(message),
            }))
            .await?;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let plaintext = answer.get("plaintext").and_then(Value::as_str);
        ensure!(
            plaintext == Some(STANDARD.encode(PLAINTEXT).as_str()),
            "another plaintext"
        );
        let found = answer.get("suite").and_then(Value::as_u64);
        ensure!(found == Some(suite.id().into()), "another suite");
        let found = answer.get_mut("context").and_then(Value::as_object_mut);
        let found = found.context("no context")?;
        found.remove("aws-crypto-public-key");
        ensure!(*found == pairs(context), "another context");
        Ok(Ok(()))
    }

    /// One command. The inner error is the peer's.
    pub(crate) async fn ask(&mut self, command: Value) -> Result<Result<Value, String>> {
        self.0.ask(command).await
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.0.stop().await
    }
}

pub(crate) fn pairs(context: &EncryptionContext) -> Map<String, Value> {
    let pairs = context.iter();
    pairs
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}
