//! Keys that services hold: their entries, and what happens when no service answers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::services::{ARN, entry, errors, fails, key_id, run, silent_address};
use support::{Folder, raw_aes};

const ALIAS_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:alias/invoices";

/// Encrypts under this entry, which is refused before anything is read or written.
fn refused(folder: &Folder, entry: &str, texts: &[&str]) {
    folder.write("keyring.toml", entry);
    let output = run(folder, &["encrypt", "plain", "sealed"]);
    fails(&output, 2, &[&["keyring.toml: key 1"], texts].concat());
    assert_eq!(errors(&output).lines().count(), 1);
    assert!(!folder.path("sealed").exists());
}

fn with_plain() -> Folder {
    let folder = Folder::new();
    folder.write("plain", "text");
    folder
}

#[test]
fn symmetric_entries_of_kms_are_checked_field_by_field() {
    let folder = with_plain();
    let arn = key_id(ARN);
    for kind in ["aws-kms", "aws-kms-mrk"] {
        let refuse =
            |fields: &[&str], texts: &[&str]| refused(&folder, &entry(kind, fields), texts);
        refuse(&[], &["missing field `key-id`"]);
        refuse(&["key-id = 7"], &["field \"key-id\"", "a string"]);
        refuse(
            &["key-id = \"\"", "region = \"eu-west-1\""],
            &["\"key-id\"", "is empty"],
        );
        refuse(
            &["key-id = \"arn:aws:s3:::x\""],
            &["\"key-id\"", "is no ARN of KMS"],
        );
        refuse(
            &["key-id = \"key/1\"", "region = \"eu-west-1\""],
            &["\"key-id\"", "alias/…"],
        );
        refuse(&["key-id = \"alias/x\""], &["\"region\"", "AWS_REGION"]);
        refuse(
            &[&arn, "colour = 1"],
            &["unknown field `colour`", "endpoint-url", "region"],
        );
        refuse(&[&arn, "region = 1"], &["field \"region\"", "a string"]);
        refuse(&[&arn, "profile = 1"], &["field \"profile\"", "a string"]);
        refuse(
            &[&arn, "endpoint-url = 1"],
            &["field \"endpoint-url\"", "a string"],
        );
        refuse(
            &[&arn, "endpoint-url = \"localhost:1\""],
            &["\"endpoint-url\"", "no URL", "https://"],
        );
        refuse(
            &[&arn, "grant-tokens = \"x\""],
            &["field \"grant-tokens\"", "a sequence"],
        );
        refuse(&[&arn, "accounts = [\"1\"]"], &["unknown field `accounts`"]);
        refuse(&[&arn, "name = \"daily\"", "x = 1"], &["key 1 (\"daily\")"]);
    }
    for kind in ["aws-kms-discovery", "aws-kms-mrk-discovery"] {
        let refuse =
            |fields: &[&str], texts: &[&str]| refused(&folder, &entry(kind, fields), texts);
        let region = "region = \"eu-west-1\"";
        refuse(&[], &["\"region\"", "AWS_REGION"]);
        refuse(&[region, &arn], &["unknown field `key-id`", "accounts"]);
        refuse(
            &[region, "accounts = []"],
            &["\"accounts\"", "at least one account"],
        );
        refuse(
            &[region, "accounts = [\"1111-2222-3333\"]"],
            &["\"accounts\"", "1111-2222-3333", "12 digits"],
        );
        refuse(
            &[region, "accounts = \"1\""],
            &["field \"accounts\"", "a sequence"],
        );
        refuse(
            &[region, "partition = \"aws\""],
            &["\"partition\"", "\"accounts\""],
        );
        refuse(
            &[region, "accounts = [\"111122223333\"]", "partition = \"\""],
            &["\"partition\"", "is empty"],
        );
    }
}

#[test]
fn asymmetric_entries_of_kms_are_checked_field_by_field() {
    let folder = with_plain();
    folder
        .run(&["keygen", "ec", "--curve", "p256", "--out", "ec.pem"])
        .succeeds();
    folder
        .run(&["keygen", "rsa", "--bits", "2048", "--out", "rsa.pem"])
        .succeeds();
    let arn = key_id(ARN);
    let refuse = |fields: &[&str], texts: &[&str]| {
        refused(&folder, &entry("aws-kms-rsa", fields), texts);
    };
    refuse(&[], &["missing field `key-id`"]);
    refuse(&[&key_id(ALIAS_ARN)], &["\"key-id\"", "is an alias"]);
    refuse(&["key-id = \"1234\""], &["\"key-id\"", "is no ARN"]);
    refuse(
        &[&arn, "padding = \"pkcs1\""],
        &["\"padding\"", "oaep-sha1 or oaep-sha256"],
    );
    refuse(&[&arn, "padding = \"x\""], &["\"padding\"", "oaep-sha256"]);
    refuse(
        &[&arn, "public-key-file = \"gone\""],
        &["\"public-key-file\"", "gone", "cannot open"],
    );
    refuse(
        &[&arn, "public-key-file = \"ec.pem.pub.pem\""],
        &["\"public-key-file\"", "ec.pem.pub.pem"],
    );
    refuse(
        &[&arn, "private-key-file = \"rsa.pem\""],
        &["unknown field `private-key-file`"],
    );

    let refuse = |fields: &[&str], texts: &[&str]| {
        refused(&folder, &entry("aws-kms-ecdh", fields), texts);
    };
    let (p256, p384) = ("curve = \"p256\"", "curve = \"p384\"");
    let (fixed, discovery) = ("scheme = \"static\"", "scheme = \"discovery\"");
    let peer = "peer-public-key-file = \"ec.pem.pub.pem\"";
    refuse(&[fixed, p256, peer], &["missing field `key-id`"]);
    refuse(&[&arn, p256, peer], &["missing field `scheme`"]);
    refuse(&[&arn, fixed, peer], &["missing field `curve`"]);
    refuse(
        &[&arn, "scheme = \"ephemeral\"", p256],
        &["field \"scheme\"", "`static` or `discovery`"],
    );
    refuse(
        &[&arn, fixed, "curve = \"p224\"", peer],
        &["\"curve\"", "p256, p384 or p521"],
    );
    refuse(
        &[&arn, fixed, p256],
        &["static", "needs \"peer-public-key-file\""],
    );
    refuse(
        &[&arn, discovery, p256, peer],
        &["discovery", "takes no \"peer-public-key-file\""],
    );
    refuse(
        &[&arn, fixed, p384, peer],
        &["\"peer-public-key-file\"", "is a key on p256", "p384"],
    );
    let mine = "public-key-file = \"ec.pem.pub.pem\"";
    refuse(
        &[&arn, discovery, p384, mine],
        &["\"public-key-file\"", "is a key on p256", "p384"],
    );
    refuse(
        &[&key_id(ALIAS_ARN), discovery, p256],
        &["\"key-id\"", "is an alias"],
    );
}

#[test]
fn hierarchy_entries_are_checked_field_by_field() {
    let folder = with_plain();
    let refuse = |fields: &[&str], texts: &[&str]| {
        refused(&folder, &entry("aws-kms-hierarchy", fields), texts);
    };
    let arn = format!("kms-key-arn = {ARN:?}");
    let (table, age) = ("table = \"keys\"", "cache-max-age = \"10m\"");
    let id = "branch-key-id = \"acme\"";
    refuse(&[&arn, id, age], &["missing field `table`"]);
    refuse(&[table, id, age], &["missing field `kms-key-arn`"]);
    refuse(&[table, &arn, id], &["missing field `cache-max-age`"]);
    refuse(
        &[table, &arn, age],
        &["exactly one of", "branch-key-from-context"],
    );
    let both = "branch-key-from-context = \"tenant\"";
    refuse(
        &[table, &arn, age, id, both],
        &["exactly one of", "branch-key-id"],
    );
    refuse(
        &[table, &arn, id, "cache-max-age = \"soon\""],
        &["field \"cache-max-age\""],
    );
    refuse(
        &[table, &arn, id, "cache-max-age = \"0s\""],
        &["\"cache-max-age\""],
    );
    refuse(&["table = \"\"", &arn, id, age], &["\"table\"", "is empty"]);
    refuse(
        &[table, &arn, id, age, "logical-name = \"\""],
        &["\"logical-name\"", "is empty"],
    );
    let alias = format!("kms-key-arn = {ALIAS_ARN:?}");
    refuse(
        &[table, &alias, id, age],
        &["\"kms-key-arn\"", "is an alias"],
    );
    refuse(
        &[table, "kms-key-arn = \"x\"", id, age],
        &["\"kms-key-arn\"", "is no ARN"],
    );
    refuse(
        &[table, &arn, id, age, "max-age = 1"],
        &["unknown field `max-age`", "endpoint-url"],
    );
}

#[test]
fn vault_entries_are_checked_field_by_field() {
    let folder = with_plain();
    folder.write("token", "secret-token");
    folder.write("binary", [0xff, 0xfe]);
    let refuse = |fields: &[&str], texts: &[&str]| {
        refused(&folder, &entry("vault-transit", fields), texts);
        let output = run(&folder, &["encrypt", "plain", "sealed"]);
        assert!(!errors(&output).contains("secret-token"));
    };
    let address = "address = \"http://127.0.0.1:1\"";
    let (key, token) = ("key = \"objects\"", "token-file = \"token\"");
    refuse(&[key, token], &["missing field `address`"]);
    refuse(&[address, token], &["missing field `key`"]);
    refuse(
        &[address, key],
        &["exactly one of", "token-env", "token-file"],
    );
    refuse(
        &[address, key, token, "token-env = \"VAULT_TOKEN\""],
        &["exactly one of"],
    );
    refuse(
        &[address, key, "token-env = \"NOT_SET\""],
        &["\"token-env\"", "NOT_SET", "set it"],
    );
    refuse(
        &[address, key, "token-file = \"gone\""],
        &["\"token-file\"", "gone", "cannot open"],
    );
    refuse(
        &[address, key, "token-file = \"binary\""],
        &["\"token-file\"", "printable ASCII"],
    );
    refuse(
        &[address, key, token, "token = \"x\""],
        &["unknown field `token`", "`token-file`"],
    );
    refuse(
        &["address = \"x\"", key, token],
        &["\"address\"", "is not a URL"],
    );
    refuse(
        &["address = \"http://vault.example.com\"", key, token],
        &["\"address\"", "plain HTTP", "allow-http = true"],
    );
    refuse(
        &[address, "key = \"a/b\"", token],
        &["\"key\"", "correct it"],
    );
    refuse(
        &[address, key, token, "mount = \"\""],
        &["\"mount\"", "correct it"],
    );
    refuse(
        &[address, key, token, "namespace = \"a\\nb\""],
        &["\"namespace\"", "correct it"],
    );
    refuse(
        &[address, key, token, "ca-file = \"gone\""],
        &["\"ca-file\"", "gone", "PEM"],
    );
    refuse(
        &[address, key, token, "binding = \"x\""],
        &["field \"binding\"", "derived-key"],
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.path("token"), open).unwrap();
        refuse(
            &[address, key, token],
            &["\"token-file\"", "mode 644", "chmod 600"],
        );
    }
}

/// One entry of each type at an address, and what each calls first to encrypt.
fn entries(address: &str) -> Vec<(String, &'static str)> {
    let endpoint = format!("endpoint-url = \"http://{address}\"");
    let arn = key_id(ARN);
    let table = [
        "table = \"keys\"",
        &format!("kms-key-arn = {ARN:?}"),
        "branch-key-id = \"acme\"",
        "cache-max-age = \"10m\"",
        &endpoint,
    ];
    let ecdh = [
        "scheme = \"static\"",
        "curve = \"p256\"",
        "peer-public-key-file = \"ec.pem.pub.pem\"",
        &arn,
        &endpoint,
    ];
    let vault = [
        &*format!("address = \"http://{address}\""),
        "key = \"objects\"",
        "token-env = \"VAULT_TOKEN\"",
    ];
    vec![
        (entry("aws-kms", &[&arn, &endpoint]), "kms:GenerateDataKey"),
        (
            entry("aws-kms-mrk", &[&arn, &endpoint]),
            "kms:GenerateDataKey",
        ),
        (entry("aws-kms-rsa", &[&arn, &endpoint]), "kms:GetPublicKey"),
        (entry("aws-kms-ecdh", &ecdh), "kms:GetPublicKey"),
        (entry("aws-kms-hierarchy", &table), "dynamodb:GetItem"),
        (entry("vault-transit", &vault), "transit/keys/objects"),
    ]
}

#[test]
fn a_service_that_is_not_there_is_named_soon() {
    let folder = with_plain();
    folder
        .run(&["keygen", "ec", "--curve", "p256", "--out", "ec.pem"])
        .succeeds();
    for (entry, call) in entries(&silent_address()) {
        folder.write("keyring.toml", &entry);
        let started = Instant::now();
        let output = run(&folder, &["encrypt", "plain", "sealed", "--suite", "0478"]);
        fails(&output, 5, &["plain", call, "onnect"]);
        assert!(started.elapsed() < Duration::from_secs(20), "{entry}");
        assert!(!folder.path("sealed").exists());
    }
}

#[test]
fn no_service_is_asked_before_its_key_is_needed() {
    let folder = with_plain();
    folder
        .run(&["keygen", "ec", "--curve", "p256", "--out", "ec.pem"])
        .succeeds();
    folder.keyed(&["encrypt", "plain", "sealed"]).succeeds();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut keyring = String::new();
    for (entry, _) in entries(&address) {
        keyring += &entry;
    }
    let endpoint = format!("endpoint-url = \"http://{address}\"");
    for kind in ["aws-kms-discovery", "aws-kms-mrk-discovery"] {
        keyring += &entry(kind, &["region = \"eu-west-1\"", &endpoint]);
    }
    // The key that opens it comes last, so that each of the others has looked.
    keyring += &raw_aes("a", "key-file = \"a.key\"");
    folder.write("keyring.toml", &keyring);
    let output = run(&folder, &["decrypt", "sealed", "-"]);
    assert_eq!(output.stdout, b"text", "{}", errors(&output));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// What the first request says that comes to the listener.
fn first_request(listener: &TcpListener) -> String {
    // A request that goes elsewhere must end the test, and not hold it up.
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(Instant::now() < deadline, "nobody asks here");
                sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
    };
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut text = Vec::new();
    while !text.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).unwrap();
        assert_ne!(length, 0, "the request ends early");
        text.extend_from_slice(&bytes[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn an_entry_goes_before_the_environment() {
    let folder = with_plain();
    folder.write(
        "config",
        "[profile other]\nregion = us-west-1\naws_access_key_id = of-the-profile\naws_secret_access_key = x\n",
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (alias, endpoint) = (key_id("alias/x"), format!("endpoint-url = {url:?}"));
    let silent = format!("http://{}", silent_address());
    let cases = [
        // Fields, the environment's address, and who signs for which region.
        (vec![&*alias], &url, "environment/", "/eu-north-1/"),
        (
            vec![&alias, "region = \"eu-west-3\""],
            &url,
            "environment/",
            "/eu-west-3/",
        ),
        (vec![&*key_id(ARN)], &url, "environment/", "/eu-west-1/"),
        (
            vec![&alias, "profile = \"other\""],
            &url,
            "of-the-profile/",
            "/eu-north-1/",
        ),
        (
            vec![&alias, &endpoint],
            &silent,
            "environment/",
            "/eu-north-1/",
        ),
    ]
    .map(|(fields, address, signer, region)| (entry("aws-kms", &fields), address, signer, region));
    for (entry, address, signer, region) in cases {
        folder.write("keyring.toml", &entry);
        let arguments = ["--keyring", "keyring.toml", "encrypt", "plain", "sealed"];
        let mut child = folder
            .command(&arguments)
            .env_clear()
            .env("HOME", folder.path(""))
            .env("AWS_CONFIG_FILE", folder.path("config"))
            .env("AWS_ACCESS_KEY_ID", "environment")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-north-1")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .env("AWS_ENDPOINT_URL_KMS", address)
            .spawn()
            .unwrap();
        let request = first_request(&listener);
        child.kill().unwrap();
        child.wait().unwrap();
        let signed = request
            .lines()
            .find(|line| line.starts_with("authorization:"));
        let signed = signed.unwrap();
        assert!(
            signed.contains(&format!("Credential={signer}")),
            "{entry}: {signed}"
        );
        assert!(signed.contains(region), "{entry}: {signed}");
    }
}

#[test]
fn rsa_keys_of_kms_encrypt_by_a_file_without_a_call() {
    let folder = with_plain();
    folder
        .run(&["keygen", "rsa", "--bits", "2048", "--out", "rsa.pem"])
        .succeeds();
    let endpoint = format!("endpoint-url = \"http://{}\"", silent_address());
    let public = "public-key-file = \"rsa.pem.pub.pem\"";
    let entry = entry("aws-kms-rsa", &[&key_id(ARN), public, &endpoint]);
    folder.write("keyring.toml", entry);
    let output = run(&folder, &["encrypt", "plain", "sealed", "--suite", "0478"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let signed = run(&folder, &["encrypt", "plain", "x"]);
    fails(&signed, 2, &["signature", "0478"]);
    let opened = run(&folder, &["decrypt", "sealed", "-"]);
    fails(&opened, 5, &["sealed", "kms:Decrypt", ARN]);
}

#[test]
fn objects_of_the_s3_encryption_client_are_written_by_keys_that_can() {
    let folder = with_plain();
    let copy = ["cp", "plain", "memory:///x", "--format", "s3ec-v3"];
    let endpoint = format!("endpoint-url = \"http://{}\"", silent_address());
    let region = "region = \"eu-west-1\"";
    folder.write(
        "keyring.toml",
        entry("aws-kms-discovery", &[region, &endpoint]),
    );
    let first = "put a raw-aes, raw-rsa or aws-kms key first";
    fails(&run(&folder, &copy), 2, &["key 1", "discovery", first]);
    folder.write(
        "keyring.toml",
        entry("aws-kms-rsa", &[&key_id(ARN), &endpoint]),
    );
    fails(&run(&folder, &copy), 2, &["key 1", "of this type", first]);
    folder.write("keyring.toml", entry("aws-kms", &[&key_id(ARN), &endpoint]));
    fails(&run(&folder, &copy), 5, &["kms:GenerateDataKey", ARN]);
}
