//! The commands, run as a user runs them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Folder, raw_aes};

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_file_comes_back() {
    let folder = Folder::new();
    for (suite, frame_length) in [("0478", "1"), ("0578", "7"), ("0x0578", "4096")] {
        for length in [0, 1, 7, 5000] {
            let plaintext = vec![9; length];
            folder.write("plain", &plaintext);
            let rules = ["--suite", suite, "--frame-length", frame_length];
            let encrypt = [&["encrypt", "plain", "sealed"][..], &rules].concat();
            assert!(folder.keyed(&encrypt).succeeds().is_empty());
            folder.keyed(&["decrypt", "sealed", "copy"]).succeeds();
            assert_eq!(folder.read("copy"), plaintext);
            assert_eq!(folder.read("plain"), plaintext);
        }
    }
    assert_eq!(folder.names(), ["copy", "plain", "sealed"]);
}

#[test]
fn pipes_and_file_urls_are_places() {
    let folder = Folder::new();
    let plaintext: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let message = folder.piped(&plaintext, &["encrypt", "-", "-"]).succeeds();
    assert_eq!(
        folder.piped(&message, &["decrypt", "-", "-"]).succeeds(),
        plaintext
    );
    let streamed = folder.piped(&message, &["decrypt", "--stream", "-", "-"]);
    assert_eq!(streamed.succeeds(), plaintext);
    let url = format!("file://{}", folder.path("sealed").display());
    folder.piped(&plaintext, &["encrypt", "-", &url]).succeeds();
    assert_eq!(folder.keyed(&["decrypt", &url, "-"]).succeeds(), plaintext);
    folder
        .keyed(&["decrypt", "s3://bucket/key", "-"])
        .fails(2, &["s3 is not supported"]);
    folder
        .keyed(&["decrypt", "file://relative", "-"])
        .fails(2, &["absolute path"]);
}

#[test]
fn nothing_leaves_a_pipe_before_all_of_it_verified_unless_streamed() {
    let folder = Folder::new();
    let plaintext = vec![3; 10_000];
    let mut message = folder.piped(&plaintext, &["encrypt", "-", "-"]).succeeds();
    // The footer of a signed message.
    *message.last_mut().unwrap() ^= 1;
    folder.write("sealed", &message);
    for run in [
        folder.piped(&message, &["decrypt", "-", "-"]),
        folder.keyed(&["decrypt", "sealed", "-"]),
    ] {
        run.fails(4, &["signature", "discard"]);
        assert!(run.output().is_empty());
    }
    let streamed = folder.piped(&message, &["decrypt", "--stream", "-", "-"]);
    streamed.fails(4, &["standard input", "signature"]);
    // All but the final frame, which waits for the signature.
    assert_eq!(streamed.output(), &plaintext[..8192]);
    folder.write("copy", "old");
    folder
        .keyed(&["decrypt", "--stream", "sealed", "copy"])
        .fails(4, &["sealed"]);
    assert_eq!(folder.read("copy"), b"old");
    assert_eq!(folder.names(), ["copy", "sealed"]);
}

#[test]
fn the_context_is_bound_and_demanded() {
    let folder = Folder::new();
    folder.write("plain", "text");
    folder.write("context.json", r#"{"tenant": "acme", "kind": "Übung=1"}"#);
    let context = [
        "--context-file",
        "context.json",
        "--context",
        "split=at=first",
    ];
    folder
        .keyed(&[&["encrypt", "plain", "sealed"][..], &context].concat())
        .succeeds();
    folder
        .keyed(&[&["decrypt", "sealed", "copy"][..], &context].concat())
        .succeeds();
    folder
        .keyed(&["decrypt", "sealed", "copy", "--context", "split=at=first"])
        .succeeds();
    let decrypt = |pair| folder.keyed(&["decrypt", "sealed", "copy", "--context", pair]);
    decrypt("tenant=other").fails(4, &["sealed", "\"tenant\""]);
    // Not stored, so taken as required: then the data key does not unwrap.
    decrypt("unknown=1").fails(4, &["sealed"]);
    decrypt("no pair").fails(2, &["KEY=VALUE"]);
    let encrypt = |pairs: &[&str]| {
        let pairs = pairs.iter().flat_map(|pair| ["--context", pair]);
        let arguments: Vec<_> = ["encrypt", "plain", "new"]
            .into_iter()
            .chain(pairs)
            .collect();
        folder.keyed(&arguments)
    };
    encrypt(&["aws-crypto-x=1"]).fails(2, &["reserved", "aws-crypto-x"]);
    encrypt(&["a=1", "a=2"]).fails(2, &["\"a\"", "twice"]);
    folder.write("context.json", r#"{"a": "1", "a": "2"}"#);
    folder
        .keyed(&["encrypt", "plain", "new", "--context-file", "context.json"])
        .fails(2, &["\"a\"", "twice"]);
    folder.write("context.json", r#"{"a": 1}"#);
    folder
        .keyed(&["encrypt", "plain", "new", "--context-file", "context.json"])
        .fails(2, &["context.json", "object of strings"]);
    folder
        .keyed(&["encrypt", "plain", "new", "--context-file", "missing"])
        .fails(2, &["missing", "cannot read"]);
}

#[test]
fn rules_are_enforced() {
    let folder = Folder::new();
    folder.write("plain", "text");
    folder.keyed(&["encrypt", "plain", "signed"]).succeeds();
    folder
        .keyed(&["decrypt", "signed", "x", "--fail-on-signed"])
        .fails(4, &["signed"]);
    folder
        .keyed(&[
            "encrypt",
            "plain",
            "x",
            "--commitment-policy",
            "forbid-encrypt-allow-decrypt",
            "--suite",
            "0478",
        ])
        .fails(4, &["policy"]);
    folder
        .keyed(&["encrypt", "plain", "x", "--commitment-policy", "none"])
        .fails(2, &["commitment"]);
    folder
        .keyed(&["encrypt", "plain", "x", "--suite", "0123"])
        .fails(2, &["suite"]);
    folder
        .keyed(&["encrypt", "plain", "x", "--frame-length", "0"])
        .fails(2, &["frame-length"]);
    folder
        .keyed(&["encrypt", "plain", "x", "--frame-length", "4294967296"])
        .fails(2, &["frame-length"]);
    folder
        .keyed(&["decrypt", "signed", "x", "--max-encrypted-data-keys", "0"])
        .fails(2, &["at least 1"]);
    let longest = ["--frame-length", "4294967295", "--suite", "0478"];
    folder
        .keyed(&[&["encrypt", "plain", "long"][..], &longest].concat())
        .succeeds();
    folder.keyed(&["decrypt", "long", "x"]).succeeds();
    let two = [
        raw_aes("a", "key-file = \"a.key\""),
        raw_aes("b", "key-file = \"a.key\""),
    ];
    folder.write("keyring.toml", two.concat());
    folder.keyed(&["encrypt", "plain", "two"]).succeeds();
    folder
        .keyed(&["decrypt", "two", "y", "--max-encrypted-data-keys", "1"])
        .fails(4, &["2 encrypted data keys", "maximum of 1"]);
    folder
        .keyed(&["encrypt", "plain", "y", "--max-encrypted-data-keys", "1"])
        .fails(4, &["2 encrypted data keys", "maximum of 1"]);
    assert_eq!(folder.names(), ["long", "plain", "signed", "two", "x"]);
}

#[test]
fn every_entry_of_the_keyring_opens() {
    let folder = Folder::new();
    folder
        .run(&["keygen", "aes", "--bits", "128", "--out", "b.key"])
        .succeeds();
    let entries = [
        raw_aes("a", "key-file = \"a.key\""),
        raw_aes("b", "key-file = \"b.key\""),
    ];
    folder.write("keyring.toml", entries.concat());
    folder
        .piped(b"text", &["encrypt", "-", "sealed"])
        .succeeds();
    for entry in &entries {
        folder.write("keyring.toml", entry);
        assert_eq!(
            folder.keyed(&["decrypt", "sealed", "-"]).succeeds(),
            b"text"
        );
    }
    folder.write("keyring.toml", raw_aes("c", "key-file = \"a.key\""));
    let run = folder.keyed(&["decrypt", "sealed", "-"]);
    run.fails(3, &["sealed", "no wrapping key"]);
    for line in [
        "provider \"acme\", key \"a\"",
        "provider \"acme\", key \"b\"",
        "skipped: another key name",
    ] {
        assert!(run.errors().contains(line), "{}", run.errors());
    }
    let run = folder.keyed(&["--output", "json", "decrypt", "sealed", "-"]);
    run.fails(3, &[]);
    let report = parse(run.errors().as_bytes());
    assert_eq!(report["kind"], "no-key");
    assert_eq!(
        report["encrypted_data_keys"][1],
        json!({ "provider_id": "acme", "key": "b", "attempts": [
            { "keyring": "raw AES acme/c", "outcome": "skipped", "reason": "another key name" },
        ]})
    );
}

#[test]
fn inspect_needs_no_key_and_says_so() {
    let folder = Folder::new();
    for (suite, length) in [("0478", 0), ("0478", 5000), ("0578", 0), ("0578", 8192)] {
        let plaintext = vec![1; length];
        let encrypt = [
            "encrypt",
            "-",
            "sealed",
            "--suite",
            suite,
            "--context",
            "a=b",
        ];
        folder.piped(&plaintext, &encrypt).succeeds();
        let message = folder.read("sealed");
        let shown = parse(
            &folder
                .run(&["--output", "json", "inspect", "sealed"])
                .succeeds(),
        );
        assert_eq!(shown["format"], "framed");
        assert_eq!(shown["version"], 2);
        assert_eq!(shown["suite"], suite);
        assert_eq!(shown["message_id"].as_str().unwrap().len(), 64);
        assert_eq!(shown["encryption_context"]["a"], "b");
        assert_eq!(shown["frame_length"], 4096);
        assert_eq!(shown["plaintext_length"], length);
        assert_eq!(shown["verified"], false);
        let key = &shown["encrypted_data_keys"][0];
        assert_eq!(
            (&key["provider_id"], &key["provider_info"]),
            (&json!("acme"), &json!("a"))
        );
        assert_eq!(key["length"], 48);
        let piped = folder
            .piped(&message, &["--output", "json", "inspect", "-"])
            .succeeds();
        assert_eq!(parse(&piped), shown);
        let text = String::from_utf8(folder.run(&["inspect", "sealed"]).succeeds()).unwrap();
        assert!(text.starts_with("not verified"), "{text}");
        assert!(
            text.contains(&format!("plaintext length    {length} bytes")),
            "{text}"
        );
    }
    let message = folder.read("sealed");
    folder.write("short", &message[..3000]);
    let shown = parse(
        &folder
            .run(&["inspect", "short", "--output", "json"])
            .succeeds(),
    );
    assert_eq!(shown["plaintext_length"], Value::Null);
    folder.write("short", &message[..100]);
    folder
        .run(&["inspect", "short"])
        .fails(4, &["short", "truncated"]);
}

#[test]
fn json_reports_what_was_done() {
    let folder = Folder::new();
    folder.write("plain", "text");
    let encrypt = [
        "encrypt",
        "plain",
        "sealed",
        "--suite",
        "0478",
        "--context",
        "a=b",
        "--output",
        "json",
    ];
    assert_eq!(
        parse(&folder.keyed(&encrypt).succeeds()),
        json!({
            "command": "encrypt", "source": "plain", "destination": "sealed", "suite": "0478",
            "encryption_context": { "a": "b" }, "plaintext_length": 4,
        })
    );
    let decrypt = folder.keyed(&["decrypt", "sealed", "copy", "--output", "json"]);
    assert_eq!(
        parse(&decrypt.succeeds())["encryption_context"],
        json!({ "a": "b" })
    );
    let decrypt = folder.keyed(&["decrypt", "sealed", "-", "--output", "json", "-v"]);
    assert_eq!(decrypt.succeeds(), b"text");
    assert_eq!(parse(decrypt.errors().as_bytes())["command"], "decrypt");
    let keygen = folder.run(&["--output", "json", "keygen", "aes", "--out", "b.key"]);
    assert_eq!(
        parse(&keygen.succeeds()),
        json!({ "type": "aes", "bits": 256, "file": "b.key" })
    );
    for arguments in [
        &["--output", "json", "decrypt"][..],
        &["--output=json", "frobnicate"],
    ] {
        let run = folder.run(arguments);
        run.fails(2, &[]);
        assert_eq!(parse(run.errors().as_bytes())["kind"], "usage");
    }
}

#[test]
fn keys_are_private_and_never_overwritten() {
    let folder = Folder::new();
    for (bits, length) in [("128", 16), ("192", 24), ("256", 32)] {
        let name = format!("{bits}.key");
        folder
            .run(&["keygen", "aes", "--bits", bits, "--out", &name])
            .succeeds();
        assert_eq!(folder.read(&name).len(), length);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path(&name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    let before = folder.read("a.key");
    folder
        .run(&["keygen", "aes", "--out", "a.key"])
        .fails(2, &["a.key exists", "never overwritten"]);
    assert_eq!(folder.read("a.key"), before);
    folder
        .run(&["keygen", "aes", "--bits", "512", "--out", "x"])
        .fails(2, &["--bits 512"]);
    folder
        .run(&["keygen", "aes", "--out", "no/such/folder"])
        .fails(5, &["no/such/folder"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_encryption_leaves_the_old_file() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let folder = Folder::new();
    folder.write("sealed", "old");
    let mut child = folder
        .command(&["--keyring", "keyring.toml", "encrypt", "-", "sealed"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Input that never ends, until the program does.
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        while stdin.write_all(&[0; 4096]).is_ok() {}
    });
    while folder.names().len() < 2 {
        std::thread::yield_now();
    }
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    writer.join().unwrap();
    assert_eq!(folder.read("sealed"), b"old");
    assert_eq!(folder.names(), ["sealed"]);

    // Killed outright, it leaves its temporary file to the next run.
    folder.write(".sealed.envelope-tmp", "left over");
    folder
        .piped(b"text", &["encrypt", "-", "sealed"])
        .succeeds();
    assert_eq!(folder.names(), ["sealed"]);
}
