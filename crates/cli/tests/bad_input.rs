//! Whatever is wrong gets an error of the right kind, and nothing is left half-written.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::fs;

use support::{Folder, raw_aes};

/// Runs with this keyring file, and checks the error and that nothing was written.
fn refused(folder: &Folder, keyring: &str, texts: &[&str]) {
    folder.write("keyring.toml", keyring);
    let run = folder.keyed(&["encrypt", "plain", "sealed"]);
    run.fails(2, &[&["keyring.toml"], texts].concat());
    assert!(!folder.path("sealed").exists());
}

#[test]
fn a_wrong_keyring_file_is_named_with_entry_field_and_remedy() {
    let folder = Folder::new();
    folder.write("plain", "text");
    folder
        .run(&["encrypt", "plain", "x"])
        .fails(2, &["--keyring", "ENVELOPE_KEYRING"]);
    folder
        .run(&["--keyring", "missing.toml", "encrypt", "plain", "x"])
        .fails(2, &["missing.toml"]);
    refused(&folder, "", &["no [[key]] entry"]);
    refused(
        &folder,
        "[[key]]\nname = \"x\"",
        &["key 1 (\"x\")", "\"type\" is missing"],
    );
    refused(
        &folder,
        "[[key]]\ntype = \"aes\"",
        &["key 1", "\"aes\" is not known", "raw-aes"],
    );
    refused(
        &folder,
        "[[key]]\ntype = 7",
        &["key 1", "\"type\"", "string"],
    );
    refused(&folder, "[cash]\nmax-age = 1", &["line 1", "cash"]);
    let entry = raw_aes("n", "key-file = \"a.key\"\ncolour = \"red\"");
    refused(&folder, &entry, &["key 1 (\"n\")", "colour"]);
    refused(
        &folder,
        &raw_aes("n", ""),
        &["key 1 (\"n\")", "exactly one of", "key-file"],
    );
    let both = raw_aes("n", "key-file = \"a.key\"\nkey-env = \"X\"");
    refused(&folder, &both, &["exactly one of"]);
    refused(
        &folder,
        &raw_aes("n", "key-file = \"gone.key\""),
        &["key-file", "gone.key", "cannot open"],
    );
    refused(
        &folder,
        &raw_aes("n", "key-hex = \"xyz\""),
        &["key-hex", "hexadecimal"],
    );
    refused(
        &folder,
        &raw_aes("n", "key-base64 = \"?\""),
        &["key-base64", "base64"],
    );
    refused(
        &folder,
        &raw_aes("n", "key-env = \"NOT_SET\""),
        &["key-env", "NOT_SET"],
    );
    let reserved = raw_aes("n", "key-file = \"a.key\"").replace("acme", "aws-kms");
    refused(&folder, &reserved, &["key 1 (\"n\")", "aws-kms"]);
    for length in [0, 15, 31, 33, 70_000] {
        folder.write("odd.key", vec![7; length]);
        let found = format!("holds {} bytes", length.min(65_536));
        refused(
            &folder,
            &raw_aes("n", "key-file = \"odd.key\""),
            &["key-file", &found, "16, 24 or 32"],
        );
    }
}

#[test]
fn no_error_shows_a_key() {
    let number = Folder::new();
    number.write("plain", "text");
    number.write("keyring.toml", raw_aes("n", "key-hex = 12345678901234567"));
    let run = number.keyed(&["encrypt", "plain", "sealed"]);
    run.fails(2, &["key 1", "field \"key-hex\"", "must be a string"]);
    assert!(!run.errors().contains("1234"), "{}", run.errors());

    let folder = Folder::new();
    folder.write("plain", "text");
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    for entry in [
        raw_aes("n", &format!("key-base64 = \"{secret}\" = broken")),
        raw_aes("n", &format!("key-base64 = \"{secret}\"")),
        raw_aes("n", &format!("key-hex = \"{secret}\"")),
        raw_aes("n", &format!("key-base64 = [\"{secret}\"]")),
        raw_aes("n", &format!("key-base64 = {{ key = \"{secret}\" }}")),
        raw_aes("n", &format!("material-description = \"{secret}\"")),
        raw_aes("n", &format!("key-base64 = \"\"\"{secret}")),
        format!("key = \"{secret}\""),
        format!("cache = \"{secret}\""),
        format!(
            "{}[cache]\nmax-age = \"{secret}\"",
            raw_aes("n", "key-file = \"a.key\"")
        ),
    ] {
        folder.write("keyring.toml", entry);
        let run = folder.keyed(&["encrypt", "plain", "sealed"]);
        run.fails(2, &["keyring.toml"]);
        assert!(!run.errors().contains("c2Vj"), "{}", run.errors());
    }
}

#[test]
fn keys_come_from_the_file_the_environment_or_beside_it() {
    let folder = Folder::new();
    folder.write("plain", "text");
    folder.write("b.key", [7; 32]);
    let base64 = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let entries = [
        "key-file = \"b.key\"".to_owned(),
        format!("key-base64 = \"{base64}\""),
        format!("key-hex = \"{}\"", "07".repeat(32)),
        "key-env = \"A_KEY\"\nmaterial-description = { kid = \"7\" }".to_owned(),
    ];
    folder.write("keyring.toml", raw_aes("n", &entries[0]));
    folder.keyed(&["encrypt", "plain", "sealed"]).succeeds();
    for entry in entries {
        folder.write("keyring.toml", raw_aes("n", &entry));
        let output = folder
            .command(&["--keyring", "keyring.toml", "decrypt", "sealed", "-"])
            .env("A_KEY", base64)
            .output()
            .unwrap();
        assert_eq!(
            output.stdout,
            b"text",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // Paths are relative to the keyring file, wherever the program runs.
    let keyring = folder.path("keyring.toml").display().to_string();
    folder.write("keyring.toml", raw_aes("n", "key-file = \"b.key\""));
    let output = folder
        .command(&["decrypt", &folder.path("sealed").display().to_string(), "-"])
        .current_dir("/")
        .env("ENVELOPE_KEYRING", keyring)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"text");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.write("plain", "text");
    let set = |name: &str, mode| {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o640, 0o604, 0o620] {
        set("a.key", mode);
        let run = folder.keyed(&["encrypt", "plain", "sealed"]);
        run.fails(
            2,
            &[
                "key 1 (\"a\")",
                "key-file",
                "a.key",
                &format!("{mode:o}"),
                "chmod 600",
            ],
        );
    }
    set("a.key", 0o400);
    folder.keyed(&["encrypt", "plain", "sealed"]).succeeds();
    folder.write(
        "keyring.toml",
        raw_aes("a", &format!("key-hex = \"{}\"", "07".repeat(32))),
    );
    set("keyring.toml", 0o644);
    folder.keyed(&["encrypt", "plain", "sealed"]).fails(
        2,
        &[
            "keyring.toml holds a key".split(' ').next().unwrap(),
            "holds a key",
            "chmod 600",
        ],
    );
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::write(folder.path("plain"), "text").unwrap();
    let run = |arguments: &[&OsStr]| {
        let mut command = folder.command(&["--keyring", "keyring.toml"]);
        command.args(arguments).output().unwrap()
    };
    let [encrypt, decrypt, plain, copy] = ["encrypt", "decrypt", "plain", "copy"].map(OsStr::new);
    assert_eq!(run(&[encrypt, plain, name]).status.code(), Some(0));
    assert_eq!(run(&[decrypt, name, copy]).status.code(), Some(0));
    assert_eq!(folder.read("copy"), b"text");
    let context = OsStr::from_bytes(b"--context=a=\xff");
    assert_eq!(run(&[encrypt, plain, copy, context]).status.code(), Some(2));
}

#[test]
fn a_long_header_is_read_when_it_may_be_long() {
    let folder = Folder::new();
    let key = raw_aes(&"n".repeat(60_000), "key-file = \"a.key\"");
    folder.write("keyring.toml", key.repeat(20));
    folder
        .piped(b"text", &["encrypt", "-", "sealed"])
        .succeeds();
    folder
        .keyed(&["decrypt", "sealed", "-"])
        .fails(4, &["1048576 bytes", "header length"]);
    folder
        .run(&["inspect", "sealed"])
        .fails(4, &["header length"]);
    let raised = ["--max-header-length", "2000000"];
    let decrypt = [&["decrypt", "sealed", "-"][..], &raised].concat();
    assert_eq!(folder.keyed(&decrypt).succeeds(), b"text");
    folder
        .run(&[&["inspect", "sealed"][..], &raised].concat())
        .succeeds();
}

#[test]
fn damaged_messages_are_not_authentic() {
    let folder = Folder::new();
    let encrypt = [
        "encrypt",
        "-",
        "sealed",
        "--frame-length",
        "10",
        "--suite",
        "0478",
    ];
    folder
        .piped(b"some plaintext of more than one frame", &encrypt)
        .succeeds();
    let message = folder.read("sealed");
    folder.write("target", "old");
    let refuse = |content: &[u8], texts: &[&str]| {
        folder.write("sealed", content);
        for target in ["target", "-"] {
            let run = folder.keyed(&["decrypt", "sealed", target]);
            run.fails(4, &[&["sealed"], texts].concat());
            assert!(run.output().is_empty());
        }
        assert_eq!(folder.read("target"), b"old");
        assert_eq!(folder.read("sealed"), content);
        assert_eq!(folder.names(), ["sealed", "target"]);
    };
    refuse(b"", &["truncated", "fetch the whole message"]);
    refuse(&message[..50], &["truncated", "byte 50"]);
    refuse(&message[..message.len() - 1], &["truncated", "frame"]);
    refuse(&[&message[..], b"x"].concat(), &["bytes follow the end"]);
    let mut flipped = message.clone();
    flipped[message.len() - 60] ^= 1;
    refuse(&flipped, &["not authentic", "tampered"]);
    refuse(b"\x03 no message", &["version 0x03", "not supported"]);
    refuse(b"AgR4dGVzdA==", &["base64", "decode"]);
}

/// A header up to its keys: version, suite, message id and an empty context.
fn header_beginning(context: &[u8]) -> Vec<u8> {
    [&[2, 4, 0x78][..], &[7; 32], context].concat()
}

#[test]
fn oversized_claims_are_refused() {
    let folder = Folder::new();
    let refuse = |content: &[u8], code, texts: &[&str]| {
        folder.write("hostile", content);
        folder
            .keyed(&["decrypt", "hostile", "copy"])
            .fails(code, texts);
        assert_eq!(folder.names(), ["hostile"]);
    };
    // 65 535 keys that are not there, and that are.
    let many = [&header_beginning(&[0, 0])[..], &[0xff, 0xff]].concat();
    refuse(&many, 4, &["truncated"]);
    let keys = [
        &many[..],
        &vec![0; 6 * 65_535],
        &[2],
        &[0, 0, 16, 0],
        &[0; 48],
    ]
    .concat();
    refuse(&keys, 3, &["65535 encrypted data keys"]);
    // A context of 65 535 bytes that is not there, and that is one pair too long.
    refuse(
        &header_beginning(&[0xff, 0xff]),
        4,
        &["truncated", "encryption context"],
    );
    let context = [
        &[0xff, 0xff, 0, 1, 0, 1, b'k', 0xff, 0xff][..],
        &[b'v'; 65_528],
    ]
    .concat();
    refuse(
        &header_beginning(&context),
        4,
        &["malformed", "encryption context"],
    );
    // Text that is no text.
    refuse(
        &header_beginning(&[0, 8, 0, 1, 0, 1, 0xff, 0, 1, b'v', 0]),
        4,
        &["malformed", "UTF-8"],
    );
    // A frame of 4 GiB, which only the holder of the key can announce.
    let encrypt = [
        "encrypt",
        "-",
        "long",
        "--frame-length",
        "4294967295",
        "--suite",
        "0478",
    ];
    folder.piped(b"text", &encrypt).succeeds();
    let message = folder.read("long");
    fs::remove_file(folder.path("long")).unwrap();
    let header = message.len() - 40 - 4;
    let regular = [&message[..header], &[0, 0, 0, 1], &[0; 100]].concat();
    refuse(&regular, 4, &["4294967295 bytes", "maximum"]);
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let folder = Folder::new();
    folder.write("plain", "text");
    fs::create_dir(folder.path("directory")).unwrap();
    let encrypt = |source, target| folder.keyed(&["encrypt", source, target]);
    encrypt("directory", "x").fails(2, &["directory", "not a regular file"]);
    encrypt("plain", "directory").fails(2, &["directory", "not a regular file"]);
    encrypt("plain", "plain").fails(2, &["plain", "both source and target"]);
    encrypt("missing", "x").fails(5, &["cannot open missing"]);
    encrypt("plain", "no/folder/x").fails(5, &["cannot create no/folder/x"]);
    encrypt("plain", "/proc/x").fails(5, &["cannot create /proc/x"]);
    assert_eq!(folder.names(), ["directory", "plain"]);
    assert_eq!(folder.read("plain"), b"text");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let folder = Folder::new();
    folder.write("plain", "text");
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    folder.keyed(&["encrypt", "plain", "sealed"]).succeeds();
    for arguments in [["encrypt", "plain", "-"], ["decrypt", "sealed", "-"]] {
        let output = folder
            .command(&[&["--keyring", "keyring.toml"][..], &arguments].concat())
            .stdout(full())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(5));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains("cannot write standard output: No space left"),
            "{error}"
        );
    }
}
