use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{AlgorithmSuite, EncryptionContext};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::messages::PLAINTEXT;

/// How long the peer may take for one command.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Python's AWS Encryption SDK: a process that takes one command a line.
pub(crate) struct Peer {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub(crate) async fn start(tools: &Path, endpoint: &str) -> Result<Self> {
        let mut process = Command::new(tools.join("python/bin/python"))
            .arg("interop/key_services/peer.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start Python")?;
        let commands = process.stdin.take().context("the peer has no input")?;
        let answers = process.stdout.take().context("the peer has no output")?;
        let mut peer = Self {
            process,
            commands,
            answers: BufReader::new(answers).lines(),
        };
        peer.done(json!({"command": "start", "endpoint": endpoint}))
            .await?;
        Ok(peer)
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

    /// One command that is not refused.
    pub(crate) async fn done(&mut self, command: Value) -> Result<Value> {
        self.ask(command).await?.map_err(anyhow::Error::msg)
    }

    /// One command. The inner error is the peer's.
    pub(crate) async fn ask(&mut self, command: Value) -> Result<Result<Value, String>> {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await?;
        self.commands.flush().await?;
        let answer = timeout(ANSWER_LIMIT, self.answers.next_line()).await;
        let answer = answer
            .with_context(|| format!("the peer does not answer within {ANSWER_LIMIT:?}"))??
            .context("the peer has ended")?;
        let answer: Value = serde_json::from_str(&answer)
            .with_context(|| format!("the peer answers {answer:?}"))?;
        Ok(match answer.get("error").and_then(Value::as_str) {
            Some(refusal) => Err(refusal.to_owned()),
            None => Ok(answer),
        })
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.commands);
        let status = self.process.wait().await?;
        ensure!(status.success(), "the peer ended with {status}");
        Ok(())
    }
}

pub(crate) fn pairs(context: &EncryptionContext) -> Map<String, Value> {
    let pairs = context.iter();
    pairs
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}
