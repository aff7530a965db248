//! What is no message does not open, what is sealed opens, and what is changed does not.
#![no_main]

use std::sync::LazyLock;

use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, EncryptOptions, HeaderReader,
    MaterialsManager, OutputBuffer, RawAes, Result, WrappingKey, blocking,
};
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;

static KEYRING: LazyLock<RawAes> = LazyLock::new(|| {
    let key = WrappingKey::from_bytes(&mut [7; 32]).expect("32 bytes");
    RawAes::new("fuzz", "key", key).expect("short names")
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else {
        return;
    };
    match choice % 4 {
        0 => arbitrary_bytes(input),
        1 => arbitrary_body(input),
        2 => round_trip(input),
        _ => one_bit(input),
    }
});

/// Reads every suite.
fn opening() -> DecryptOptions {
    DecryptOptions::default().with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
}

fn open(message: &[u8]) -> Result<Vec<u8>> {
    let options = opening();
    blocking::decrypt(&*KEYRING, message, &options).map(|opened| opened.plaintext)
}

/// Nobody finds a tag by trying.
fn arbitrary_bytes(input: &[u8]) {
    let error = open(input).expect_err("a forged message opened");
    let _ = (error.to_string(), error.kind(), format!("{error:?}"));
}

/// Behind an authentic header, so that the frames are reached.
fn arbitrary_body(input: &[u8]) {
    let Some((frame_length, body)) = input.split_first() else {
        return;
    };
    let unsigned = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    let message = seal(&[], u32::from(*frame_length) + 1, unsigned);
    // An empty unsigned message ends in a final frame of 40 bytes.
    let header = &message[..message.len() - 40];
    let forged = [header, body].concat();
    assert!(open(&forged).is_err() || forged == message);
}

fn seal(plaintext: &[u8], frame_length: u32, suite: AlgorithmSuite) -> Vec<u8> {
    let policy = match suite.commits() {
        true => CommitmentPolicy::default(),
        false => CommitmentPolicy::ForbidEncryptAllowDecrypt,
    };
    let options = EncryptOptions::default()
        .with_suite(suite)
        .with_policy(policy)
        .with_frame_length(frame_length);
    blocking::encrypt(&*KEYRING, plaintext, &options).expect("sealing works")
}

/// Suite, frame length from 1 to 2^16, a number, and the plaintext.
fn parameters(input: &[u8]) -> Option<(AlgorithmSuite, u32, usize, &[u8])> {
    let (&[suite, frame_high, frame_low, high, low], plaintext) = input.split_first_chunk()?;
    let suite = AlgorithmSuite::ALL[usize::from(suite) % AlgorithmSuite::ALL.len()];
    let frame_length = u32::from(u16::from_be_bytes([frame_high, frame_low])) + 1;
    let number = usize::from(u16::from_be_bytes([high, low]));
    Some((suite, frame_length, number, plaintext))
}

fn round_trip(input: &[u8]) {
    let Some((suite, frame_length, split, plaintext)) = parameters(input) else {
        return;
    };
    let message = seal(plaintext, frame_length, suite);
    assert_eq!(open(&message).expect("what was sealed opens"), plaintext);

    let options = opening().allow_unverified_signature();
    let (first, second) = message.split_at(split % (message.len() + 1));
    let mut reader = HeaderReader::new(options);
    let mut found = reader.feed(first).expect("the header is whole");
    let mut rest = second;
    if found.is_none() {
        found = reader.feed(second).expect("the header is whole");
        rest = &[];
    }
    let (header, body) = match found {
        Some(found) => found,
        None => reader.finish().expect("the header is whole"),
    };
    let materials =
        block_on(KEYRING.decryption_materials(header.request())).expect("the key is ours");
    let mut decryptor = header.verify(materials).expect("the header is authentic");
    let mut output = OutputBuffer::new();
    decryptor.update(&body, &mut output).expect("authentic");
    decryptor.update(rest, &mut output).expect("authentic");
    decryptor.finish(&mut output).expect("whole");
    assert_eq!(output.as_slice(), plaintext);
}

fn one_bit(input: &[u8]) {
    let Some((suite, frame_length, bit, plaintext)) = parameters(input) else {
        return;
    };
    let mut message = seal(plaintext, frame_length, suite);
    let bit = bit % (message.len() * 8);
    message[bit / 8] ^= 1 << (bit % 8);
    assert!(open(&message).is_err(), "bit {bit} changed unnoticed");
}
