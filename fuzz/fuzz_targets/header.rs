//! Parsing a header never panics, reads no further than the header's end, and loses nothing.
#![no_main]

use std::collections::BTreeMap;

use envelope::{CommitmentPolicy, DecryptOptions, HeaderClaims, UnverifiedHeader};
use libfuzzer_sys::fuzz_target;

/// What ends a header and is in no claim: an IV and a tag in version 1, a commitment and a tag
/// in version 2.
fn end(claims: HeaderClaims<'_>) -> usize {
    match claims.version() {
        1 => 12 + 16,
        _ => 32 + 16,
    }
}

/// What comes before the context: version, type in version 1, suite and message id.
fn before_context(claims: HeaderClaims<'_>) -> usize {
    match claims.version() {
        1 => 1 + 1 + 2 + 16,
        _ => 1 + 2 + 32,
    }
}

fuzz_target!(|input: &[u8]| {
    let options =
        DecryptOptions::default().with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt);
    let Ok(Some(header)) = UnverifiedHeader::parse(input, &options) else {
        return;
    };
    let (bytes, body) = input.split_at(header.length());
    let exact = UnverifiedHeader::parse_whole(bytes, &options).expect("the header alone parses");
    assert_eq!(exact.length(), header.length());
    let written = write(exact.claims());
    assert_eq!(written, write(header.claims()));
    // All shorter lengths would cost the square of the input: the input chooses one of them.
    let chosen = body.len() * 7 % bytes.len();
    for length in [0, chosen, bytes.len() / 2, bytes.len() - 1] {
        let shorter = UnverifiedHeader::parse(&bytes[..length], &options);
        assert!(
            matches!(shorter, Ok(None)),
            "{length} of {} bytes",
            bytes.len()
        );
    }

    let read = &bytes[..bytes.len() - end(header.claims())];
    if written == read {
        return;
    }
    // The one liberty of a writer: the order of the context's pairs, and an explicit count of 0.
    let start = before_context(header.claims());
    let (mut pairs, after) = context(&read[start..]);
    let (written_pairs, written_after) = context(&written[start..]);
    assert_eq!(&read[..start], &written[..start]);
    assert_eq!(after, written_after);
    let sorted = pairs.windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(!sorted || pairs.is_empty(), "canonical input changed");
    pairs.sort();
    assert_eq!(pairs, written_pairs);
});

/// The header up to what ends it, from the specification and not from the crate's own writer.
fn write(claims: HeaderClaims<'_>) -> Vec<u8> {
    let mut bytes = vec![claims.version()];
    if claims.version() == 1 {
        bytes.push(0x80);
    }
    bytes.extend(claims.suite().id().to_be_bytes());
    bytes.extend(claims.message_id());
    let sorted: BTreeMap<&str, &str> = claims.context().iter().collect();
    let mut section = Vec::new();
    if !sorted.is_empty() {
        section.extend(short(sorted.len()));
    }
    for (key, value) in sorted {
        push(&mut section, key.as_bytes());
        push(&mut section, value.as_bytes());
    }
    push(&mut bytes, &section);
    bytes.extend(short(claims.encrypted_data_keys().len()));
    for key in claims.encrypted_data_keys() {
        push(&mut bytes, key.provider_id().as_bytes());
        push(&mut bytes, key.provider_info());
        push(&mut bytes, key.ciphertext());
    }
    bytes.push(if claims.frame_length() == 0 {
        0x01
    } else {
        0x02
    });
    if claims.version() == 1 {
        bytes.extend([0, 0, 0, 0, 12]);
    }
    bytes.extend(claims.frame_length().to_be_bytes());
    bytes
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length)
        .expect("a length of the format")
        .to_be_bytes()
}

fn push(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend(short(field.len()));
    bytes.extend(field);
}

/// The pairs of the context as they stand, and the bytes after it.
fn context(bytes: &[u8]) -> (Vec<(&[u8], &[u8])>, &[u8]) {
    let (section, after) = take(bytes);
    let mut rest = section.get(2..).unwrap_or_default();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (key, tail) = take(rest);
        let (value, tail) = take(tail);
        pairs.push((key, value));
        rest = tail;
    }
    (pairs, after)
}

/// A field behind its 16-bit length, and what follows.
fn take(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(2);
    rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])))
}
