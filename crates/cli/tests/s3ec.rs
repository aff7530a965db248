//! Objects of the S3 Encryption Client. Local files keep no metadata, so those here have their keys
//! in instruction files, and are written by the library.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use envelope::{RsaPrivateKey, RsaPublicKey, WrappingKey};
use envelope_s3::S3ec;
use envelope_s3::keyring::{Aes, MaterialDescription, Rsa};
use envelope_store::EncryptedStore;
use futures::executor::block_on;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::Value;
use support::{Folder, Run, raw_aes};

const PLAINTEXT: &[u8] = b"of the S3 Encryption Client, in V2";
/// The policy that reads objects without key commitment.
const ALLOW: [&str; 2] = ["--commitment-policy", "require-encrypt-allow-decrypt"];
const UNAUTHENTICATED: &str = "--allow-legacy-unauthenticated";

fn url(folder: &Folder, name: &str) -> String {
    url::Url::from_file_path(folder.path(name)).unwrap().into()
}

fn json_line(run: &Run) -> Value {
    serde_json::from_slice(&run.succeeds()).unwrap()
}

/// The key that the folder has.
fn aes(folder: &Folder) -> Aes {
    Aes::new(WrappingKey::from_bytes(&mut folder.read("a.key")).unwrap())
}

/// Writes `store/object` and `store/object.instruction`.
fn write_object(folder: &Folder, keyring: impl envelope::Keyring + 'static) {
    std::fs::create_dir_all(folder.path("store")).unwrap();
    let inner = std::sync::Arc::new(InMemory::new());
    let store = EncryptedStore::builder(inner.clone())
        .format(S3ec::v2().instruction_files())
        .build(keyring);
    block_on(async {
        let object = Path::from("object");
        store.put(&object, PLAINTEXT.into()).await.unwrap();
        for name in ["object", "object.instruction"] {
            let stored = inner.get(&name.into()).await.unwrap();
            folder.write(&format!("store/{name}"), stored.bytes().await.unwrap());
        }
    });
}

fn described_keyring(name: &str, kid: &str) -> String {
    raw_aes(
        name,
        &format!("key-file = \"{name}.key\"\nmaterial-description = {{ kid = \"{kid}\" }}"),
    )
}

#[test]
fn an_object_is_recognised_listed_described_read_and_removed() {
    let folder = Folder::new();
    let description = MaterialDescription::new([("kid", "7")]);
    write_object(&folder, aes(&folder).described(description));
    folder.write("keyring.toml", described_keyring("a", "7"));
    let (store, object) = (url(&folder, "store"), url(&folder, "store/object"));
    folder
        .piped(b"framed", &["cp", "-", &format!("{store}/message")])
        .succeeds();

    let listed = folder.run(&["--output", "json", "ls", &store]).succeeds();
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count(), 2, "no instruction file in {listed}");
    for length in [PLAINTEXT.len(), 6] {
        assert!(listed.contains(&format!("\"size\":{length}")), "{listed}");
    }
    folder
        .run(&["ls", &store, "--format", "s3ec-v2"])
        .fails(2, &["required arguments"]);

    let claims = json_line(&folder.run(&["--output", "json", "inspect", &object]));
    assert_eq!(claims["format"], "s3ec-v2");
    assert_eq!(claims["version"], 2);
    assert_eq!(claims["suite"], "0072");
    assert_eq!(claims["wrap_algorithm"], "AES/GCM");
    assert_eq!(claims["material_description"]["kid"], "7");
    assert_eq!(claims["encrypted_data_keys"][0]["provider_id"], "S3Keyring");
    assert_eq!(claims["encrypted_data_keys"][0]["length"], 60);
    assert_eq!(claims["plaintext_length"], PLAINTEXT.len());
    let file = claims["instruction_file"].as_str().unwrap();
    assert!(file.ends_with("store/object.instruction"), "{file}");
    for nothing in ["message_id", "frame_length", "header_length"] {
        assert_eq!(claims[nothing], Value::Null, "{nothing}");
    }
    assert_eq!(claims["verified"], false);
    let text = String::from_utf8(folder.run(&["inspect", &object]).succeeds()).unwrap();
    assert!(
        text.contains("AES/GCM") && text.contains("\"kid\" = \"7\""),
        "{text}"
    );

    // It commits to no key.
    folder
        .keyed(&["cat", &object])
        .fails(4, &["policy", "object"]);
    let cat = |more: &[&str]| folder.keyed(&[&["cat", &object], &ALLOW[..], more].concat());
    assert_eq!(cat(&[]).succeeds(), PLAINTEXT);
    assert_eq!(cat(&["--wait-in-memory", "1"]).succeeds(), PLAINTEXT);
    assert_eq!(cat(&["--delayed-authentication"]).succeeds(), PLAINTEXT);
    cat(&["--wait-in-memory", "1", "--refuse-longer"]).fails(2, &["--wait-in-memory"]);
    cat(&["--range", "3-5"]).fails(2, &["part", UNAUTHENTICATED]);
    assert_eq!(cat(&["--range", "3-5", UNAUTHENTICATED]).succeeds(), b"the");
    cat(&["--context", "tenant=acme"]).fails(2, &["raw key", "no encryption context"]);
    let copy = folder.keyed(&[&["cp", "-r", &store, "copy"], &ALLOW[..]].concat());
    copy.succeeds();
    assert_eq!(folder.read("copy/object"), PLAINTEXT);
    assert_eq!(folder.read("copy/message"), b"framed");
    assert!(!folder.path("copy/object.instruction").exists());

    folder.run(&["rm", &object]).succeeds();
    assert!(!folder.path("store/object").exists());
    assert!(!folder.path("store/object.instruction").exists());
    assert!(folder.path("store/message").exists());
}

#[test]
fn the_material_description_picks_the_key() {
    let folder = Folder::new();
    write_object(
        &folder,
        aes(&folder).described(MaterialDescription::new([("kid", "7")])),
    );
    folder.run(&["keygen", "aes", "--out", "b.key"]).succeeds();
    let object = url(&folder, "store/object");
    let cat = || folder.keyed(&[&["cat", &object], &ALLOW[..]].concat());
    folder.write(
        "keyring.toml",
        described_keyring("b", "8") + &described_keyring("a", "7"),
    );
    assert_eq!(cat().succeeds(), PLAINTEXT);
    folder.write("keyring.toml", described_keyring("a", "8"));
    cat().fails(3, &["object"]);
    assert!(cat().errors().contains("another material description"));
    folder.write("keyring.toml", described_keyring("b", "7"));
    cat().fails(3, &["object"]);
    assert!(cat().errors().contains("does not open"));
}

#[test]
fn an_rsa_entry_opens_objects_whatever_its_padding() {
    let folder = Folder::new();
    folder
        .run(&["keygen", "rsa", "--bits", "2048", "--out", "r.pem"])
        .succeeds();
    let text = |name: &str| String::from_utf8(folder.read(name)).unwrap();
    let rsa = Rsa::new(
        RsaPublicKey::from_pem(&text("r.pem.pub.pem")).unwrap(),
        RsaPrivateKey::from_pem(&text("r.pem"), None).unwrap(),
    );
    write_object(&folder, rsa);
    let entry = "[[key]]\ntype = \"raw-rsa\"\nnamespace = \"acme\"\nname = \"r\"\n\
        padding = \"oaep-sha512\"\n";
    folder.write(
        "keyring.toml",
        format!("{entry}private-key-file = \"r.pem\"\n"),
    );
    let object = url(&folder, "store/object");
    let cat = || folder.keyed(&[&["cat", &object], &ALLOW[..]].concat());
    assert_eq!(cat().succeeds(), PLAINTEXT);
    folder.write(
        "keyring.toml",
        format!("{entry}public-key-file = \"r.pem.pub.pem\"\n"),
    );
    cat().fails(3, &["object"]);
    assert!(cat().errors().contains("no private key"));
}

#[test]
fn damage_is_noticed_before_anything_is_released() {
    let folder = Folder::new();
    write_object(&folder, aes(&folder));
    let object = url(&folder, "store/object");
    let cat = |more: &[&str]| folder.keyed(&[&["cat", &object], &ALLOW[..], more].concat());
    let mut stored = folder.read("store/object");
    stored[0] ^= 1;
    folder.write("store/object", &stored);
    for more in [&[][..], &["--wait-in-memory", "1"]] {
        let read = cat(more);
        read.fails(4, &["object", "not authentic"]);
        assert!(read.output().is_empty());
    }
    folder.write("store/object", &stored[..15]);
    cat(&[]).fails(4, &["object", "truncated"]);
    folder.write("store/object.instruction", "{}");
    cat(&[]).fails(4, &["object", "x-amz-"]);
    std::fs::remove_file(folder.path("store/object.instruction")).unwrap();
    cat(&[]).fails(4, &["--plain-source", "--instruction-suffix"]);
}

#[test]
fn keys_are_found_under_another_suffix() {
    let folder = Folder::new();
    write_object(&folder, aes(&folder));
    let (from, to) = ("store/object.instruction", "store/object.partner");
    std::fs::rename(folder.path(from), folder.path(to)).unwrap();
    let (store, object) = (url(&folder, "store"), url(&folder, "store/object"));
    let suffix = ["--instruction-suffix", ".partner"];
    let cat = |more: &[&str]| folder.keyed(&[&["cat", &object], &ALLOW[..], more].concat());
    cat(&[]).fails(4, &["--instruction-suffix"]);
    assert_eq!(cat(&suffix).succeeds(), PLAINTEXT);
    cat(&["--instruction-suffix", "a/b"]).fails(2, &["--instruction-suffix"]);
    let claims = folder.run(&[&["--output", "json", "inspect", &object], &suffix[..]].concat());
    assert_eq!(json_line(&claims)["format"], "s3ec-v2");
    let listed = folder.run(&[&["--output", "json", "ls", &store], &suffix[..]].concat());
    assert_eq!(json_line(&listed)["size"], PLAINTEXT.len());
    let copied = folder.keyed(&[&["cp", "-r", &store, "copy"], &ALLOW[..], &suffix].concat());
    copied.succeeds();
    assert_eq!(folder.read("copy/object"), PLAINTEXT);
    assert!(!folder.path("copy/object.partner").exists());
    folder
        .run(&[&["rm", &object], &suffix[..]].concat())
        .succeeds();
    assert!(!folder.path(to).exists());
}

#[test]
fn an_object_becomes_a_framed_one_under_other_keys() {
    let folder = Folder::new();
    write_object(&folder, aes(&folder));
    folder.run(&["keygen", "aes", "--out", "b.key"]).succeeds();
    folder.write("new.toml", raw_aes("b", "key-file = \"b.key\""));
    let object = url(&folder, "store/object");
    let reencrypt = |more: &[&str]| {
        let command = ["--output", "json", "reencrypt", &object, "--to", "new.toml"];
        folder.keyed(&[&command, more].concat())
    };
    reencrypt(&[]).fails(4, &["policy"]);
    reencrypt(&["--format", "s3ec-v3"]).fails(2, &["no metadata", "--format framed"]);
    reencrypt(&["--format", "s3ec-v2"]).fails(4, &["forbid-encrypt-allow-decrypt"]);
    assert_eq!(json_line(&reencrypt(&ALLOW))["format"], "framed");
    assert!(!folder.path("store/object.instruction").exists());
    folder.keyed(&["cat", &object]).fails(3, &["object"]);
    let read = folder.run(&["--keyring", "new.toml", "cat", &object]);
    assert_eq!(read.succeeds(), PLAINTEXT);
    // And a framed one another framed one.
    let command = ["--keyring", "new.toml", "reencrypt", &object];
    let options = ["--to", "keyring.toml", "--format", "framed-instruction"];
    folder.run(&[&command[..], &options].concat()).succeeds();
    assert_eq!(folder.keyed(&["cat", &object]).succeeds(), PLAINTEXT);
    let gone = folder.run(&["reencrypt", &url(&folder, "store/x"), "--to", "new.toml"]);
    gone.fails(2, &["--keyring"]);
    let gone = folder.keyed(&["reencrypt", &url(&folder, "store/x"), "--to", "new.toml"]);
    gone.fails(5, &["store/x"]);
    let wrong = folder.keyed(&["reencrypt", &object, "--to", "gone.toml"]);
    wrong.fails(2, &["gone.toml"]);
}

#[test]
fn a_framed_object_is_given_other_keys_without_being_rewritten() {
    let folder = Folder::new();
    folder.run(&["keygen", "aes", "--out", "b.key"]).succeeds();
    folder.write("new.toml", raw_aes("b", "key-file = \"b.key\""));
    let object = url(&folder, "store/object");
    let context = ["--context", "tenant=acme"];
    let format = ["--format", "framed-instruction"];
    let upload = [&["cp", "-", &object], &context[..], &format].concat();
    folder.piped(b"text", &upload).succeeds();
    let stored = folder.read("store/object");
    let rewrap = |more: &[&str]| {
        let command = ["--output", "json", "rewrap", &object, "--to", "new.toml"];
        folder.keyed(&[&command, more].concat())
    };
    rewrap(&["--context", "tenant=other"]).fails(4, &["object", "tenant"]);
    rewrap(&["--suffix", ".partner"]).fails(2, &["--suffix"]);
    rewrap(&["--enforce-rotation"]).fails(2, &["--enforce-rotation"]);
    rewrap(&["--suffix", "partner"]).fails(2, &["--suffix"]);
    let report = json_line(&rewrap(&context));
    assert_eq!(report["format"], "framed-instruction");
    let file = report["instruction_file"].as_str().unwrap();
    assert!(file.ends_with(".instruction"), "{file}");
    assert_eq!(folder.read("store/object"), stored);
    folder.keyed(&["cat", &object]).fails(3, &["object"]);
    let read = folder.run(&["--keyring", "new.toml", "cat", &object]);
    assert_eq!(read.succeeds(), b"text");
    // The file goes with its object, although the other formats have theirs elsewhere.
    folder.run(&["rm", &object]).succeeds();
    assert_eq!(std::fs::read_dir(folder.path("store")).unwrap().count(), 0);

    folder.piped(b"text", &["cp", "-", &object]).succeeds();
    rewrap(&[]).fails(2, &["reencrypt"]);
    write_object(&folder, aes(&folder));
    rewrap(&ALLOW).fails(2, &["no metadata"]);
}

/// A file's name can fit a framed object and one of the S3 Encryption Client.
#[test]
fn files_left_behind_go_with_everything_else() {
    let folder = Folder::new();
    write_object(&folder, aes(&folder));
    let store = url(&folder, "store");
    let id = "0123456789abcdef0123456789abcdef";
    // Left behind by a crash: neither `gone` nor the longer name is there.
    folder.write(&format!("store/gone.{id}.instruction"), "orphan");
    folder.write("store/gone.instruction", "orphan");
    folder.run(&["rm", "-r", &store]).succeeds();
    assert_eq!(std::fs::read_dir(folder.path("store")).unwrap().count(), 0);
}

#[test]
fn writing_where_no_metadata_is_kept_is_refused_before_anything_is_read() {
    let folder = Folder::new();
    let object = url(&folder, "store/object");
    for more in [
        &["--format", "s3ec-v3"][..],
        &["--format", "s3ec-v3", "--instruction-file"],
    ] {
        folder
            .piped(b"text", &[&["cp", "-", &object], more].concat())
            .fails(2, &["store/object", "no metadata", "--format framed"]);
    }
    assert!(!folder.path("store").exists());
    folder
        .piped(
            b"text",
            &[
                "cp",
                "-",
                "az://box/x",
                "--format",
                "s3ec-v3",
                "--store-option",
                "account_name=a",
            ],
        )
        .fails(2, &["az://box/x", "hyphens"]);
}

#[test]
fn options_that_do_not_fit_the_format_say_so() {
    let folder = Folder::new();
    let wrong: [(&[&str], i32, &[&str]); 9] = [
        (&["--instruction-file"], 2, &["framed-instruction"]),
        (&["--format", "s3ec-v3", "--suite", "0478"], 2, &["--suite"]),
        (
            &["--format", "s3ec-v3", "--frame-length", "1"],
            2,
            &["--frame-length"],
        ),
        (
            &["--format", "s3ec-v3", "--header-length", "1"],
            2,
            &["--header-length"],
        ),
        (
            &["--format", "s3ec-v3", "--required-context-key", "k"],
            2,
            &["--required-context-key"],
        ),
        (
            &["--format", "s3ec-v2"],
            4,
            &["--commitment-policy forbid-encrypt-allow-decrypt", "0072"],
        ),
        (
            &[
                "--format",
                "s3ec-v3",
                "--commitment-policy",
                "forbid-encrypt-allow-decrypt",
            ],
            4,
            &["--commitment-policy require-encrypt-allow-decrypt", "0073"],
        ),
        (
            &["--delayed-authentication", "--wait-in-memory", "1MiB"],
            2,
            &["--delayed-authentication"],
        ),
        (&["--format", "s3ec"], 2, &["s3ec"]),
    ];
    for (more, code, texts) in wrong {
        folder
            .piped(b"text", &[&["cp", "-", "memory:///x"], more].concat())
            .fails(code, texts);
    }
    for more in [
        &["--format", "s3ec-v3"][..],
        &["--format", "s3ec-v3", "--instruction-file"],
        &[
            "--format",
            "s3ec-v2",
            "--commitment-policy",
            "forbid-encrypt-allow-decrypt",
        ],
    ] {
        folder
            .piped(b"text", &[&["cp", "-", "memory:///x"], more].concat())
            .succeeds();
    }
    let long = format!("k={}", "v".repeat(2000));
    folder
        .piped(
            b"text",
            &[
                "cp",
                "-",
                "memory:///x",
                "--format",
                "s3ec-v3",
                "--metadata",
                &long,
            ],
        )
        .fails(2, &["2048", "--instruction-file"]);
    folder
        .piped(
            b"text",
            &[
                "cp",
                "-",
                "memory:///x",
                "--format",
                "s3ec-v3",
                "--metadata",
                "x-amz-key=v",
            ],
        )
        .fails(2, &["x-amz-key"]);
    folder
        .piped(
            b"text",
            &[
                "cp",
                "-",
                "memory:///x",
                "--format",
                "s3ec-v3",
                "--context",
                "k=v",
            ],
        )
        .fails(2, &["no encryption context"]);
}

#[test]
fn keys_without_a_form_for_the_format_are_left_out() {
    let folder = Folder::new();
    write_object(&folder, aes(&folder));
    folder
        .run(&["keygen", "ec", "--curve", "p256", "--out", "e.pem"])
        .succeeds();
    let ecdh = "[[key]]\ntype = \"raw-ecdh\"\nscheme = \"static\"\ncurve = \"p256\"\n\
        private-key-file = \"e.pem\"\npeer-public-key-file = \"e.pem.pub.pem\"\n";
    let aes = raw_aes("a", "key-file = \"a.key\"");
    let object = url(&folder, "store/object");
    let cat = || folder.keyed(&[&["cat", &object], &ALLOW[..]].concat());
    let write = || folder.piped(b"text", &["cp", "-", "memory:///x", "--format", "s3ec-v3"]);
    folder.write("keyring.toml", format!("{ecdh}{aes}"));
    assert_eq!(cat().succeeds(), PLAINTEXT);
    write().fails(2, &["keyring.toml", "key 1", "raw-aes, raw-rsa or aws-kms"]);
    folder.write("keyring.toml", format!("{aes}{ecdh}"));
    assert_eq!(cat().succeeds(), PLAINTEXT);
    write().succeeds();
    folder.write("keyring.toml", ecdh);
    cat().fails(3, &["object"]);
    assert!(cat().errors().contains("raw-aes, raw-rsa or aws-kms"));
    // Messages are opened all the same.
    folder
        .piped(b"text", &["cp", "-", &url(&folder, "store/message")])
        .succeeds();
    let read = folder.keyed(&["cat", &url(&folder, "store/message")]);
    assert_eq!(read.succeeds(), b"text");
}
