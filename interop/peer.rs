use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Which SDK is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerKind {
    Python,
    JavaScript,
}

impl PeerKind {
    /// Python writes only frame lengths that are multiples of 128.
    pub(crate) fn writes_frame_length(self, frame_length: u32) -> bool {
        self != Self::Python || frame_length.is_multiple_of(128)
    }

    /// JavaScript has no ECDH keyring and no manager for required contexts.
    pub(crate) fn has_ecdh_and_required_context(self) -> bool {
        self == Self::Python
    }
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        })
    }
}

/// A peer's process, which takes one command a line.
pub(crate) struct Peer {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(kind: PeerKind, program: &[String]) -> Result<Self> {
        let (program, arguments) = program.split_first().context("name the peer's program")?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{kind}: cannot start {program}"))?;
        Ok(Self {
            commands: process.stdin.take().context("the peer has no input")?,
            answers: BufReader::new(process.stdout.take().context("the peer has no output")?),
            process,
        })
    }

    pub(crate) fn ask(&mut self, command: &str, folder: &Path) -> Result<()> {
        writeln!(self.commands, "{command} {}", folder.display())?;
        loop {
            let mut answer = String::new();
            ensure!(
                self.answers.read_line(&mut answer)? > 0,
                "the peer has ended"
            );
            match answer.trim_end().split_once(' ') {
                None if answer.trim_end() == "ok" => return Ok(()),
                Some(("failed", fault)) => bail!("{fault}"),
                // Node.js warns on standard output.
                _ => eprint!("{answer}"),
            }
        }
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.commands);
        let status = self.process.wait()?;
        ensure!(status.success(), "the peer ended with {status}");
        Ok(())
    }
}
