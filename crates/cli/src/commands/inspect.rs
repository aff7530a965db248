use std::fmt::Write as _;
use std::io::{self, BufReader, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::io::read_header;
use envelope::{
    CommitmentPolicy, DecryptOptions, EncryptedDataKey, FrameScan, FrameScanner, HeaderClaims,
};
use serde_json::{Value, json};

use super::{context_json, suite_id};
use crate::args::Inspect;
use crate::error::Error;
use crate::interrupt::Interruptible;
use crate::output::Output;
use crate::place::Source;

pub(crate) fn run(command: &Inspect, output: &Output) -> Result<(), Error> {
    let source = Source::open(&command.source, None)?;
    // A description harms nobody, so every suite may be described.
    let options = DecryptOptions::default()
        .with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt)
        .with_maximum_header_length(command.max_header_length);
    let failed = Error::copy(&source.name, "standard output");
    let mut reader = Interruptible(source.reader);
    let (header, body) = read_header(&mut reader, &options).map_err(failed)?;
    let claims = header.claims();
    let header_length = header.length() as u64;
    // The length of a signed message does not tell that of its plaintext; its frames do.
    let plaintext_length = match (claims.layout(), source.length) {
        (Ok(layout), Some(length)) => layout.plaintext_len(length).ok(),
        _ => scan(claims.frames(), BufReader::new(body)).map_err(|source_error| Error::Read {
            name: source.name.clone(),
            source: source_error,
        })?,
    };
    output.result(
        &as_json(claims, header_length, plaintext_length),
        &as_text(claims, header_length, plaintext_length),
    )
}

/// The plaintext length that the frames add up to; nothing when they do not.
fn scan(mut frames: FrameScanner, mut body: impl Read) -> io::Result<Option<u64>> {
    let mut beginning = Vec::new();
    loop {
        let scanned = match frames.scan(&beginning) {
            Err(_) => return Ok(None),
            Ok(scanned) => scanned,
        };
        let length = match scanned {
            FrameScan::Incomplete(wanted) => {
                let missing = wanted.saturating_sub(beginning.len()) as u64;
                if body.by_ref().take(missing).read_to_end(&mut beginning)? as u64 != missing {
                    return Ok(None);
                }
                continue;
            }
            FrameScan::Regular { length } | FrameScan::Final { length, .. } => length,
        };
        let rest = length.saturating_sub(beginning.len() as u64);
        if io::copy(&mut body.by_ref().take(rest), &mut io::sink())? != rest {
            return Ok(None);
        }
        if let FrameScan::Final {
            plaintext_length, ..
        } = scanned
        {
            return Ok(Some(plaintext_length));
        }
        beginning.clear();
    }
}

fn as_json(claims: HeaderClaims<'_>, header_length: u64, plaintext_length: Option<u64>) -> Value {
    let keys: Vec<_> = claims.encrypted_data_keys().iter().map(key_json).collect();
    json!({
        "format": "framed",
        "version": claims.version(),
        "suite": suite_id(claims.suite()),
        "suite_name": claims.suite().name(),
        "message_id": hex::encode(claims.message_id()),
        "encryption_context": context_json(claims.context()),
        "encrypted_data_keys": keys,
        "frame_length": claims.frame_length(),
        "header_length": header_length,
        "plaintext_length": plaintext_length,
        "verified": false,
    })
}

fn key_json(key: &EncryptedDataKey) -> Value {
    json!({
        "provider_id": key.provider_id(),
        "provider_info": key.key_name(),
        "provider_info_base64": STANDARD.encode(key.provider_info()),
        "length": key.ciphertext().len(),
    })
}

fn as_text(claims: HeaderClaims<'_>, header_length: u64, plaintext_length: Option<u64>) -> String {
    let mut text = String::from("not verified: anyone could have written this\n");
    let mut line = |label: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{label:<20}{value}");
    };
    line("format", format!("framed, version {}", claims.version()));
    line("suite", claims.suite().to_string());
    line("message id", hex::encode(claims.message_id()));
    for (key, value) in claims.context().iter() {
        line("context", format!("{key:?} = {value:?}"));
    }
    for key in claims.encrypted_data_keys() {
        line(
            "encrypted data key",
            format!(
                "provider {:?}, key {:?}, {} bytes",
                key.provider_id(),
                key.key_name(),
                key.ciphertext().len()
            ),
        );
    }
    line("frame length", format!("{} bytes", claims.frame_length()));
    line("header length", format!("{header_length} bytes"));
    line(
        "plaintext length",
        match plaintext_length {
            Some(length) => format!("{length} bytes"),
            None => "unknown: the message is truncated or malformed".to_owned(),
        },
    );
    text
}
