//! Whatever an object's metadata says, it is read or refused, and what was read is written so that
//! it is read again as the same.
#![no_main]

use envelope_s3::fuzzing::{Pair, rewrite_metadata};
use libfuzzer_sys::fuzz_target;

/// Metadata that is read, and other names that count.
const OBJECTS: [&[(&str, &str)]; 4] = [
    &[
        ("x-amz-key", KEY),
        ("x-amz-iv", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-matdesc", "{}"),
        ("x-amz-unencrypted-content-length", "5"),
    ],
    &[
        ("x-amz-key-v2", KEY),
        ("x-amz-iv", "AAAAAAAAAAAAAAAA"),
        ("x-amz-cek-alg", "AES/GCM/NoPadding"),
        ("x-amz-wrap-alg", "kms+context"),
        ("x-amz-matdesc", "{\"a\":\"b\"}"),
        ("x-amz-tag-len", "128"),
    ],
    &[
        ("x-amz-key-v2", KEY),
        ("x-amz-iv", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-cek-alg", "AES/CBC/PKCS5Padding"),
        ("x-amz-wrap-alg", "kms"),
        ("x-amz-matdesc", "=?UTF-8?Q?{=22=C3=83=C2=A5=22:=22=22}?="),
    ],
    &[
        ("x-amz-c", "115"),
        ("x-amz-d", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-i", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-3", KEY),
        ("x-amz-w", "12"),
        ("x-amz-t", "{\"a\":\"b\"}"),
        ("x-amz-m", "{}"),
    ],
];
/// 48 bytes, as every format could have.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A pair for the place of one of the object's, or one more.
type Change = (u8, Option<String>, String);

fuzz_target!(|input: (u8, Vec<Change>)| {
    let (object, changes) = input;
    let object = OBJECTS[usize::from(object) % OBJECTS.len()];
    let mut pairs: Vec<Pair> = object
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    for (place, name, value) in changes {
        match (pairs.get_mut(usize::from(place)), name) {
            (Some(pair), Some(name)) => *pair = (name, value),
            (Some(pair), None) => pair.1 = value,
            (None, name) => pairs.push((name.unwrap_or_default(), value)),
        }
    }
    if let Some(written) = rewrite_metadata(&pairs) {
        assert!(written.iter().all(|(_, value)| value.is_ascii()));
        assert_eq!(rewrite_metadata(&written), Some(written));
    }
});
