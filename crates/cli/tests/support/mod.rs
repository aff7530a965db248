//! A folder with a key and a keyring file, and the program that runs in it.

pub mod services;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.run(&["keygen", "aes", "--out", "a.key"]).succeeds();
        folder.write("keyring.toml", raw_aes("a", "key-file = \"a.key\""));
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names in the folder that are not its key and keyring file.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "a.key" && name != "keyring.toml")
            .collect();
        names.sort();
        names
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_envelope"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("ENVELOPE_KEYRING");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run(self.command(arguments).output().unwrap())
    }

    /// With the folder's keyring.
    pub fn keyed(&self, arguments: &[&str]) -> Run {
        self.run(&[&["--keyring", "keyring.toml"], arguments].concat())
    }

    /// With the folder's keyring and this standard input.
    pub fn piped(&self, input: &[u8], arguments: &[&str]) -> Run {
        let mut child = self
            .command(&[&["--keyring", "keyring.toml"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A program that refuses the beginning does not read the rest.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Run(output)
    }
}

/// A `raw-aes` entry of a keyring file.
pub fn raw_aes(name: &str, key: &str) -> String {
    format!("[[key]]\ntype = \"raw-aes\"\nnamespace = \"acme\"\nname = \"{name}\"\n{key}\n")
}

/// What a run of the program left.
pub struct Run(Output);

impl Run {
    pub fn succeeds(&self) -> Vec<u8> {
        assert_eq!(self.0.status.code(), Some(0), "{}", self.errors());
        self.0.stdout.clone()
    }

    /// Checks the exit code and that the first line of the error holds each of the texts.
    pub fn fails(&self, code: i32, texts: &[&str]) {
        let errors = self.errors();
        assert_eq!(self.0.status.code(), Some(code), "{errors}");
        let first = errors.lines().next().unwrap_or_default();
        for text in texts {
            assert!(first.contains(text), "no {text:?} in {errors}");
        }
    }

    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub fn errors(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    pub fn output(&self) -> &[u8] {
        &self.0.stdout
    }
}
