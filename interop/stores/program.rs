//! The program `envelope` on objects behind URLs, as a user calls it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::suite::{Suite, View};

/// A text of several frames and more than one part.
const LENGTH: usize = 10 << 20;

/// The program in a folder of its own, and what it needs to know to reach a store.
struct Program<'a> {
    folder: TempDir,
    settings: &'a [(&'a str, &'a str)],
}

/// Copies a folder into a store and back, lists, shows a part, and removes everything. `url` is the
/// bucket, and `settings` are environment variables.
pub(crate) async fn check(suite: &Suite, url: &str, settings: &[(&str, &str)]) -> Result<()> {
    let checked = async {
        tokio::task::block_in_place(|| {
            let folder = tempfile::tempdir()?;
            Program { folder, settings }.copy_there_and_back(url)?;
            Ok(String::new())
        })
    };
    suite.check(View::Encrypted, "program", checked).await
}

impl Program<'_> {
    fn copy_there_and_back(&self, url: &str) -> Result<()> {
        let at = |name: &str| self.folder.path().join(name);
        self.run(&["keygen", "aes", "--out", "a.key"])?;
        fs::write(
            at("keyring.toml"),
            "[[key]]\ntype = \"raw-aes\"\nnamespace = \"acme\"\nname = \"a\"\nkey-file = \"a.key\"\n",
        )?;
        let long: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
        let files = [
            ("long", &long[..]),
            ("empty", b""),
            ("below/a b%.txt", b"text"),
        ];
        fs::create_dir_all(at("source/below"))?;
        for (name, content) in files {
            fs::write(at("source").join(name), content)?;
        }
        for format in ["framed", "framed-instruction"] {
            let target = format!("{url}/{format}");
            self.run(&["cp", "-r", "source", &target, "--format", format])?;
            let listed = self.run(&["--output", "json", "ls", "-r", &target])?;
            let listed = String::from_utf8(listed)?;
            for (_, content) in files {
                let size = format!("\"size\":{}", content.len());
                ensure!(listed.contains(&size), "{size} is not in {listed}");
            }
            let range = self.run(&[
                "cat",
                "--range",
                "7000000-7000009",
                &format!("{target}/long"),
            ])?;
            ensure!(
                Some(&*range) == long.get(7_000_000..7_000_010),
                "a range differs"
            );
            let claims = self.run(&["--output", "json", "inspect", &format!("{target}/long")])?;
            let claims = String::from_utf8(claims)?;
            ensure!(
                claims.contains(&format!("\"format\":\"{format}\"")),
                "{claims}"
            );
            self.run(&["cp", "-r", &target, &format!("back-{format}")])?;
            for (name, content) in files {
                let back = fs::read(at(&format!("back-{format}")).join(name))?;
                ensure!(back == content, "{name} came back changed");
            }
            self.run(&["rm", "-r", &target])?;
            let gone = self.output(&["ls", "-r", &target])?;
            ensure!(gone.status.code() == Some(5), "something is left: {gone:?}");
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.output(arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {errors}");
        Ok(output.stdout)
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(program()?);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ENVELOPE_KEYRING", "keyring.toml")
            .envs(self.settings.iter().copied());
        let output = command.output();
        output.with_context(|| format!("cannot start {:?}", command.get_program()))
    }
}

/// It is built beside this one.
fn program() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name("envelope"))
}
