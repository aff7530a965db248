//! What the fuzz targets call: metadata that anyone could have written, read and written anew.

use crate::metadata::{Found, parse, parse_instruction_file};

/// A key of user metadata and its value.
pub type Pair = (String, String);

/// Reads an object's metadata and writes it anew; nothing when it is no complete envelope.
#[must_use]
pub fn rewrite_metadata(pairs: &[Pair]) -> Option<Vec<Pair>> {
    match parse(borrowed(pairs)) {
        Ok(Found::Envelope(envelope)) => envelope.to_pairs().ok().map(owned),
        Ok(Found::InFile(_)) | Err(_) => None,
    }
}

/// Reads an object's metadata with its instruction file and writes both anew; nothing when they
/// make no envelope.
#[must_use]
pub fn rewrite_instruction_file(pairs: &[Pair], file: &[u8]) -> Option<(Vec<Pair>, Vec<u8>)> {
    let Ok(Found::InFile(object)) = parse(borrowed(pairs)) else {
        return None;
    };
    let envelope = parse_instruction_file(&object, file).ok()?;
    let (pairs, file) = envelope.split().ok()?;
    Some((owned(pairs), file))
}

fn borrowed(pairs: &[Pair]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (&**name, &**value))
}

fn owned(pairs: Vec<(&'static str, String)>) -> Vec<Pair> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
