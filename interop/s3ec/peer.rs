use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::form::{Form, Format, Wrap};
use crate::json_peer::JsonPeer;
use crate::keys::Keys;
use crate::moto::BUCKET;
use crate::object::{Object, Opened, Pairs, Reading};
use crate::party::{JAVA, PYTHON, RUBY};

/// Which client is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerKind {
    Java,
    Python,
    Ruby,
}

impl PeerKind {
    pub(crate) const ALL: [Self; 3] = [Self::Java, Self::Python, Self::Ruby];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Java => JAVA,
            Self::Python => PYTHON,
            Self::Ruby => RUBY,
        }
    }

    fn command(self, tools: &Path) -> Command {
        match self {
            Self::Java => {
                let java = tools.join("java");
                let mut path = java.join("classes").into_os_string();
                path.push(":");
                path.push(java.join("libraries/*"));
                let mut command = Command::new("java");
                command.arg("-cp").arg(path).arg("interop.Peer");
                command
            }
            Self::Python => {
                let mut command = Command::new(tools.join("python/bin/python"));
                command.arg("interop/s3ec/peer.py");
                command
            }
            Self::Ruby => {
                let mut command = Command::new("ruby");
                // Without warnings that version 1 is deprecated.
                command.args(["-W0", "interop/s3ec/peer.rb"]);
                command
            }
        }
    }
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A client in a process of its own.
pub(crate) struct Peer {
    pub(crate) kind: PeerKind,
    /// What it can write.
    pub(crate) writes: Vec<Form>,
    /// What it can read.
    pub(crate) reads: Vec<Form>,
    /// Whether it uploads in parts.
    pub(crate) multipart: bool,
    process: JsonPeer,
}

impl Peer {
    pub(crate) async fn start(
        kind: PeerKind,
        tools: &Path,
        endpoint: &str,
        keys: &Keys,
    ) -> Result<Self> {
        let mut process = JsonPeer::start(kind.name(), kind.command(tools))?;
        let aes: String = keys.aes.iter().map(|byte| format!("{byte:02x}")).collect();
        let capabilities = process
            .done(json!({
                "command": "start", "endpoint": endpoint, "kms_key_id": keys.kms_key_id,
                "aes": aes, "rsa": keys.rsa_pem,
            }))
            .await?;
        let multipart = capabilities.get("multipart").and_then(Value::as_bool);
        Ok(Self {
            kind,
            writes: forms(&capabilities, "writes")?,
            reads: forms(&capabilities, "reads")?,
            multipart: multipart.context("it does not say whether it uploads in parts")?,
            process,
        })
    }

    /// Stores the object.
    pub(crate) async fn write(&mut self, object: &Object) -> Result<()> {
        let (context, description) = by_wrap(object.form.wrap, &object.pairs);
        self.process
            .done(json!({
                "command": "write", "bucket": BUCKET, "key": object.key,
                "format": object.form.format.name(), "wrap": object.form.wrap.name(),
                "instruction_file": object.form.instruction_file,
                "context": context, "description": description,
                "length": object.length, "multipart": object.multipart,
            }))
            .await?;
        Ok(())
    }

    /// Reads an object. The inner error is the peer's.
    pub(crate) async fn read(&mut self, reading: &Reading) -> Result<Result<Opened, String>> {
        let (context, description) = by_wrap(reading.wrap, &reading.pairs);
        let range = reading
            .range
            .as_ref()
            .map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let answer = self
            .ask(json!({
                "command": "read", "bucket": BUCKET, "key": reading.key,
                "wrap": reading.wrap.name(), "context": context, "description": description,
                "legacy": reading.legacy, "committed_only": reading.committed_only,
                "suffix": reading.suffix, "range": range,
            }))
            .await?;
        let opened = |answer: Value| -> Result<Opened> {
            let length = answer.get("length").and_then(Value::as_u64);
            let sha256 = answer.get("sha256").and_then(Value::as_str);
            Ok(Opened {
                length: length.context("no length in the answer")?.try_into()?,
                sha256: sha256.context("no digest in the answer")?.to_owned(),
            })
        };
        match answer {
            Ok(answer) => Ok(Ok(opened(answer)?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Wraps the data key of an object anew: the instruction file that opens with one reading gives
    /// one that opens with the other.
    pub(crate) async fn reencrypt(
        &mut self,
        format: Format,
        from: &Reading,
        to: &Reading,
    ) -> Result<()> {
        // It puts the dot before the suffix itself.
        let suffix = to.suffix.map(|suffix| suffix.trim_start_matches('.'));
        self.process
            .done(json!({
                "command": "reencrypt_instruction_file", "bucket": BUCKET, "key": from.key,
                "format": format.name(), "wrap": from.wrap.name(), "description": from.pairs,
                "to": { "wrap": to.wrap.name(), "description": to.pairs }, "suffix": suffix,
            }))
            .await?;
        Ok(())
    }

    /// One command. The inner error is the peer's.
    pub(crate) async fn ask(&mut self, command: Value) -> Result<Result<Value, String>> {
        self.process.ask(command).await
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}

/// The context and the description.
pub(crate) fn by_wrap(wrap: Wrap, pairs: &Pairs) -> (Pairs, Pairs) {
    match wrap {
        Wrap::Kms => (pairs.clone(), Pairs::new()),
        Wrap::Aes | Wrap::Rsa => (Pairs::new(), pairs.clone()),
    }
}

fn forms(capabilities: &Value, name: &str) -> Result<Vec<Form>> {
    let forms = capabilities.get(name).and_then(Value::as_array);
    forms
        .with_context(|| format!("no list {name:?}"))?
        .iter()
        .map(|form| form.as_str().context("a form is not text")?.parse())
        .collect()
}
