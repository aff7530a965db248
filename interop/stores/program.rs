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

/// Copies a folder into a store and back, lists, shows a part, gives objects other keys, and removes
/// everything. `url` is the bucket, and `settings` are environment variables.
pub(crate) async fn check(suite: &Suite, url: &str, settings: &[(&str, &str)]) -> Result<()> {
    let checked = async {
        tokio::task::block_in_place(|| {
            let folder = tempfile::tempdir()?;
            let program = Program { folder, settings };
            program.prepare()?;
            program.copy_there_and_back(url)?;
            match url.starts_with("az://") {
                true => program.refuse_s3ec(url)?,
                false => program.use_s3ec(&format!("{url}/s3ec"))?,
            }
            Ok(String::new())
        })
    };
    suite.check(View::Encrypted, "program", checked).await
}

/// Objects of the S3 Encryption Client: their format, and what it takes to write them.
const S3EC: [(&str, &[&str]); 4] = [
    ("s3ec-v3", &["--format", "s3ec-v3"]),
    ("s3ec-v3", &["--format", "s3ec-v3", "--instruction-file"]),
    ("s3ec-v2", &["--format", "s3ec-v2", POLICY, FORBID]),
    (
        "s3ec-v2",
        &["--format", "s3ec-v2", "--instruction-file", POLICY, FORBID],
    ),
];
const POLICY: &str = "--commitment-policy";
const FORBID: &str = "forbid-encrypt-allow-decrypt";
const ALLOW: [&str; 2] = [POLICY, "require-encrypt-allow-decrypt"];

impl Program<'_> {
    /// A key and its keyring file, and others.
    fn prepare(&self) -> Result<()> {
        for (name, file) in [("a", "keyring.toml"), ("b", "new.toml")] {
            self.run(&["keygen", "aes", "--out", &format!("{name}.key")])?;
            let keyring = format!(
                "[[key]]\ntype = \"raw-aes\"\nnamespace = \"acme\"\nname = \"{name}\"\n\
                key-file = \"{name}.key\"\nmaterial-description = {{ kid = \"{name}\" }}\n"
            );
            fs::write(self.folder.path().join(file), keyring)?;
        }
        Ok(())
    }

    /// Azure's names of metadata have no hyphens.
    fn refuse_s3ec(&self, url: &str) -> Result<()> {
        let object = format!("{url}/x");
        self.fails(
            2,
            "hyphens",
            &["cp", "a.key", &object, "--format", "s3ec-v3"],
        )
    }

    /// Writes objects as the S3 Encryption Client does, reads them, gives them other keys, and makes
    /// framed ones of them and back.
    fn use_s3ec(&self, url: &str) -> Result<()> {
        let long: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
        fs::write(self.folder.path().join("long"), &long)?;
        fs::write(self.folder.path().join("short"), "text")?;
        for (number, (format, options)) in S3EC.into_iter().enumerate() {
            let object = |name: &str| format!("{url}/{number}/{name}");
            let in_file = options.contains(&"--instruction-file");
            for name in ["long", "short"] {
                self.run(&[&["cp", name, &object(name)], options].concat())?;
            }
            let listed = self.run(&["--output", "json", "ls", "-r", &object("")])?;
            let listed = String::from_utf8(listed)?;
            ensure!(listed.lines().count() == 2, "not two objects: {listed}");
            ensure!(listed.contains("\"size\":4"), "{listed}");
            ensure!(listed.contains(&format!("\"size\":{LENGTH}")), "{listed}");
            let claims = self.run(&["--output", "json", "inspect", &object("long")])?;
            let claims = String::from_utf8(claims)?;
            for claim in [
                format!("\"format\":\"{format}\""),
                "\"wrap_algorithm\":\"AES/GCM\"".to_owned(),
                "\"material_description\":{\"kid\":\"a\"}".to_owned(),
                format!("\"plaintext_length\":{LENGTH}"),
            ] {
                ensure!(claims.contains(&claim), "{claim} is not in {claims}");
            }
            ensure!(claims.contains(".instruction\"") == in_file, "{claims}");
            self.read_s3ec(&object("long"), &long)?;
            self.replace_keys(&object("short"), format, in_file)?;
            self.run(&["rm", &object("long")])?;
            self.run(&["rm", "-r", &object("")])?;
            self.fails(5, "", &["ls", "-r", &object("")])?;
        }
        Ok(())
    }

    /// Whole, and in part as far as that is allowed by name.
    fn read_s3ec(&self, object: &str, content: &[u8]) -> Result<()> {
        let cat = [&["cat", object], &ALLOW[..]].concat();
        ensure!(self.run(&cat)? == content, "{object} came back changed");
        let spooled = [&cat[..], &["--wait-in-memory", "1MiB"]].concat();
        ensure!(self.run(&spooled)? == content, "{object} came back changed");
        let delayed = [&cat[..], &["--delayed-authentication"]].concat();
        ensure!(self.run(&delayed)? == content, "{object} came back changed");
        let range = [&cat[..], &["--range", "7000000-7000009"]].concat();
        let switch = "--allow-legacy-unauthenticated";
        self.fails(2, switch, &range)?;
        let range = self.run(&[&range[..], &[switch]].concat())?;
        ensure!(
            Some(&*range) == content.get(7_000_000..7_000_010),
            "a range of {object} differs"
        );
        Ok(())
    }

    fn replace_keys(&self, object: &str, format: &str, in_file: bool) -> Result<()> {
        let cat = |keyring: &str| {
            let cat = ["--keyring", keyring, "cat", object];
            self.run(&[&cat, &ALLOW[..]].concat())
        };
        let rewrap = ["rewrap", object, "--to", "new.toml"];
        let rewrap = [&rewrap[..], &ALLOW].concat();
        if in_file {
            self.run(&[&rewrap[..], &["--suffix", ".partner"]].concat())?;
            ensure!(cat("keyring.toml")? == b"text", "the old file was lost");
            let partner = ["--instruction-suffix", ".partner"];
            let read = ["--keyring", "new.toml", "cat", object];
            let read = self.run(&[&read, &ALLOW[..], &partner].concat())?;
            ensure!(read == b"text", "the partner's file opens something else");
            self.fails(
                2,
                "material description",
                &[&["rewrap", object, "--to", "keyring.toml"], &ALLOW[..]].concat(),
            )?;
            self.run(&[&rewrap[..], &["--enforce-rotation"]].concat())?;
            self.run(&["rm", &format!("{object}.partner")])?;
        } else {
            self.fails(2, "reencrypt", &rewrap)?;
            let reencrypt = ["reencrypt", object, "--to", "new.toml", "--format"];
            let policy = match format {
                "s3ec-v2" => FORBID,
                _ => "require-encrypt-require-decrypt",
            };
            self.run(&[&reencrypt[..], &[format, POLICY, policy]].concat())?;
        }
        ensure!(
            cat("new.toml")? == b"text",
            "the new keys open it otherwise"
        );
        let old = ["cat", object];
        self.fails(3, "description", &[&old[..], &ALLOW].concat())?;
        let keyring = ["--keyring", "new.toml"];
        for (format, options) in [("framed", &[][..]), ("s3ec-v3", &["--instruction-file"])] {
            let reencrypt = ["reencrypt", object, "--to", "new.toml", "--format", format];
            self.run(&[&keyring[..], &reencrypt, &ALLOW, options].concat())?;
            let claims = self.run(&["--output", "json", "inspect", object])?;
            let claims = String::from_utf8(claims)?;
            let format = format!("\"format\":\"{format}\"");
            ensure!(claims.contains(&format), "{format} is not in {claims}");
            ensure!(cat("new.toml")? == b"text", "it was changed on the way");
        }
        Ok(())
    }

    fn copy_there_and_back(&self, url: &str) -> Result<()> {
        let at = |name: &str| self.folder.path().join(name);
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

    /// Fails with this code, and says this.
    fn fails(&self, code: i32, text: &str, arguments: &[&str]) -> Result<()> {
        let output = self.output(arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let expected = output.status.code() == Some(code) && errors.contains(text);
        ensure!(
            expected,
            "{arguments:?} is to fail with {code} and {text:?}: {errors}"
        );
        Ok(())
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
