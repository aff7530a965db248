//! Every kind of key, the cache and the rules, through the program.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Folder, raw_aes};

fn rsa(fields: &str) -> String {
    format!(
        "[[key]]\ntype = \"raw-rsa\"\nnamespace = \"acme\"\nname = \"escrow\"\npadding = \"oaep-sha256\"\n{fields}\n"
    )
}

fn ecdh(scheme: &str, curve: &str, fields: &str) -> String {
    format!("[[key]]\ntype = \"raw-ecdh\"\nscheme = {scheme:?}\ncurve = {curve:?}\n{fields}\n")
}

const PUBLIC: &str = "public-key-file = \"rsa.pem.pub.pem\"";
const PRIVATE: &str = "private-key-file = \"rsa.pem\"";

fn with_rsa_key() -> Folder {
    let folder = Folder::new();
    folder
        .run(&["keygen", "rsa", "--bits", "2048", "--out", "rsa.pem"])
        .succeeds();
    folder
}

/// Encrypts under one keyring file and decrypts under another.
fn check(folder: &Folder, writer: &str, reader: &str, options: &[&str]) {
    folder.write("keyring.toml", writer);
    let encrypt = [&["encrypt", "-", "sealed"][..], options].concat();
    folder.piped(b"text", &encrypt).succeeds();
    folder.write("keyring.toml", reader);
    let policy = ["--commitment-policy", "require-encrypt-allow-decrypt"];
    let decrypt = [&["decrypt", "sealed", "-"][..], &policy].concat();
    assert_eq!(folder.keyed(&decrypt).succeeds(), b"text");
}

#[test]
fn rsa_keys_work_in_halves() {
    let folder = with_rsa_key();
    let padded = |padding: &str, fields| rsa(fields).replace("oaep-sha256", padding);
    for padding in [
        "pkcs1",
        "oaep-sha1",
        "oaep-sha256",
        "oaep-sha384",
        "oaep-sha512",
    ] {
        check(
            &folder,
            &padded(padding, PUBLIC),
            &padded(padding, PRIVATE),
            &[],
        );
    }
    folder.write("keyring.toml", rsa(PRIVATE));
    folder
        .piped(b"", &["encrypt", "-", "x"])
        .fails(2, &["no public key"]);
    folder.write("keyring.toml", rsa(PUBLIC));
    let run = folder.keyed(&["decrypt", "sealed", "x"]);
    run.fails(3, &["sealed"]);
    assert!(
        run.errors()
            .contains("skipped: the keyring has no private key"),
        "{}",
        run.errors()
    );
    // The daily key encrypts, the escrow key opens as well.
    let daily = raw_aes("a", "key-file = \"a.key\"");
    check(&folder, &(daily.clone() + &rsa(PUBLIC)), &rsa(PRIVATE), &[]);
    check(&folder, &(daily.clone() + &rsa(PUBLIC)), &daily, &[]);
}

#[test]
fn agreed_keys_work_on_every_curve() {
    let folder = Folder::new();
    for curve in ["p256", "p384", "p521"] {
        for name in ["mine", "theirs"] {
            let file = format!("{name}-{curve}.pem");
            folder
                .run(&["keygen", "ec", "--curve", curve, "--out", &file])
                .succeeds();
        }
        let private = |name: &str| format!("private-key-file = \"{name}-{curve}.pem\"\n");
        let peer = |name: &str| format!("peer-public-key-file = \"{name}-{curve}.pem.pub.pem\"\n");
        let mine = ecdh("static", curve, &(private("mine") + &peer("theirs")));
        let theirs = ecdh("static", curve, &(private("theirs") + &peer("mine")));
        let discovery = ecdh("discovery", curve, &private("theirs"));
        check(&folder, &mine, &theirs, &[]);
        check(&folder, &mine, &discovery, &[]);
        check(
            &folder,
            &ecdh("ephemeral", curve, &peer("theirs")),
            &discovery,
            &[],
        );
    }
    let refuse = |entry: String, texts: &[&str]| {
        folder.write("keyring.toml", entry);
        folder
            .piped(b"", &["encrypt", "-", "x"])
            .fails(2, &[&["key 1"], texts].concat());
    };
    let private = "private-key-file = \"mine-p256.pem\"\n";
    let peer = "peer-public-key-file = \"theirs-p384.pem.pub.pem\"\n";
    refuse(
        ecdh("static", "p256", private),
        &["static", "peer-public-key-file"],
    );
    refuse(
        ecdh("ephemeral", "p256", private),
        &["ephemeral", "peer-public-key-file"],
    );
    refuse(
        ecdh("discovery", "p256", peer),
        &["discovery", "private-key-file"],
    );
    refuse(
        ecdh("ephemeral", "p256", peer),
        &["theirs-p384", "is a key on p384", "p256"],
    );
    refuse(
        ecdh("ephemeral", "p224", peer),
        &["\"curve\"", "p256, p384 or p521"],
    );
    refuse(ecdh("dynamic", "p256", peer), &["dynamic"]);
}

#[test]
fn wrong_key_files_are_named() {
    let folder = with_rsa_key();
    let refuse = |entry: String, texts: &[&str]| {
        folder.write("keyring.toml", entry);
        let run = folder.piped(b"", &["encrypt", "-", "x"]);
        run.fails(
            2,
            &[&["keyring.toml", "key 1 (\"escrow\")"], texts].concat(),
        );
    };
    refuse(rsa(""), &["public-key-file", "private-key-file"]);
    refuse(
        rsa(PUBLIC).replace("oaep-sha256", "oaep"),
        &["\"padding\"", "oaep-sha384"],
    );
    let swapped = "public-key-file = \"rsa.pem\"";
    refuse(
        rsa(swapped),
        &["\"public-key-file\"", "rsa.pem", "PUBLIC KEY"],
    );
    let swapped = "private-key-file = \"rsa.pem.pub.pem\"";
    folder.write("rsa.pem.pub.pem", folder.read("rsa.pem.pub.pem"));
    refuse(
        rsa(swapped),
        &["\"private-key-file\"", "rsa.pem.pub.pem", "PKCS#8"],
    );
    refuse(
        rsa("public-key-file = \"gone\""),
        &["\"public-key-file\"", "gone", "cannot open"],
    );
    folder.write("binary", [0xff, 0xfe]);
    refuse(
        rsa("private-key-file = \"binary\""),
        &["\"private-key-file\"", "binary", "not PEM"],
    );
    folder.write(
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    refuse(
        rsa("private-key-file = \"locked.pem\""),
        &["locked.pem", "passphrase-env"],
    );
    let named = "private-key-file = \"locked.pem\"\npassphrase-env = \"NOT_SET\"";
    refuse(rsa(named), &["\"passphrase-env\"", "NOT_SET"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.path("rsa.pem"), open).unwrap();
        refuse(
            rsa(PRIVATE),
            &["\"private-key-file\"", "rsa.pem", "chmod 600"],
        );
    }
}

#[test]
fn generated_pairs_are_written_together_or_not_at_all() {
    let folder = Folder::new();
    folder
        .run(&["keygen", "ec", "--curve", "p384", "--out", "e.pem"])
        .succeeds();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name| {
            fs::metadata(folder.path(name))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode("e.pem"), mode("e.pem.pub.pem")), (0o600, 0o644));
    }
    let before = folder.read("e.pem.pub.pem");
    for kind in [&["rsa"][..], &["ec", "--curve", "p256"]] {
        let keygen = [&["keygen"], kind, &["--out", "e.pem"]].concat();
        folder
            .run(&keygen)
            .fails(2, &["e.pem exists", "never overwritten"]);
    }
    fs::remove_file(folder.path("e.pem")).unwrap();
    folder
        .run(&["keygen", "ec", "--curve", "p384", "--out", "e.pem"])
        .fails(2, &["e.pem.pub.pem exists"]);
    assert!(!folder.path("e.pem").exists());
    assert_eq!(folder.read("e.pem.pub.pem"), before);
    folder
        .run(&["keygen", "rsa", "--bits", "1024", "--out", "r"])
        .fails(2, &["2048"]);
    folder
        .run(&["keygen", "ec", "--curve", "p224", "--out", "r"])
        .fails(2, &["p256"]);
    let json = [
        "--output", "json", "keygen", "ec", "--curve", "p521", "--out", "j.pem",
    ];
    let written: Value = serde_json::from_slice(&folder.run(&json).succeeds()).unwrap();
    assert_eq!(written["public_file"], "j.pem.pub.pem");
}

#[test]
fn every_suite_is_written_under_its_policy() {
    let folder = Folder::new();
    let keyring = raw_aes("a", "key-file = \"a.key\"");
    for suite in [
        "0014", "0046", "0078", "0114", "0146", "0178", "0214", "0346", "0378",
    ] {
        let encrypt = ["encrypt", "-", "x", "--suite", suite];
        folder.piped(b"", &encrypt).fails(4, &["policy", suite]);
        let forbidding = ["--commitment-policy", "forbid-encrypt-allow-decrypt"];
        let options = [&["--suite", suite][..], &forbidding].concat();
        check(&folder, &keyring, &keyring, &options);
        folder
            .keyed(&["decrypt", "sealed", "x"])
            .fails(4, &["policy", suite]);
        let json = ["--output", "json", "inspect", "sealed"];
        let shown: Value = serde_json::from_slice(&folder.run(&json).succeeds()).unwrap();
        assert_eq!(
            (&shown["version"], &shown["suite"]),
            (&1.into(), &suite.into())
        );
        assert_eq!(shown["plaintext_length"], 4);
        assert_eq!(shown["message_id"].as_str().unwrap().len(), 32);
    }
    // The policy's default suite.
    let forbidding = ["--commitment-policy", "forbid-encrypt-allow-decrypt"];
    folder
        .piped(
            b"",
            &[&["encrypt", "-", "sealed"][..], &forbidding].concat(),
        )
        .succeeds();
    let text = String::from_utf8(folder.run(&["inspect", "sealed"]).succeeds()).unwrap();
    assert!(
        text.contains("0378") && text.contains("version 1"),
        "{text}"
    );
}

#[test]
fn required_pairs_are_not_stored() {
    let folder = Folder::new();
    let context = ["--context", "patient=1024", "--context", "kind=x-ray"];
    let required = ["--required-context-key", "patient"];
    let encrypt = [&["encrypt", "-", "sealed"][..], &context, &required].concat();
    folder.piped(b"text", &encrypt).succeeds();
    let json = ["--output", "json", "inspect", "sealed"];
    let shown: Value = serde_json::from_slice(&folder.run(&json).succeeds()).unwrap();
    assert_eq!(shown["encryption_context"]["kind"], "x-ray");
    assert_eq!(shown["encryption_context"]["patient"], Value::Null);
    let decrypt = |pairs: &[&str]| folder.keyed(&[&["decrypt", "sealed", "-"], pairs].concat());
    assert_eq!(decrypt(&["--context", "patient=1024"]).succeeds(), b"text");
    decrypt(&["--context", "patient=1025"]).fails(4, &["sealed"]);
    decrypt(&[]).fails(3, &["sealed"]);
    let missing = ["encrypt", "-", "x", "--required-context-key", "ward"];
    folder
        .piped(b"", &missing)
        .fails(2, &["\"ward\"", "required"]);
    let reserved = [
        "encrypt",
        "-",
        "x",
        "--required-context-key",
        "aws-crypto-x",
    ];
    folder
        .piped(b"", &reserved)
        .fails(2, &["--required-context-key", "reserved"]);
}

#[test]
fn a_cache_is_configured_beside_the_keys() {
    let folder = Folder::new();
    let key = raw_aes("a", "key-file = \"a.key\"");
    let cached = |section: &str| format!("{key}[cache]\n{section}\n");
    let full = "max-age = \"10m\"\nmax-messages = 1000\nmax-bytes = \"1 GiB\"";
    check(&folder, &cached(full), &cached("max-age = \"1s\""), &[]);
    let refuse = |section: &str, texts: &[&str]| {
        folder.write("keyring.toml", cached(section));
        folder
            .piped(b"", &["encrypt", "-", "x"])
            .fails(2, &[&["[cache]"], texts].concat());
    };
    refuse("", &["max-age"]);
    refuse("max-age = \"0s\"", &["age limit", "above zero"]);
    refuse("max-age = \"soon\"", &["\"max-age\"", "a duration"]);
    refuse(
        "max-age = \"1m\"\nmax-messages = 0",
        &["message limit", "1 to 2^32"],
    );
    refuse(
        "max-age = \"1m\"\nmax-bytes = \"0 B\"",
        &["byte limit", "1 to 2^63"],
    );
    refuse("max-age = \"1m\"\ncolour = 1", &["colour"]);
}

#[test]
fn messages_of_net_4_0_0_open_by_name() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envelope/tests/vectors");
    let read = |name: &str| fs::read(vectors.join(name)).unwrap();
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let keys: Value = serde_json::from_slice(&read("keys.json")).unwrap();
    let messages = manifest["messages"].as_array().unwrap().iter();
    let faulty: Vec<_> = messages
        .filter(|entry| entry["needs"] == "net-4.0.0-retry")
        .filter(|entry| entry["decrypt_with"]["type"] == "raw-aes")
        .collect();
    assert!(!faulty.is_empty());
    for entry in faulty {
        let folder = Folder::new();
        let with = &entry["decrypt_with"];
        let key = keys[with["key"].as_str().unwrap()]["base64"]
            .as_str()
            .unwrap();
        folder.write(
            "keyring.toml",
            raw_aes(
                with["name"].as_str().unwrap(),
                &format!("key-base64 = {key:?}"),
            )
            .replace("acme", with["namespace"].as_str().unwrap()),
        );
        folder.write("sealed", read(entry["ciphertext"].as_str().unwrap()));
        let pairs = entry["reproduced_context"]
            .as_object()
            .into_iter()
            .flatten();
        let pairs: Vec<_> = pairs
            .map(|(key, value)| format!("--context={key}={}", value.as_str().unwrap()))
            .collect();
        let policy = ["--commitment-policy", "require-encrypt-allow-decrypt"];
        let mut decrypt = [&["decrypt", "sealed", "-"][..], &policy].concat();
        decrypt.extend(pairs.iter().map(String::as_str));
        folder
            .keyed(&decrypt)
            .fails(4, &["header is not authentic"]);
        let retrying = [&decrypt[..], &["--net-4-0-0-retry"]].concat();
        let plaintext = read(entry["plaintext"].as_str().unwrap());
        assert_eq!(folder.keyed(&retrying).succeeds(), plaintext);
    }
}

#[test]
fn non_framed_messages_are_read() {
    let extra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envelope/tests/vectors/extra");
    let read = |name: &str| fs::read(extra.join(name)).unwrap();
    let keys: Value = serde_json::from_slice(&read("keys.json")).unwrap();
    let folder = Folder::new();
    let key = keys["aes-256"]["base64"].as_str().unwrap();
    let entry = raw_aes("aes key one", &format!("key-base64 = {key:?}"));
    folder.write("keyring.toml", entry.replace("acme", "interop-ns"));
    for suite in ["0078", "0378", "0478", "0578"] {
        folder.write("sealed", read(&format!("suite-{suite}-unframed.ct")));
        let decrypt = [
            "decrypt",
            "sealed",
            "-",
            "--commitment-policy",
            "require-encrypt-allow-decrypt",
        ];
        assert_eq!(folder.keyed(&decrypt).succeeds(), read("plain-333.bin"));
        let limited = [&decrypt[..], &["--max-frame-length", "332"]].concat();
        folder.keyed(&limited).fails(4, &["333 bytes", "332"]);
        let json = ["--output", "json", "inspect", "sealed"];
        let shown: Value = serde_json::from_slice(&folder.run(&json).succeeds()).unwrap();
        assert_eq!(shown["plaintext_length"], 333);
        assert_eq!(shown["frame_length"], 0);
    }
}
