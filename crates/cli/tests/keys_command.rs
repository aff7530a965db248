//! `envelope keys`, without a service that answers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use serde_json::{Value, json};
use support::services::{ARN, entry, errors, fails, key_id, run, silent_address};
use support::{Folder, raw_aes};

#[test]
fn keys_check_says_what_each_key_can_do() {
    let folder = Folder::new();
    folder
        .run(&["keygen", "rsa", "--bits", "2048", "--out", "rsa.pem"])
        .succeeds();
    for name in ["mine", "theirs"] {
        let file = format!("{name}.pem");
        folder
            .run(&["keygen", "ec", "--curve", "p384", "--out", &file])
            .succeeds();
    }
    let rsa = [
        "namespace = \"acme\"",
        "name = \"escrow\"",
        "padding = \"oaep-sha256\"",
    ];
    let public = "public-key-file = \"rsa.pem.pub.pem\"";
    let private = "private-key-file = \"rsa.pem\"";
    let curve = "curve = \"p384\"";
    let theirs = "peer-public-key-file = \"theirs.pem.pub.pem\"";
    let keyring = [
        raw_aes("a", "key-file = \"a.key\""),
        entry("raw-rsa", &[&rsa[..], &[public]].concat()),
        entry("raw-rsa", &[&rsa[..], &[private]].concat()),
        entry("raw-ecdh", &["scheme = \"ephemeral\"", curve, theirs]),
        entry(
            "raw-ecdh",
            &[
                "scheme = \"discovery\"",
                curve,
                "private-key-file = \"theirs.pem\"",
            ],
        ),
        entry(
            "raw-ecdh",
            &[
                "scheme = \"discovery\"",
                curve,
                "private-key-file = \"mine.pem\"",
            ],
        ),
    ];
    folder.write("keyring.toml", keyring.concat());
    let text = String::from_utf8(run(&folder, &["keys", "check"]).stdout).unwrap();
    let mut lines = text.lines();
    let mut words = || lines.next().unwrap().split_whitespace().collect::<Vec<_>>();
    let heading = ["#", "type", "generate", "encrypt", "decrypt", "name"];
    assert_eq!(words(), heading);
    assert_eq!(words(), ["1", "raw-aes", "ok", "ok", "ok", "acme/a"]);
    assert_eq!(words(), ["2", "raw-rsa", "ok", "ok", "n/a", "acme/escrow"]);
    assert_eq!(words(), ["3", "raw-rsa", "n/a", "n/a", "ok", "acme/escrow"]);
    assert_eq!(words()[..5], ["4", "raw-ecdh", "ok", "ok", "n/a"]);
    assert_eq!(words()[..5], ["5", "raw-ecdh", "n/a", "n/a", "ok"]);
    assert_eq!(words()[..5], ["6", "raw-ecdh", "n/a", "n/a", "untried"]);
    for reason in [
        "key 2: decrypt: n/a: it has no private key; give \"private-key-file\"",
        "key 3: generate, encrypt: n/a: it has no public key",
        "key 4: decrypt: n/a: scheme \"ephemeral\"",
        "key 6: decrypt: untried: no key of the file wrapped anything that it takes for its own",
    ] {
        assert!(text.contains(reason), "no {reason:?} in {text}");
    }
}

#[test]
fn keys_check_tells_programs_the_same() {
    let folder = Folder::new();
    let endpoint = format!("endpoint-url = \"http://{}\"", silent_address());
    let keyring = raw_aes("a", "key-file = \"a.key\"");
    folder.write("keyring.toml", &keyring);
    let check = [
        "--output",
        "json",
        "keys",
        "check",
        "--context",
        "tenant=acme",
    ];
    let output = run(&folder, &check);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ok = json!({ "result": "ok" });
    let first = json!({
        "number": 1,
        "type": "raw-aes",
        "name": "acme/a",
        "generate": ok,
        "encrypt": ok,
        "decrypt": ok,
    });
    assert_eq!(
        shown,
        json!({ "command": "keys check", "keys": [first], "failed": 0 })
    );

    let unreachable = entry("aws-kms", &[&key_id(ARN), &endpoint]);
    folder.write("keyring.toml", keyring + &unreachable);
    let output = run(&folder, &check);
    fails(&output, 1, &["\"kind\":\"some\"", "1 of 2 keys failed"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["failed"], &shown["keys"][0]), (&1.into(), &first));
    let second = &shown["keys"][1];
    assert_eq!(second["name"], ARN);
    for (tried, call) in [
        ("generate", "kms:GenerateDataKey"),
        ("encrypt", "kms:Encrypt"),
    ] {
        assert_eq!(second[tried]["result"], "no");
        let reason = second[tried]["reason"].as_str().unwrap();
        assert!(
            reason.contains(call) && reason.contains("eu-west-1"),
            "{reason}"
        );
    }
    assert_eq!(second["decrypt"]["result"], "untried");
}

#[test]
fn branch_keys_need_an_entry_that_has_them() {
    let folder = Folder::new();
    let version = ["keys", "version", "--id", "acme"];
    fails(
        &run(&folder, &version),
        2,
        &["no key of type aws-kms-hierarchy", "add one"],
    );
    let create = ["keys", "create", "--entry", "1"];
    fails(
        &run(&folder, &create),
        2,
        &["--entry 1", "has no branch keys"],
    );
    let create = ["keys", "create-table", "--entry", "2"];
    fails(&run(&folder, &create), 2, &["--entry 2", "has 1 keys"]);
    let fields = [
        "table = \"keys\"",
        &format!("kms-key-arn = {ARN:?}"),
        "branch-key-from-context = \"tenant\"",
        "cache-max-age = \"10m\"",
        &format!("endpoint-url = \"http://{}\"", silent_address()),
    ];
    let hierarchy = entry("aws-kms-hierarchy", &fields);
    folder.write("keyring.toml", hierarchy.repeat(2));
    fails(&run(&folder, &version), 2, &["several keys", "--entry"]);
    folder.write("keyring.toml", hierarchy);
    fails(
        &run(&folder, &version),
        5,
        &["dynamodb:GetItem", "table keys", "eu-west-1"],
    );
    let unnamed = ["keys", "create", "--id", "acme"];
    fails(
        &run(&folder, &unnamed),
        2,
        &["whose id is given", "at least one pair"],
    );
    // Without the pair that names the branch key there is none to try.
    let output = run(&folder, &["keys", "check"]);
    fails(&output, 1, &["1 of 1 keys failed"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("generate") && text.contains("\"tenant\""),
        "{text}"
    );
}
