//! The program `envelope` with keys that services hold, as a user calls it.

use std::path::PathBuf;
use std::process::Output;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use aws_sdk_kms::types::KeySpec;
use envelope_aws_kms::Arn;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::check::check as one;
use crate::emulator::{Emulator, OTHER_REGION, REGION};
use crate::moto_server::{KEY_ID, SECRET};
use crate::openbao::{MOUNT, OpenBao};

const PLAINTEXT: &[u8] = b"for whoever may use the key";
const ENCRYPT: [&str; 3] = ["encrypt", "plain", "sealed"];
const CONTEXT: [&str; 2] = ["--context", "tenant=acme"];
/// RSA keys of KMS serve no suite with a signature.
const UNSIGNED: [&str; 2] = ["--suite", "0478"];

/// Symmetric keys, objects of the S3 Encryption Client and branch keys.
pub(crate) async fn check_moto(kms: &Emulator) -> Result<()> {
    let program = Program::of_aws(kms)?;
    let key = kms.symmetric_key(REGION).await?;
    let checked = async {
        let own = program.keyring("own", &[entry("aws-kms", &[key_id(&key)])])?;
        let alias = "alias/of-the-program";
        kms.alias(alias, &key).await?;
        let alias = format!("key-id = {alias:?}");
        let alias = program.keyring("alias", &[entry("aws-kms", &[alias])])?;
        let accounts = format!("accounts = [{:?}]", kms.account);
        let discovery = entry("aws-kms-discovery", &[accounts]);
        let discovery = program.keyring("discovery", &[discovery])?;
        for writer in [&own, &alias] {
            for reader in [&own, &discovery] {
                program.round_trip(writer, reader, &[]).await?;
            }
        }
        program.round_trip(&own, &own, &CONTEXT).await?;
        program.refuses_another_context(&own).await?;
        program.refuses(&discovery, 2, "encrypts nothing").await?;
        Ok("4 pairs of keyrings".to_owned())
    };
    one(kms.name, "program: messages", checked).await?;
    let objects = s3_objects(&program, kms, &key);
    one(kms.name, "program: S3 objects", objects).await?;
    let branch_keys = branch_keys(&program, &key);
    one(kms.name, "program: branch keys", branch_keys).await?;
    let checked = async {
        // It wraps with keys of several regions and opens with none of them.
        let denied = kms.multi_region_key(REGION).await?;
        let entries = [
            entry("aws-kms", &[key_id(&key)]),
            entry("aws-kms-mrk", &[key_id(&denied)]),
            entry("aws-kms-discovery", &[]),
        ];
        let keyring = program.keyring("checked", &entries)?;
        let shown = program.check(&keyring, 1).await?;
        ensure!(results(&shown, 0) == ["ok", "ok", "ok"], "{shown}");
        ensure!(results(&shown, 1) == ["ok", "ok", "no"], "{shown}");
        // Discovery is tried with what either wrapped.
        ensure!(results(&shown, 2) == ["n/a", "n/a", "no"], "{shown}");
        let reason = reason(&shown, 1, "decrypt");
        let denied = denied.to_string();
        for part in [
            "AccessDeniedException: allow kms:Decrypt",
            "(request ",
            &denied,
        ] {
            ensure!(reason.contains(part), "no {part:?} in: {reason}");
        }
        Ok(reason)
    };
    one(kms.name, "program: keys check", checked).await
}

/// Written, listed, read, and given other keys.
async fn s3_objects(program: &Program<'_>, kms: &Emulator, key: &Arn) -> Result<String> {
    let bucket = format!("{}/of-the-program", kms.endpoint);
    Client::new().put(bucket).send().await?.error_for_status()?;
    let own = program.keyring("s3", &[entry("aws-kms", &[key_id(key)])])?;
    let next = kms.symmetric_key(REGION).await?;
    let next = program.keyring("s3-next", &[entry("aws-kms", &[key_id(&next)])])?;
    let discovery = program.keyring("s3-discovery", &[entry("aws-kms-discovery", &[])])?;
    for (name, options) in [("plain", &[][..]), ("in-file", &["--instruction-file"])] {
        let object = format!("s3://of-the-program/{name}");
        let write = ["cp", "plain", &object, "--format", "s3ec-v3"];
        program
            .run(&own, &[&write[..], &CONTEXT, options].concat())
            .await?;
        let claims = program
            .run(&own, &["--output", "json", "inspect", &object])
            .await?;
        let claims: Value = serde_json::from_slice(&claims)?;
        ensure!(
            text(&claims, "/wrap_algorithm") == "kms+context",
            "{claims}"
        );
        let cat = [&["cat", &object], &CONTEXT[..]].concat();
        for reader in [&own, &discovery] {
            ensure!(program.run(reader, &cat).await? == PLAINTEXT, "altered");
        }
        let without = program.output(&own, &["cat", &object]).await?;
        refused(&without, 4, "encryption context")?;
        let replace = match name {
            "plain" => &["reencrypt", &object, "--to", &next, "--format", "s3ec-v3"][..],
            _ => &["rewrap", &object, "--to", &next],
        };
        program.run(&own, &[replace, &CONTEXT].concat()).await?;
        ensure!(program.run(&next, &cat).await? == PLAINTEXT, "altered");
        // KMS itself says `IncorrectKeyException`.
        refused(
            &program.output(&own, &cat).await?,
            3,
            "AccessDeniedException",
        )?;
    }
    Ok("in metadata and in instruction files".to_owned())
}

/// Made and versioned, and what older versions wrote is read.
async fn branch_keys(program: &Program<'_>, key: &Arn) -> Result<String> {
    let shared = [
        "table = \"of-the-program\"".to_owned(),
        "logical-name = \"branch-keys\"".to_owned(),
        format!("kms-key-arn = \"{key}\""),
        "cache-max-age = \"10m\"".to_owned(),
    ];
    let hierarchy = |supplier: &str| {
        let fields = [&shared[..], &[supplier.to_owned()]].concat();
        entry("aws-kms-hierarchy", &fields)
    };
    let keyring = hierarchy("branch-key-from-context = \"tenant\"");
    let keyring = program.keyring("per-tenant", &[keyring])?;
    let missing = ["keys", "create", "--id", "acme", "--context", "kind=x"];
    refused(&program.output(&keyring, &missing).await?, 2, "dynamodb:")?;
    for _ in 0..2 {
        let made = program.run(&keyring, &["keys", "create-table"]).await?;
        ensure!(made == b"table of-the-program is ready\n", "{made:?}");
    }
    for tenant in ["acme", "other"] {
        let create = ["keys", "create", "--id", tenant, "--context", "kind=x"];
        let id = program.run(&keyring, &create).await?;
        ensure!(id == format!("{tenant}\n").as_bytes(), "{id:?}");
        refused(
            &program.output(&keyring, &create).await?,
            2,
            "exists already",
        )?;
    }
    let missing = ["keys", "version", "--id", "nobody"];
    refused(&program.output(&keyring, &missing).await?, 3, "\"nobody\"")?;
    program.round_trip(&keyring, &keyring, &CONTEXT).await?;
    fs::rename(program.path("sealed"), program.path("old"))?;
    let version = ["--output", "json", "keys", "version", "--id", "acme"];
    let version: Value = serde_json::from_slice(&program.run(&keyring, &version).await?)?;
    for (field, expected) in [("/branch_key_id", "acme"), ("/logical_name", "branch-keys")] {
        ensure!(text(&version, field) == expected, "{version}");
    }
    let uuid = text(&version, "/version");
    ensure!(uuid.len() == 36, "{uuid:?} is no UUID");
    program.round_trip(&keyring, &keyring, &CONTEXT).await?;
    let fixed = program.keyring("fixed", &[hierarchy("branch-key-id = \"acme\"")])?;
    let old = program.run(&fixed, &["decrypt", "old", "-"]).await?;
    ensure!(old == PLAINTEXT, "altered");
    let other = program.keyring("other", &[hierarchy("branch-key-id = \"other\"")])?;
    let foreign = program.output(&other, &["decrypt", "old", "-"]).await?;
    refused(&foreign, 3, "skipped: another branch key")?;
    let check = ["keys", "check", "--context", "tenant=acme"];
    program.run(&keyring, &check).await?;
    let random = program.run(&keyring, &["keys", "create"]).await?;
    ensure!(random.len() == 37, "{random:?} is no UUID");
    Ok("made, versioned, and old ones read".to_owned())
}

/// Keys of several regions, RSA, and a disabled key.
pub(crate) async fn check_ministack(kms: &Emulator) -> Result<()> {
    let program = Program::of_aws(kms)?;
    let checked = async {
        let primary = kms.multi_region_key(REGION).await?;
        let replicate = kms.kms(REGION).replicate_key().key_id(primary.to_string());
        replicate.replica_region(OTHER_REGION).send().await?;
        let replica = primary.in_region(OTHER_REGION);
        let here = program.keyring("here", &[entry("aws-kms-mrk", &[key_id(&primary)])])?;
        let there = program.keyring("there", &[entry("aws-kms-mrk", &[key_id(&replica)])])?;
        let region = format!("region = {OTHER_REGION:?}");
        let discovery = entry("aws-kms-mrk-discovery", &[region]);
        let discovery = program.keyring("discovery", &[discovery])?;
        for (writer, reader) in [(&here, &there), (&there, &here), (&here, &discovery)] {
            program.round_trip(writer, reader, &CONTEXT).await?;
        }
        let strict = program.keyring("strict", &[entry("aws-kms", &[key_id(&replica)])])?;
        program.run(&here, &ENCRYPT).await?;
        let opened = program.output(&strict, &["decrypt", "sealed", "-"]).await?;
        refused(&opened, 3, "skipped: another key")?;
        Ok("both ways, and by discovery".to_owned())
    };
    one(kms.name, "program: replicas", checked).await?;
    let rsa = kms.key(REGION, KeySpec::Rsa2048, false).await?;
    let checked = async {
        for padding in ["oaep-sha1", "oaep-sha256"] {
            let fields = [key_id(&rsa), format!("padding = {padding:?}")];
            let keyring = program.keyring("rsa", &[entry("aws-kms-rsa", &fields)])?;
            let options = [&CONTEXT[..], &UNSIGNED].concat();
            program.round_trip(&keyring, &keyring, &options).await?;
            program.refuses(&keyring, 2, "signature").await?;
        }
        Ok("public key fetched".to_owned())
    };
    one(kms.name, "program: RSA", checked).await?;
    let checked = async {
        let good = kms.symmetric_key(REGION).await?;
        let disabled = kms.symmetric_key(REGION).await?;
        let disable = kms.kms(REGION).disable_key();
        disable.key_id(disabled.to_string()).send().await?;
        let entries = [
            entry("aws-kms", &[key_id(&good)]),
            entry("aws-kms", &[key_id(&disabled)]),
            entry("aws-kms-rsa", &[key_id(&rsa)]),
        ];
        let keyring = program.keyring("checked", &entries)?;
        let shown = program.check(&keyring, 1).await?;
        ensure!(results(&shown, 0) == ["ok", "ok", "ok"], "{shown}");
        ensure!(results(&shown, 1) == ["no", "no", "untried"], "{shown}");
        ensure!(results(&shown, 2) == ["ok", "ok", "ok"], "{shown}");
        for (tried, call) in [
            ("generate", "kms:GenerateDataKey"),
            ("encrypt", "kms:Encrypt"),
        ] {
            let reason = reason(&shown, 1, tried);
            for part in [call, "DisabledException: the key is disabled; enable it"] {
                ensure!(reason.contains(part), "no {part:?} in: {reason}");
            }
        }
        Ok(reason(&shown, 1, "encrypt"))
    };
    one(kms.name, "program: keys check", checked).await
}

/// Keys of both bindings, and a token that may only encrypt.
pub(crate) async fn check_openbao(bao: &OpenBao) -> Result<()> {
    let program = Program::new(Vec::new())?;
    let name = crate::openbao::NAME;
    let write_token = |file: &str, token: &str| -> Result<()> {
        fs::write(program.path(file), token)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(program.path(file), fs::Permissions::from_mode(0o600))?;
        }
        Ok(())
    };
    let rules = ["aes256", "derived"].map(|key| {
        [
            (format!("keys/{key}"), "read"),
            (format!("encrypt/{key}"), "update"),
            (format!("decrypt/{key}"), "update"),
        ]
    });
    let rules: Vec<_> = rules
        .iter()
        .flatten()
        .map(|(path, may)| (&**path, *may))
        .collect();
    write_token("token", &bao.token(&rules, json!({})).await?)?;
    let rules = [("keys/aes256", "read"), ("encrypt/aes256", "update")];
    write_token("writer", &bao.token(&rules, json!({})).await?)?;
    let transit = |key: &str, token: &str, binding: &str| {
        let fields = [
            format!("address = {:?}", bao.url()),
            format!("ca-file = {:?}", bao.folder().join("vault-ca.pem")),
            format!("mount = {MOUNT:?}"),
            format!("key = {key:?}"),
            format!("token-file = {token:?}"),
            format!("binding = {binding:?}"),
        ];
        entry("vault-transit", &fields)
    };
    let checked = async {
        for (key, binding) in [("aes256", "associated-data"), ("derived", "derived-key")] {
            let keyring = program.keyring(key, &[transit(key, "token", binding)])?;
            program.round_trip(&keyring, &keyring, &CONTEXT).await?;
            program.refuses_another_context(&keyring).await?;
        }
        let unfit = transit("derived", "token", "associated-data");
        let unfit = program.keyring("unfit", &[unfit])?;
        program.refuses(&unfit, 2, "the key is derived").await?;
        Ok("both bindings".to_owned())
    };
    one(name, "program: messages", checked).await?;
    let checked = async {
        let entries = [
            transit("aes256", "token", "associated-data"),
            transit("aes256", "writer", "associated-data"),
        ];
        let keyring = program.keyring("checked", &entries)?;
        let shown = program.check(&keyring, 1).await?;
        ensure!(results(&shown, 0) == ["ok", "ok", "ok"], "{shown}");
        ensure!(results(&shown, 1) == ["ok", "ok", "no"], "{shown}");
        let reason = reason(&shown, 1, "decrypt");
        for part in ["decrypt/aes256: permission denied", "capability \"update\""] {
            ensure!(reason.contains(part), "no {part:?} in: {reason}");
        }
        Ok(reason)
    };
    one(name, "program: keys check", checked).await
}

/// The program in a folder of its own, and what it needs to know to reach a service.
struct Program<'a> {
    folder: TempDir,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Program<'a> {
    fn new(settings: Vec<(&'a str, &'a str)>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("plain"), PLAINTEXT)?;
        Ok(Self { folder, settings })
    }

    fn of_aws(kms: &'a Emulator) -> Result<Self> {
        Self::new(vec![
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", &kms.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A keyring file of these entries, and its name.
    fn keyring(&self, name: &str, entries: &[String]) -> Result<String> {
        let file = format!("{name}.toml");
        fs::write(self.path(&file), entries.concat())?;
        Ok(file)
    }

    /// Encrypts under one keyring file to `sealed`, and decrypts under another.
    async fn round_trip(&self, writer: &str, reader: &str, options: &[&str]) -> Result<()> {
        let encrypt = [&ENCRYPT, options].concat();
        self.run(writer, &encrypt).await?;
        let opened = self.run(reader, &["decrypt", "sealed", "-"]).await?;
        ensure!(opened == PLAINTEXT, "{writer}, {reader}: altered");
        Ok(())
    }

    /// The service does, for a pair that the message does not store.
    async fn refuses_another_context(&self, keyring: &str) -> Result<()> {
        let encrypt = [
            "encrypt",
            "plain",
            "sealed",
            "--required-context-key",
            "tenant",
        ];
        self.run(keyring, &[&encrypt[..], &CONTEXT].concat())
            .await?;
        let decrypt = [&["decrypt", "sealed", "-"][..], &CONTEXT].concat();
        ensure!(self.run(keyring, &decrypt).await? == PLAINTEXT, "altered");
        let decrypt = ["decrypt", "sealed", "-", "--context", "tenant=other"];
        refused(&self.output(keyring, &decrypt).await?, 4, "tenant")
    }

    /// What `keys check` tells programs, when it ends with this code.
    async fn check(&self, keyring: &str, code: i32) -> Result<Value> {
        let check = [
            "--output",
            "json",
            "keys",
            "check",
            "--context",
            "tenant=acme",
        ];
        let output = self.output(keyring, &check).await?;
        refused(&output, code, "keys failed")?;
        let shown: Value = serde_json::from_slice(&output.stdout)?;
        // The table says the same, below its heading.
        let table = self.output(keyring, &["keys", "check"]).await?;
        let table = String::from_utf8(table.stdout)?;
        let keys = shown.get("keys").and_then(Value::as_array);
        let rows = table.lines().skip(1);
        for (index, row) in rows.take(keys.context("no keys")?.len()).enumerate() {
            let words: Vec<_> = row.split_whitespace().skip(2).take(3).collect();
            ensure!(words == results(&shown, index), "{row} is not {shown}");
        }
        Ok(shown)
    }

    async fn run(&self, keyring: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.output(keyring, arguments).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{keyring}: {arguments:?}: {errors}"
        );
        Ok(output.stdout)
    }

    /// Encrypting ends with this code and this text.
    async fn refuses(&self, keyring: &str, code: i32, text: &str) -> Result<()> {
        refused(&self.output(keyring, &ENCRYPT).await?, code, text)
    }

    async fn output(&self, keyring: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(program()?);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("ENVELOPE_KEYRING", keyring)
            .envs(self.settings.iter().copied());
        let output = command.output().await;
        output.context("cannot start the program")
    }
}

fn entry(kind: &str, fields: &[String]) -> String {
    format!("[[key]]\ntype = {kind:?}\n{}\n", fields.join("\n"))
}

fn key_id(key: &Arn) -> String {
    format!("key-id = \"{key}\"")
}

/// The program ended with this code, and said this.
fn refused(output: &Output, code: i32, text: &str) -> Result<()> {
    let errors = String::from_utf8_lossy(&output.stderr);
    let expected = output.status.code() == Some(code) && errors.contains(text);
    ensure!(
        expected,
        "it is to fail with {code} and {text:?}: {output:?}"
    );
    Ok(())
}

/// What `keys check` found of the key at this place, counted from 0.
fn results(shown: &Value, index: usize) -> [&str; 3] {
    ["generate", "encrypt", "decrypt"]
        .map(|tried| text(shown, &format!("/keys/{index}/{tried}/result")))
}

fn reason(shown: &Value, index: usize, tried: &str) -> String {
    text(shown, &format!("/keys/{index}/{tried}/reason")).to_owned()
}

/// The text at this place, or none.
fn text<'a>(shown: &'a Value, pointer: &str) -> &'a str {
    let text = shown.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// It is built beside this one.
fn program() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name("envelope"))
}
