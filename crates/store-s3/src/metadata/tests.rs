use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::names::*;
use super::*;
use crate::error::{Error, ErrorClass};

mod refusals;
mod vectors;
mod writing;

type Pairs = Vec<(String, String)>;

fn parse_pairs(pairs: &[(String, String)]) -> Result<Found, Error> {
    parse(pairs.iter().map(|(name, value)| (&**name, &**value)))
}

/// Reads an object with the file beside it, as a store would.
fn read(pairs: &[(String, String)], file: Option<&[u8]>) -> Result<Envelope, Error> {
    match (parse_pairs(pairs)?, file) {
        (Found::Envelope(envelope), _) => Ok(envelope),
        (Found::InFile(object), Some(file)) => parse_instruction_file(&object, file),
        (Found::InFile(_), None) => Err(Error::NoEnvelope),
    }
}

fn of_length(length: usize) -> String {
    STANDARD.encode(vec![7; length])
}

/// What an outcome is called in the tables below.
fn outcome(result: &Result<Envelope, Error>) -> String {
    match result {
        Ok(envelope) => format!("v{}", envelope.content.version()),
        Err(Error::NoEnvelope) => "no envelope".to_owned(),
        Err(Error::InstructionFileNotValid { .. }) => "file not valid".to_owned(),
        Err(Error::IncompleteEnvelope { missing }) => format!("missing {missing}"),
        Err(Error::UnknownAlgorithm { key, value }) => format!("unknown {key} {value}"),
        Err(Error::InvalidValue { key, .. }) => format!("invalid {key}"),
        Err(Error::MixedEnvelope { one, other }) => format!("mixed {one} {other}"),
        Err(Error::CommitmentInInstructionFile { key }) => format!("in file {key}"),
        Err(other) => format!("{other:?}"),
    }
}

fn owned(pairs: &[(&str, &str)]) -> Pairs {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn v1() -> Pairs {
    owned(&[
        (KEY_V1, &of_length(48)),
        (IV, &of_length(16)),
        (DESCRIPTION, "{}"),
    ])
}

fn v2() -> Pairs {
    owned(&[
        (KEY_V2, &of_length(60)),
        (IV, &of_length(12)),
        (CONTENT_CIPHER, "AES/GCM/NoPadding"),
        (WRAP, "AES/GCM"),
        (DESCRIPTION, "{\"a\":\"b\"}"),
        (TAG_LENGTH, "128"),
    ])
}

fn v2_cbc() -> Pairs {
    let mut object = v2();
    set(&mut object, CONTENT_CIPHER, "AES/CBC/PKCS5Padding");
    set(&mut object, IV, &of_length(16));
    set(&mut object, TAG_LENGTH, "");
    object
}

fn v3() -> Pairs {
    let mut object = v3_object();
    object.extend(v3_file());
    object
}

fn v3_object() -> Pairs {
    owned(&[
        (SUITE_V3, "115"),
        (COMMITMENT_V3, &of_length(28)),
        (MESSAGE_ID_V3, &of_length(28)),
    ])
}

fn v3_file() -> Pairs {
    owned(&[
        (KEY_V3, &of_length(60)),
        (WRAP_V3, "02"),
        (DESCRIPTION_V3, "{\"a\":\"b\"}"),
    ])
}

fn set(pairs: &mut Pairs, name: &str, value: &str) {
    pairs.retain(|(found, _)| found != name);
    pairs.push((name.to_owned(), value.to_owned()));
}

/// An object with one value of it changed or added.
fn with(mut pairs: Pairs, name: &str, value: &str) -> String {
    set(&mut pairs, name, value);
    outcome(&read(&pairs, None))
}

/// The file as text, with members at its end.
fn file(pairs: &Pairs, more: &str) -> String {
    let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
    let text = json::to_ascii(pairs);
    format!("{}{more}}}", text.strip_suffix('}').unwrap())
}

fn with_file(object: &Pairs, file: &str) -> String {
    outcome(&read(object, Some(file.as_bytes())))
}
