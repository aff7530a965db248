//! Modules name only what stands below them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

/// A group of modules: its name, its members, and the groups that they may name.
type Group = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const GROUPS: [Group; 6] = [
    (
        "base",
        &[
            "error",
            "suite",
            "policy",
            "context",
            "secret",
            "encrypted_data_key",
            "format_error",
            "keyring_error",
            "not_unwrapped",
            "transform",
        ],
        &["base"],
    ),
    ("message", &["message"], &["base", "message"]),
    ("crypto", &["crypto"], &["base", "crypto"]),
    (
        "keys",
        &[
            "materials",
            "manager",
            "required_context",
            "cache",
            "caching_manager",
            "expiring_cache",
            "keyring",
        ],
        &["base", "crypto", "keys"],
    ),
    (
        "operations",
        &["encrypt", "decrypt", "decryptor", "body", "range"],
        &["base", "message", "crypto", "keys", "operations"],
    ),
    (
        "adapters",
        &["io", "stream", "blocking"],
        &["base", "keys", "operations", "adapters"],
    ),
];

/// Only `crypto` names them.
const CRYPTO_CRATES: [&str; 12] = [
    "aws_lc_rs",
    "aes_gcm",
    "p256",
    "p384",
    "p521",
    "rsa",
    "pkcs8",
    "hkdf",
    "hmac",
    "sha1",
    "sha2",
    "rand",
];

fn group(module: &str) -> Option<&'static Group> {
    GROUPS
        .iter()
        .find(|(_, members, _)| members.contains(&module))
}

/// What is wrong with one line of one module; `nested` when its file lies in the module's folder.
fn faults(module: &str, nested: bool, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let Some((name, _, may_name)) = group(module) else {
        return vec![format!("module {module} is in no group")];
    };
    for (at, _) in line.match_indices("crate::") {
        let path = line.get(at + "crate::".len()..).unwrap();
        let target = path
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap();
        match group(target) {
            Some((below, ..)) if may_name.contains(below) => {}
            Some((other, ..)) => faults.push(format!("{name} names {other}: {target}")),
            None => faults.push(format!("names {path:?}; name a module of the table")),
        }
    }
    if line.contains("super::super::") || (!nested && line.contains("super::")) {
        faults.push("leaves its module through super".to_owned());
    }
    if module != "crypto" {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(library) = words.find(|word| CRYPTO_CRATES.contains(word)) {
            faults.push(format!("names the cryptography library {library}"));
        }
    }
    faults
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let nested = folders.iter().flat_map(|folder| sources(folder));
    nested.chain(files).collect()
}

#[test]
fn modules_name_only_what_stands_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut checked = 0;
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap().with_extension("");
        let module = relative.iter().next().unwrap().to_str().unwrap();
        if module == "lib" {
            continue;
        }
        checked += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let outside_tests = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in outside_tests.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for fault in faults(module, relative.iter().count() > 1, line) {
                found.push(format!("{}:{}: {fault}", path.display(), number + 1));
            }
        }
    }
    assert!(checked > 25, "only {checked} files found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_check_sees_violations() {
    for (module, nested, line) in [
        ("message", true, "use crate::crypto::aead::Aead;"),
        ("crypto", true, "use crate::message::frame;"),
        (
            "keyring",
            true,
            "let x = crate::message::codec::Reader::new(b);",
        ),
        ("io", false, "use crate::crypto::random;"),
        (
            "context",
            false,
            "use crate::keyring::{Attempt, KeyringError};",
        ),
        ("error", false, "use crate::{keyring, suite};"),
        ("secret", false, "crate::crypto::random::fill(&mut bytes)?;"),
        ("suite", false, "use super::message::frame;"),
        ("keyring", true, "use super::super::message;"),
        ("manager", false, "use sha2::Sha384;"),
        ("newcomer", false, ""),
    ] {
        assert_eq!(faults(module, nested, line).len(), 1, "{module}: {line}");
    }
    for (module, nested, line) in [
        ("crypto", true, "use crate::secret::DataKey;"),
        ("keyring", true, "use super::{Attempt, KeyRequest};"),
        ("crypto", true, "use sha2::Sha512;"),
        ("range", false, "use crate::message::frame::FrameKind;"),
    ] {
        assert_eq!(faults(module, nested, line), [""; 0], "{module}: {line}");
    }
}
