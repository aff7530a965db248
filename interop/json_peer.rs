use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take for one command.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A peer's process, which takes one command a line, and answers each with a line; both are JSON.
pub(crate) struct JsonPeer {
    name: &'static str,
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl JsonPeer {
    /// Starts the process; `name` is what errors call it.
    pub(crate) fn start(name: &'static str, mut command: Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name}: cannot start {command:?}"))?;
        let commands = process.stdin.take().context("the peer has no input")?;
        let answers = process.stdout.take().context("the peer has no output")?;
        Ok(Self {
            name,
            process,
            commands,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// One command. The inner error is the peer's.
    pub(crate) async fn ask(&mut self, command: Value) -> Result<Result<Value, String>> {
        let name = self.name;
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await?;
        self.commands.flush().await?;
        let answer = timeout(ANSWER_LIMIT, self.answers.next_line()).await;
        let answer = answer
            .with_context(|| format!("{name} does not answer within {ANSWER_LIMIT:?}"))??
            .with_context(|| format!("{name} has ended"))?;
        let answer: Value =
            serde_json::from_str(&answer).with_context(|| format!("{name} answers {answer:?}"))?;
        Ok(match answer.get("error").and_then(Value::as_str) {
            Some(refusal) => Err(refusal.to_owned()),
            None => Ok(answer),
        })
    }

    /// One command that is not refused.
    pub(crate) async fn done(&mut self, command: Value) -> Result<Value> {
        let name = self.name;
        let answer = self.ask(command).await?;
        answer.map_err(|refusal| anyhow::anyhow!("{name}: {refusal}"))
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.commands);
        let status = self.process.wait().await?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }
}
