//! Known answers, laws, and what must be refused.
#![allow(
    clippy::cast_possible_truncation,
    reason = "lengths in tests are short"
)]

mod bad_input;
mod known_answers;
mod laws;

use std::num::NonZeroUsize;

use envelope::{Error, OutputBuffer, Result, Transform};
use envelope_store::format::{Ranges, VerifiedBody, WholeBody};

use super::*;

fn key() -> GcmKey {
    new_key(&[3; 32], &[5; 28]).unwrap().0
}

fn cbc_key() -> CbcKey {
    CbcKey::new(&[3; 32], &[5; 16]).unwrap()
}

fn encryptor(threads: usize) -> Box<GcmEncryptor> {
    Box::new(GcmEncryptor::new(
        key(),
        NonZeroUsize::new(threads).unwrap(),
    ))
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}

/// Cuts into pieces of these sizes in turn. Empty pieces are pieces too.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().copied().chain([7]).cycle() {
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces
}

fn run(mut transform: Box<dyn Transform + Send>, input: &[u8], sizes: &[usize]) -> Result<Vec<u8>> {
    let mut output = OutputBuffer::new();
    for piece in pieces(input, sizes) {
        transform.update(piece, &mut output)?;
    }
    transform.finish(&mut output)?;
    Ok(output.into_vec())
}

fn seal_at_once(encryptor: Box<GcmEncryptor>, plaintext: &[u8]) -> Vec<u8> {
    let mut output = OutputBuffer::new();
    encryptor.finish_with(plaintext, &mut output).unwrap();
    output.into_vec()
}

/// Verifies in pieces, then opens in pieces.
fn verify_and_open(
    mut body: Box<dyn WholeBody>,
    object: &[u8],
    sizes: &[usize],
) -> Result<Vec<u8>> {
    for piece in pieces(object, sizes) {
        body.verify(piece)?;
    }
    let VerifiedBody {
        plaintext_length,
        transform,
    } = body.verified()?;
    let plaintext = run(transform, object, sizes)?;
    assert_eq!(plaintext.len() as u64, plaintext_length);
    Ok(plaintext)
}

fn read_range(
    ranges: &dyn Ranges,
    object: &[u8],
    range: std::ops::Range<u64>,
    sizes: &[usize],
) -> Result<Vec<u8>> {
    let opened = ranges.open(range, object.len() as u64)?;
    let stored = opened.stored.start as usize..opened.stored.end as usize;
    run(opened.transform, &object[stored], sizes)
}

fn length_by_range(ranges: &dyn Ranges, object: &[u8]) -> Result<u64> {
    let length = object.len() as u64;
    let bytes = ranges.length_bytes(length);
    ranges.plaintext_length(length, &object[bytes.start as usize..bytes.end as usize])
}

/// The error of this crate inside one of `envelope`.
fn ours<T>(result: Result<T>) -> crate::Error {
    match result.err() {
        Some(Error::Format { source, .. }) => {
            source.downcast_ref::<crate::Error>().unwrap().clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Objects under [`cbc_key`], made by the cipher alone: the writer is behind a feature.
fn seal_cbc(plaintext: &[u8]) -> Vec<u8> {
    use ::cbc::cipher::block_padding::Pkcs7;
    use ::cbc::cipher::{BlockModeEncrypt, KeyIvInit};

    let mut object = plaintext.to_vec();
    object.resize(plaintext.len() + 16, 0);
    ::cbc::Encryptor::<aes::Aes256>::new(&[3; 32].into(), &[5; 16].into())
        .encrypt_padded::<Pkcs7>(&mut object, plaintext.len())
        .unwrap()
        .to_vec()
}
