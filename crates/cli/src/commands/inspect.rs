use std::fmt::Write as _;
use std::io::{self, BufReader, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::io::read_header;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, EncryptedDataKey, EncryptionContext,
    FrameScan, FrameScanner,
};
use envelope_s3::S3ec;
use envelope_s3::keyring::{MaterialDescription, claims_of};
use envelope_store::Framed;
use object_store::path::Path;
use serde_json::{Value, json};
use url::Url;

use super::{context_json, suite_id};
use crate::args::Inspect;
use crate::error::Error;
use crate::formats::{Family, Formats};
use crate::interrupt::Interruptible;
use crate::keys::Keys;
use crate::location::{Location, Opened};
use crate::output::Output;
use crate::place::{Place, Source};

/// How the data key of an object of the S3 Encryption Client claims to be wrapped.
type Wrap = (&'static str, MaterialDescription);

/// What a message or an object claims.
struct Claims {
    format: &'static str,
    version: u8,
    suite: AlgorithmSuite,
    message_id: Vec<u8>,
    context: EncryptionContext,
    encrypted_data_keys: Vec<EncryptedDataKey>,
    frame_length: Option<u32>,
    /// Nothing where there is no header.
    header_length: Option<u64>,
    plaintext_length: Option<u64>,
    instruction_file: Option<Path>,
}

pub(crate) async fn run(command: &Inspect, output: &Output) -> Result<(), Error> {
    // A description harms nobody, so every suite may be described.
    let options = DecryptOptions::default()
        .with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt)
        .with_maximum_header_length(command.max_header_length);
    let claims = match &command.source {
        Location::Standard => of_message(&Place::Standard, &options)?,
        Location::Local(path) => of_message(&Place::Path(path.clone()), &options)?,
        Location::Url(url) => of_object(url, command, options).await?,
    };
    output.result(&as_json(&claims), &as_text(&claims))
}

async fn of_object(url: &Url, command: &Inspect, options: DecryptOptions) -> Result<Claims, Error> {
    let Opened { store, path, .. } = command.store.open(url)?;
    let formats = Formats {
        framed: Framed::new().reading(options),
        s3ec: command.suffix.known_to(S3ec::v3()),
        writes: Family::Framed,
    };
    let (builder, keys) = formats.over(store, Keys::none());
    let claims = builder.build(keys);
    let claims = claims
        .inspect_opts(&path, command.suffix.extensions())
        .await;
    let claims = claims.map_err(|source| Error::store(url.as_str(), source))?;
    Ok(Claims {
        format: claims.format,
        version: claims.version,
        suite: claims.suite,
        message_id: claims.message_id,
        context: claims.context,
        encrypted_data_keys: claims.encrypted_data_keys,
        frame_length: claims.frame_length,
        header_length: claims.frame_length.and(Some(claims.header_length)),
        plaintext_length: claims.plaintext_length,
        instruction_file: claims.instruction_file,
    })
}

fn of_message(place: &Place, options: &DecryptOptions) -> Result<Claims, Error> {
    let source = Source::open(place, None)?;
    let failed = Error::copy(&source.name, "standard output");
    let mut reader = Interruptible(source.reader);
    let (header, body) = read_header(&mut reader, options).map_err(failed)?;
    let claims = header.claims();
    // The length of a signed message does not tell that of its plaintext; its frames do.
    let plaintext_length = match (claims.layout(), source.length) {
        (Ok(layout), Some(length)) => layout.plaintext_len(length).ok(),
        _ => scan(claims.frames(), BufReader::new(body)).map_err(|source_error| Error::Read {
            name: source.name.clone(),
            source: source_error,
        })?,
    };
    Ok(Claims {
        format: "framed",
        version: claims.version(),
        suite: claims.suite(),
        message_id: claims.message_id().to_vec(),
        context: claims.context().clone(),
        encrypted_data_keys: claims.encrypted_data_keys().to_vec(),
        frame_length: Some(claims.frame_length()),
        header_length: Some(header.length() as u64),
        plaintext_length,
        instruction_file: None,
    })
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

fn as_json(claims: &Claims) -> Value {
    let keys: Vec<_> = claims.encrypted_data_keys.iter().map(key_json).collect();
    let message_id = (!claims.message_id.is_empty()).then(|| hex::encode(&claims.message_id));
    let mut json = json!({
        "format": claims.format,
        "version": claims.version,
        "suite": suite_id(claims.suite),
        "suite_name": claims.suite.name(),
        "message_id": message_id,
        "encryption_context": context_json(&claims.context),
        "encrypted_data_keys": keys,
        "frame_length": claims.frame_length,
        "header_length": claims.header_length,
        "plaintext_length": claims.plaintext_length,
        "verified": false,
    });
    if let (Some(file), Some(fields)) = (&claims.instruction_file, json.as_object_mut()) {
        fields.insert("instruction_file".to_owned(), file.as_ref().into());
    }
    if let (Some((wrap, description)), Some(fields)) = (wrap(claims), json.as_object_mut()) {
        let pairs = description.iter();
        let description = pairs.map(|(key, value)| (key.to_owned(), Value::from(value)));
        fields.insert("wrap_algorithm".to_owned(), wrap.into());
        fields.insert("material_description".to_owned(), description.collect());
    }
    json
}

/// Nothing in formats that do not say it.
fn wrap(claims: &Claims) -> Option<Wrap> {
    claims.encrypted_data_keys.first().and_then(claims_of)
}

fn key_json(key: &EncryptedDataKey) -> Value {
    json!({
        "provider_id": key.provider_id(),
        "provider_info": key.key_name(),
        "provider_info_base64": STANDARD.encode(key.provider_info()),
        "length": key.ciphertext().len(),
    })
}

fn as_text(claims: &Claims) -> String {
    let mut text = String::from("not verified: anyone could have written this\n");
    let mut line = |label: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{label:<20}{value}");
    };
    line(
        "format",
        format!("{}, version {}", claims.format, claims.version),
    );
    line("suite", claims.suite.to_string());
    if !claims.message_id.is_empty() {
        line("message id", hex::encode(&claims.message_id));
    }
    if let Some((wrap, description)) = wrap(claims) {
        line("wrap algorithm", wrap.to_owned());
        for (key, value) in description.iter() {
            line("described as", format!("{key:?} = {value:?}"));
        }
    }
    for (key, value) in claims.context.iter() {
        line("context", format!("{key:?} = {value:?}"));
    }
    if let Some(file) = &claims.instruction_file {
        line("keys in", file.to_string());
    }
    for key in &claims.encrypted_data_keys {
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
    if let Some(length) = claims.frame_length {
        line("frame length", format!("{length} bytes"));
    }
    if let Some(length) = claims.header_length {
        line("header length", format!("{length} bytes"));
    }
    line(
        "plaintext length",
        match claims.plaintext_length {
            Some(length) => format!("{length} bytes"),
            None if claims.suite.is_signed() => "unknown: the message is signed".to_owned(),
            None if claims.frame_length.is_none() => {
                "unknown: only a key tells, or the object is truncated".to_owned()
            }
            None => "unknown: the message is truncated or malformed".to_owned(),
        },
    );
    text
}
