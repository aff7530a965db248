//! Whatever the input, the program stays small.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::fs::File;
use std::io::Write;

use nix::sys::resource::{UsageWho, getrusage};
use support::{Folder, raw_aes};

/// Most memory that any run may have taken, in KiB.
const MAXIMUM: i64 = 32 << 10;

fn most_so_far() -> i64 {
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    // macOS counts in bytes.
    if cfg!(target_os = "macos") {
        peak >> 10
    } else {
        peak
    }
}

/// Runs with files for input and output, so that this process stays small: the peak of a child
/// begins with that of the process which started it.
fn run(folder: &Folder, input: &str, output: &str, arguments: &[&str]) -> Option<i32> {
    folder
        .command(&[&["--keyring", "keyring.toml"], arguments].concat())
        .stdin(File::open(folder.path(input)).unwrap())
        .stdout(File::create(folder.path(output)).unwrap())
        .status()
        .unwrap()
        .code()
}

#[test]
fn no_run_takes_more_than_32_mib() {
    let folder = Folder::new();
    let mut plain = File::create(folder.path("plain")).unwrap();
    for byte in 0..48 {
        plain.write_all(&vec![byte; 1 << 20]).unwrap();
    }
    for suite in ["0478", "0578"] {
        let encrypt = ["encrypt", "-", "-", "--suite", suite];
        assert_eq!(run(&folder, "plain", "sealed", &encrypt), Some(0));
        for decrypt in [
            &["decrypt", "-", "-"][..],
            &["decrypt", "--stream", "-", "-"],
            &["decrypt", "sealed", "-"],
            &["decrypt", "sealed", "copy"],
        ] {
            assert_eq!(run(&folder, "sealed", "opened", decrypt), Some(0));
        }
        assert_eq!(run(&folder, "sealed", "shown", &["inspect", "-"]), Some(0));
    }
    // As many keys as a header can claim, each of them looked at.
    let keys = [&[2, 4, 0x78][..], &[7; 32], &[0, 0], &[0xff, 0xff]].concat();
    let entries = vec![0; 6 * 65_535];
    folder.write(
        "many",
        [&keys, &entries[..], &[2, 0, 0, 16, 0], &[0; 48]].concat(),
    );
    assert_eq!(
        run(&folder, "many", "opened", &["decrypt", "-", "-"]),
        Some(3)
    );
    // The same for a keyring of many keys, as JSON.
    folder.write(
        "keyring.toml",
        raw_aes("a", "key-file = \"a.key\"").repeat(6),
    );
    let decrypt = ["--output", "json", "decrypt", "-", "-"];
    assert_eq!(run(&folder, "many", "opened", &decrypt), Some(3));
    // A header without end.
    folder.write("endless", [&keys[..], &vec![0xff; 3 << 20]].concat());
    assert_eq!(
        run(&folder, "endless", "opened", &["decrypt", "-", "-"]),
        Some(4)
    );
    assert!(most_so_far() < MAXIMUM, "{} KiB", most_so_far());
}
