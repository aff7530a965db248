//! Entries of keys that services hold.

use std::net::TcpListener;
use std::process::Output;

use super::Folder;

pub const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// An entry of this type, with these lines.
pub fn entry(kind: &str, fields: &[&str]) -> String {
    format!("[[key]]\ntype = {kind:?}\n{}\n", fields.join("\n"))
}

pub fn key_id(arn: &str) -> String {
    format!("key-id = {arn:?}")
}

/// Runs with credentials, and with no settings of this machine.
pub fn run(folder: &Folder, arguments: &[&str]) -> Output {
    folder
        .command(&[&["--keyring", "keyring.toml"], arguments].concat())
        .env_clear()
        .env("HOME", folder.path(""))
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("VAULT_TOKEN", "token")
        .output()
        .unwrap()
}

pub fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Checks the exit code, and that the error holds each of the texts.
pub fn fails(output: &Output, code: i32, texts: &[&str]) {
    let errors = errors(output);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for text in texts {
        assert!(errors.contains(text), "no {text:?} in {errors}");
    }
}

/// An address where nobody listens.
pub fn silent_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
