//! What the environment and the shared files of AWS say about key services.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::net::TcpListener;
use std::process::Output;

use support::Folder;
use support::services::{ARN, entry, errors, fails, key_id, silent_address};

fn aws_folder(fields: &[&str]) -> Folder {
    let folder = Folder::new();
    let arn = key_id(ARN);
    let fields = [&[&*arn], fields].concat();
    folder.write("keyring.toml", entry("aws-kms", &fields));
    folder.write("plain", "hello");
    folder
}

fn encrypt(folder: &Folder, variables: &[(&str, &str)]) -> Output {
    folder
        .command(&["--keyring", "keyring.toml", "encrypt", "plain", "sealed"])
        .env_clear()
        .env("HOME", folder.path(""))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", folder.path("config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", folder.path("credentials"))
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

const CREDENTIALS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
];

/// One line that says all.
fn refused(output: &Output, texts: &[&str]) {
    fails(output, 2, texts);
    assert_eq!(errors(output).lines().count(), 1, "{}", errors(output));
}

#[test]
fn settings_of_retries_are_taken_or_refused() {
    let folder = aws_folder(&[&format!("endpoint-url = \"http://{}\"", silent_address())]);
    for (name, value) in [
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_MAX_ATTEMPTS", "x"),
        ("AWS_RETRY_MODE", "x"),
    ] {
        let output = encrypt(&folder, &[&CREDENTIALS[..], &[(name, value)]].concat());
        refused(&output, &["keyring.toml", "key 1", name, value]);
    }
    folder.write("config", "[default]\nmax_attempts = none\n");
    refused(
        &encrypt(&folder, &CREDENTIALS),
        &["key 1", "max_attempts of profile \"default\"", "none"],
    );
    // What older programs of AWS call their way.
    folder.write(
        "config",
        "[default]\nretry_mode = legacy\nmax_attempts = 1\n",
    );
    fails(&encrypt(&folder, &CREDENTIALS), 5, &["no answer"]);
}

#[test]
fn a_region_or_profile_that_cannot_be_is_refused_before_anything_is_sent() {
    for (field, texts) in [
        (
            "region = \"not a region\"",
            &["field \"region\"", "eu-west-1"],
        ),
        ("region = \"\"", &["field \"region\"", "eu-west-1"]),
        ("profile = \"typo\"", &["field \"profile\"", "\"typo\""]),
    ] {
        let output = encrypt(&aws_folder(&[field]), &CREDENTIALS);
        refused(&output, &[&["keyring.toml", "key 1"], &texts[..]].concat());
    }
}

#[test]
fn missing_credentials_are_a_fault_of_the_configuration() {
    let folder = aws_folder(&[&format!("endpoint-url = \"http://{}\"", silent_address())]);
    refused(
        &encrypt(&folder, &[]),
        &["kms:GenerateDataKey", "not asked", "check credentials"],
    );
}

#[test]
fn a_secret_in_the_place_of_a_variable_is_not_shown() {
    let folder = Folder::new();
    folder.write("plain", "hello");
    for (kind, fields) in [
        (
            "vault-transit",
            vec![
                "address = \"https://localhost\"",
                "key = \"a\"",
                "token-env = \"hvs.CAESIJ-secret\"",
            ],
        ),
        (
            "raw-aes",
            vec![
                "namespace = \"a\"",
                "name = \"a\"",
                "key-env = \"c2VjcmV0LXNlY3JldA==\"",
            ],
        ),
    ] {
        folder.write("keyring.toml", entry(kind, &fields));
        let output = encrypt(&folder, &[]);
        refused(
            &output,
            &["key 1", "-env\"", "no name of an environment variable"],
        );
        for secret in ["CAESIJ", "c2Vj"] {
            assert!(!errors(&output).contains(secret), "{}", errors(&output));
        }
    }
}

#[test]
fn a_vault_on_this_machine_is_asked_without_a_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let proxy_url = format!("http://{}", proxy.local_addr().unwrap());
    let folder = Folder::new();
    folder.write("plain", "hello");
    let address = format!("address = \"http://{}\"", silent_address());
    let fields = [
        &*address,
        "key = \"objects\"",
        "token-env = \"VAULT_TOKEN\"",
    ];
    folder.write("keyring.toml", entry("vault-transit", &fields));
    let variables = [
        ("VAULT_TOKEN", "token"),
        ("http_proxy", &*proxy_url),
        ("HTTP_PROXY", &proxy_url),
        ("ALL_PROXY", &proxy_url),
    ];
    fails(&encrypt(&folder, &variables), 5, &["transit/keys/objects"]);
    let seen = proxy.accept().map(|_| ()).unwrap_err();
    assert_eq!(seen.kind(), std::io::ErrorKind::WouldBlock);
}
