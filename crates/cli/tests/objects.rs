//! Commands on objects, over local files as a store.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::fs;

use serde_json::Value;
use support::Folder;

/// The URL of a name in a folder.
fn url(folder: &Folder, name: &str) -> String {
    url::Url::from_file_path(folder.path(name)).unwrap().into()
}

fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn content(length: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(length).collect()
}

#[test]
fn a_folder_goes_into_a_store_and_comes_back() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("source/sub")).unwrap();
    let files = [("a.bin", 20 << 20), ("empty", 0), ("sub/b c.txt", 70_000)];
    for (name, length) in files {
        folder.write(&format!("source/{name}"), content(length));
    }
    for format in ["framed", "framed-instruction"] {
        let store = url(&folder, format);
        let copy = format!("copy-{format}");
        folder
            .keyed(&["cp", "-r", "source", &store, "--format", format])
            .succeeds();
        let copied = folder.keyed(&["--output", "json", "cp", "-r", &store, &copy]);
        let lines = json_lines(&copied.succeeds());
        assert_eq!(lines.len(), 4, "one for each object, and a summary");
        assert_eq!(lines[3]["objects"], 3);
        assert_eq!(lines[3]["bytes"], (20 << 20) + 70_000);
        for (name, length) in files {
            assert_eq!(folder.read(&format!("{copy}/{name}")), content(length));
            let stored = folder.read(&format!("{format}/{name}"));
            assert!(stored.len() > length);
        }
        let listed = folder.run(&["--output", "json", "ls", "-r", &store]);
        let mut listed: Vec<_> = json_lines(&listed.succeeds())
            .into_iter()
            .map(|line| {
                assert_eq!(line["encrypted"], true);
                let path = line["path"].as_str().unwrap();
                let name = path.split_once(&format!("/{format}/")).unwrap().1;
                (name.to_owned(), line["size"].as_u64().unwrap())
            })
            .collect();
        listed.sort();
        let mut expected = files.map(|(name, length)| (name.to_owned(), length as u64));
        expected.sort();
        assert_eq!(listed, expected);
        let computed = folder.run(&["ls", "-r", "--computed-sizes", &store]);
        assert_eq!(
            computed.succeeds(),
            folder.run(&["ls", "-r", &store]).succeeds()
        );
        // One level: a folder and two files.
        let level = folder.run(&["--output", "json", "ls", &store]).succeeds();
        assert_eq!(json_lines(&level).len(), 3);

        folder.run(&["rm", "-r", &store]).succeeds();
        folder.run(&["ls", "-r", &store]).fails(5, &[format]);
        let names: Vec<_> = fs::read_dir(folder.path(format)).unwrap().collect();
        assert!(names.iter().all(|name| {
            let name = name.as_ref().unwrap();
            name.file_type().unwrap().is_dir()
        }));
    }
}

#[test]
fn one_object_is_copied_shown_in_part_described_and_removed() {
    let folder = Folder::new();
    let object = url(&folder, "store/object");
    let plaintext = content(200_000);
    folder
        .piped(
            &plaintext,
            &[
                "cp",
                "-",
                &object,
                "--context",
                "kind=invoice",
                "--format",
                "framed-instruction",
            ],
        )
        .succeeds();
    assert_eq!(folder.keyed(&["cat", &object]).succeeds(), plaintext);
    assert_eq!(folder.keyed(&["cp", &object, "-"]).succeeds(), plaintext);
    for (range, expected) in [
        ("0-0", &plaintext[..1]),
        ("100000-100009", &plaintext[100_000..100_010]),
        ("199990-", &plaintext[199_990..]),
        ("-7", &plaintext[199_993..]),
        ("199999-400000", &plaintext[199_999..]),
    ] {
        let read = folder.keyed(&["cat", "--range", range, &object]);
        assert_eq!(read.succeeds(), expected, "{range}");
    }
    let claims = folder
        .run(&["--output", "json", "inspect", &object])
        .succeeds();
    let [claims] = &json_lines(&claims)[..] else {
        unreachable!("one object");
    };
    assert_eq!(claims["format"], "framed-instruction");
    assert_eq!(claims["plaintext_length"], 200_000);
    assert_eq!(claims["encryption_context"]["kind"], "invoice");
    assert_eq!(claims["encrypted_data_keys"][0]["provider_info"], "a");
    assert_eq!(claims["verified"], false);
    let file = claims["instruction_file"].as_str().unwrap();
    assert!(file.ends_with(".instruction"), "{file}");

    let wrong = folder.keyed(&["cat", &object, "--context", "kind=letter"]);
    wrong.fails(4, &["object", "kind"]);
    assert!(wrong.output().is_empty());
    // Behind a slash the name is kept.
    folder
        .keyed(&["cp", &object, &format!("{}/", url(&folder, "other"))])
        .succeeds();
    fs::create_dir(folder.path("here")).unwrap();
    folder
        .keyed(&["cp", &url(&folder, "other/object"), "here"])
        .succeeds();
    assert_eq!(folder.read("here/object"), plaintext);

    folder.run(&["rm", &object]).succeeds();
    assert_eq!(fs::read_dir(folder.path("store")).unwrap().count(), 0);
    folder.run(&["rm", &object]).fails(5, &["object"]);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
    let folder = Folder::new();
    fs::create_dir(folder.path("source")).unwrap();
    for name in ["a", "b", "c"] {
        folder.write(&format!("source/{name}"), name);
    }
    let store = url(&folder, "store");
    folder.keyed(&["cp", "-r", "source", &store]).succeeds();
    folder.write("store/b", "plain");
    let mut damaged = folder.read("store/c");
    damaged.truncate(1000);
    folder.write("store/c", damaged);

    let copied = folder.keyed(&["--output", "json", "cp", "-r", &store, "back"]);
    copied.fails(1, &[]);
    let lines = json_lines(copied.output());
    assert_eq!(lines.last().unwrap()["objects"], 1);
    let errors = json_lines(copied.errors().as_bytes());
    assert_eq!(errors.len(), 3, "two objects and a conclusion");
    assert!(
        errors[..2]
            .iter()
            .all(|error| error["kind"] == "not-authentic")
    );
    assert_eq!(errors[2]["kind"], "some");
    assert_eq!(folder.read("back/a"), b"a");
    assert!(!folder.path("back/b").exists() && !folder.path("back/c").exists());

    let listed = folder.run(&["ls", &store]);
    listed.fails(1, &["store/c"]);
    let text = std::str::from_utf8(listed.output()).unwrap();
    assert!(text.contains("store/b  (not encrypted)"), "{text}");
    folder
        .keyed(&["cat", &url(&folder, "store/b")])
        .fails(4, &["store/b", "--plain-source"]);
    let plain = folder.keyed(&["cp", "--plain-source", &url(&folder, "store/b"), "-"]);
    assert_eq!(plain.succeeds(), b"plain");
    // So a plain store is encrypted.
    fs::create_dir(folder.path("plain")).unwrap();
    folder.write("plain/x", "text");
    let (from, to) = (url(&folder, "plain"), url(&folder, "sealed"));
    folder
        .keyed(&["cp", "-r", "--plain-source", &from, &to])
        .succeeds();
    assert_eq!(
        folder.keyed(&["cat", &url(&folder, "sealed/x")]).succeeds(),
        b"text"
    );
    folder
        .keyed(&[
            "cp",
            &url(&folder, "sealed/x"),
            &url(&folder, "p"),
            "--plain-destination",
        ])
        .succeeds();
    assert_eq!(folder.read("p"), b"text");
}

#[test]
fn a_large_object_that_ends_early_appears_nowhere() {
    let folder = Folder::new();
    let object = url(&folder, "object");
    folder
        .piped(&content(20 << 20), &["cp", "-", &object])
        .succeeds();
    let mut stored = folder.read("object");
    let length = stored.len();
    stored[length - 100] ^= 1;
    folder.write("object", stored);
    folder.write("copy", "old");
    folder.keyed(&["cp", &object, "copy"]).fails(4, &["object"]);
    assert_eq!(folder.read("copy"), b"old");
    assert_eq!(folder.names(), ["copy", "object"]);
}

#[test]
fn wrong_arguments_say_what_to_do() {
    let folder = Folder::new();
    let wrong: [(&[&str], i32, &str); 12] = [
        (&["ls", "folder"], 2, "not a URL"),
        (&["ls", "http://host/x"], 2, "s3, gs, az, file, memory"),
        (&["cat", "nothing://host/x"], 2, "s3, gs, az, file, memory"),
        (&["cat", "--range", "9-3", "file:///x"], 2, "A-B, A- or -N"),
        (&["cat", "--range", "x", "file:///x"], 2, "A-B, A- or -N"),
        (&["cp", "a", "b"], 2, "encrypt and decrypt"),
        (&["cp", "-", "-"], 2, "give a URL"),
        (&["cp", "missing", "file:///x"], 5, "missing"),
        (&["cp", "-", "file:///x", "--suite", "0578"], 2, "unsigned"),
        (&["cp", "-", "file:///x", "--suite", "0178"], 4, "policy"),
        (
            &["ls", "s3://b/x", "--store-option", "nonsense=1"],
            2,
            "nonsense",
        ),
        (
            &[
                "ls",
                "s3://b/x",
                "--store-option",
                "endpoint=http://localhost:1",
            ],
            2,
            "AWS_ALLOW_HTTP",
        ),
    ];
    for (arguments, code, text) in wrong {
        let run = folder.keyed(arguments);
        assert_eq!(run.code(), code, "{arguments:?}: {}", run.errors());
        assert!(
            run.errors().contains(text),
            "{arguments:?}: {}",
            run.errors()
        );
    }
    folder.run(&["cat", "file:///x"]).fails(2, &["--keyring"]);
    folder
        .keyed(&["cat", &url(&folder, "missing")])
        .fails(5, &["missing"]);
}

/// A shell passes them on, and a URL has other meanings for them.
#[test]
fn a_name_with_a_hash_or_a_question_mark_is_no_other_object() {
    let folder = Folder::new();
    folder.write("report#one", "one");
    let store = url(&folder, "store");
    folder
        .keyed(&["cp", "report#one", &format!("{store}/")])
        .succeeds();
    folder
        .piped(b"whole", &["cp", "-", &format!("{store}/report")])
        .succeeds();
    for tail in ["#one", "?x"] {
        let wrong = format!("{store}/report{tail}");
        folder.run(&["rm", &wrong]).fails(2, &[]);
        folder.run(&["rm", "-r", &wrong]).fails(2, &[]);
        folder.keyed(&["cp", "report#one", &wrong]).fails(2, &[]);
    }
    let read = folder.keyed(&["cat", &format!("{store}/report%23one")]);
    assert_eq!(read.succeeds(), b"one");
    let read = folder.keyed(&["cat", &format!("{store}/report")]);
    assert_eq!(read.succeeds(), b"whole");
}

#[test]
fn a_copy_keeps_context_and_name() {
    let folder = Folder::new();
    folder.write("100%~x.txt", "text");
    let (one, two) = (url(&folder, "one"), url(&folder, "two"));
    let context = ["--context", "tenant=acme"];
    let into = format!("{one}/");
    folder
        .keyed(&[&["cp", "100%~x.txt", &into], &context[..]].concat())
        .succeeds();
    folder.keyed(&["cp", "-r", &one, &two]).succeeds();
    assert!(folder.path("two/100%~x.txt").exists());
    let copy = format!("{two}/100%25~x.txt");
    let read = folder.keyed(&[&["cat", &copy], &context[..]].concat());
    assert_eq!(read.succeeds(), b"text");
    fs::create_dir(folder.path("sub")).unwrap();
    folder.keyed(&["cp", &copy, "sub/../out"]).succeeds();
    assert_eq!(folder.read("out"), b"text");
    // One object is a recursive copy too; nothing at all is a mistake.
    folder.keyed(&["cp", "-r", &copy, "again"]).succeeds();
    assert_eq!(folder.read("again"), b"text");
    let nothing = format!("{two}/nothing");
    folder
        .keyed(&["cp", "-r", &nothing, "x"])
        .fails(5, &["nothing"]);
    folder.run(&["rm", "-r", &nothing]).fails(5, &["nothing"]);
}

/// What is not read as encrypted objects is copied as it is, instruction files too.
#[test]
fn a_plain_copy_leaves_nothing_out() {
    let folder = Folder::new();
    let (store, backup) = (url(&folder, "store"), url(&folder, "backup"));
    let object = format!("{store}/object");
    folder
        .piped(
            b"text",
            &["cp", "-", &object, "--format", "framed-instruction"],
        )
        .succeeds();
    folder
        .keyed(&[
            "cp",
            "-r",
            "--plain-source",
            "--plain-destination",
            &store,
            &backup,
        ])
        .succeeds();
    let read = folder.keyed(&["cat", &format!("{backup}/object")]);
    assert_eq!(read.succeeds(), b"text");
    // A file without its object is removed with everything else.
    fs::remove_file(folder.path("backup/object")).unwrap();
    folder
        .piped(b"x", &["cp", "-", &format!("{backup}/other")])
        .succeeds();
    folder.run(&["rm", "-r", &backup]).succeeds();
    assert_eq!(fs::read_dir(folder.path("backup")).unwrap().count(), 0);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    let object = url(&folder, "object");
    folder.piped(b"text", &["cp", "-", &object]).succeeds();
    for arguments in [&["cat", &*object][..], &["cp", &*object, "-"]] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let status = folder
            .command(&[&["--keyring", "keyring.toml"], arguments].concat())
            .stdout(full)
            .stderr(std::process::Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(5), "{arguments:?}");
    }
}

/// Neither waiting for input nor a copy under way leaves anything half-written.
#[cfg(unix)]
#[test]
fn an_interrupted_upload_leaves_nothing() {
    use std::io::Write;
    use std::process::Stdio;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let folder = Folder::new();
    let object = url(&folder, "store/object");
    let mut child = folder
        .command(&["--keyring", "keyring.toml", "cp", "-", &object])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&content(20 << 20)).unwrap();
    // It has begun, and waits for more.
    while !folder.path("store").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
    assert_eq!(fs::read_dir(folder.path("store")).unwrap().count(), 0);
}
