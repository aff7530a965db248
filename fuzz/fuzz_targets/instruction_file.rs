//! Whatever an instruction file holds, it is read or refused, and what was read is written so that
//! it is read again as the same.
#![no_main]

use envelope_s3::fuzzing::{Pair, rewrite_instruction_file};
use libfuzzer_sys::fuzz_target;

/// Files that are read: of V3, V2 and V1.
const FILES: [&str; 3] = [
    r#"{"x-amz-3":"AAAA","x-amz-w":"12","x-amz-t":"{\"a\":\"b\"}","x-amz-m":null}"#,
    r#"{"x-amz-key-v2":"AAAA","x-amz-iv":"AAAAAAAAAAAAAAAA","x-amz-cek-alg":"AES/GCM/NoPadding","x-amz-wrap-alg":"kms","x-amz-matdesc":"{\"a\":\"b\"}","x-amz-tag-len":128}"#,
    r#"{"x-amz-key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","x-amz-iv":"AAAAAAAAAAAAAAAAAAAAAA==","x-amz-matdesc":"{}","x-amz-unencrypted-content-length":5}"#,
];
/// 28 bytes.
const COMMITMENT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

fuzz_target!(|input: (u8, u16, u8, &[u8])| {
    let (file, start, length, bytes) = input;
    let file = match FILES.get(usize::from(file)) {
        // A part of it replaced.
        Some(file) => {
            let mut file = file.as_bytes().to_vec();
            let start = usize::from(start).min(file.len());
            let end = start.saturating_add(length.into()).min(file.len());
            file.splice(start..end, bytes.iter().copied());
            file
        }
        None => bytes.to_vec(),
    };
    let of_v3 = [
        ("x-amz-c", "115"),
        ("x-amz-d", COMMITMENT),
        ("x-amz-i", COMMITMENT),
    ];
    for object in [&of_v3[..], &[]] {
        let object: Vec<Pair> = object
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        if let Some((object, file)) = rewrite_instruction_file(&object, &file) {
            assert!(file.is_ascii());
            let again = rewrite_instruction_file(&object, &file);
            assert_eq!(again, Some((object, file)));
        }
    }
});
