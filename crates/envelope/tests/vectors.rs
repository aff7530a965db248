//! Published vectors, each a test of its own: messages that must open, and bytes that must not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::{Attempt, KeyRequest, Keyring, KeyringError, Unwrapped};
use envelope::{
    AlgorithmSuite, BranchKey, CommitmentPolicy, DataKey, DecryptOptions, Decryptor, EcPrivateKey,
    EcPublicKey, EncryptedDataKey, EncryptionContext, Error, FrameScan, HeaderReader,
    MaterialsManager, Multi, OutputBuffer, RawAes, RawEcdh, RawRsa, Result, RsaPrivateKey,
    UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

const PUBLIC_KEY: &str = "aws-crypto-public-key";

/// How many tests each group holds, so that lost data is noticed.
const GROUPS: [(&str, usize); 5] = [
    ("commitment", 31),
    ("extra", 55),
    ("kms-header", 32),
    ("message", 336),
    ("parser", 27),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for entry in list("manifest.json", "messages") {
        add(&mut trials, "message", "id", entry, message);
    }
    for entry in list("extra/manifest.json", "messages") {
        add(&mut trials, "extra", "id", entry, extra);
    }
    for entry in list("commitment-known-answers.json", "tests") {
        add(&mut trials, "commitment", "comment", entry, commitment);
    }
    for entry in list("parser-cases.json", "cases") {
        add(&mut trials, "parser", "name", entry, parser);
    }
    for entry in json("kms-headers.json").as_array().unwrap() {
        add(&mut trials, "kms-header", "id", entry.clone(), kms_header);
    }

    let mut found = BTreeMap::new();
    for trial in &trials {
        let (group, _) = trial.name().split_once("::").unwrap();
        *found.entry(group.to_owned()).or_insert(0) += 1;
    }
    trials.push(Trial::test("every_vector_is_here", move || {
        let expected = GROUPS.map(|(group, count)| (group.to_owned(), count));
        assert_eq!(found, BTreeMap::from(expected));
        Ok(())
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn add(trials: &mut Vec<Trial>, group: &str, name: &str, entry: Value, test: fn(&Value)) {
    let name = format!("{group}::{}", text(&entry[name]));
    trials.push(Trial::test(name, move || {
        test(&entry);
        Ok(())
    }));
}

// The data

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file)
}

fn read(file: &str) -> Vec<u8> {
    std::fs::read(path(file)).expect(file)
}

fn json(file: &str) -> Value {
    serde_json::from_slice(&read(file)).expect(file)
}

fn list(file: &str, field: &str) -> Vec<Value> {
    json(file)[field].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn base64(value: &Value) -> Vec<u8> {
    // One published text begins with a space.
    STANDARD.decode(text(value).trim()).unwrap()
}

/// The pairs of a JSON object, without the public key where `context` holds one.
fn pairs(value: &Value) -> Vec<(&str, &str)> {
    let object = value.as_object().into_iter().flatten();
    let mut pairs: Vec<_> = object.map(|(k, v)| (k.as_str(), text(v))).collect();
    pairs.sort_unstable();
    pairs
}

fn caller_pairs(context: &EncryptionContext) -> Vec<(&str, &str)> {
    context
        .iter()
        .filter(|(key, _)| *key != PUBLIC_KEY)
        .collect()
}

fn suite(value: &Value) -> AlgorithmSuite {
    text(value).parse().unwrap()
}

// Keys

/// Stands for a keyring that unwrapped this data key.
#[derive(Debug)]
struct Static(Vec<u8>);

#[async_trait]
impl Keyring for Static {
    async fn wrap_key(
        &self,
        _: &DataKey,
        _: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Err(KeyringError::new("static", "reads only"))
    }

    async fn unwrap_key(
        &self,
        _: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        Ok(Unwrapped {
            index: 0,
            data_key: DataKey::from_bytes(self.0.clone(), request.suite).unwrap(),
        })
    }
}

fn raw_aes(description: &Value, keys: &Value) -> RawAes {
    let mut key = base64(&keys[text(&description["key"])]["base64"]);
    let key = WrappingKey::from_bytes(&mut key).unwrap();
    let (namespace, name) = (&description["namespace"], &description["name"]);
    RawAes::new(text(namespace), text(name), key).unwrap()
}

fn raw_rsa(description: &Value, keys: &Value) -> RawRsa {
    let key = &keys[text(&description["key"])];
    let (namespace, name) = (&description["namespace"], &description["name"]);
    let padding = text(&description["padding"]).parse().unwrap();
    RawRsa::new(text(namespace), text(name), padding)
        .unwrap()
        .with_private_key(RsaPrivateKey::from_pem(text(&key["private_pem"]), None).unwrap())
}

fn raw_ecdh(description: &Value, keys: &Value) -> RawEcdh {
    let pem = |whose: &str, half: &str| text(&keys[text(&description[whose])][half]).to_owned();
    let mine = EcPrivateKey::from_pem(&pem("mine", "private_pem"), None).unwrap();
    assert_eq!(mine.public_key().curve().name(), description["curve"]);
    match text(&description["scheme"]) {
        "discovery" => RawEcdh::discovery(mine),
        "static" => {
            let theirs = EcPublicKey::from_pem(&pem("theirs", "public_pem")).unwrap();
            RawEcdh::between(mine, theirs).unwrap()
        }
        other => panic!("no scheme {other}"),
    }
}

fn branch_key(description: &Value, keys: &Value) -> BranchKey {
    let key = &keys[text(&description["key"])];
    let version = hex::decode(text(&key["version"]).replace('-', "")).unwrap();
    let secret = WrappingKey::from_bytes(&mut base64(&key["base64"])).unwrap();
    BranchKey::new(text(&key["id"]), version.try_into().unwrap(), secret).unwrap()
}

fn keyring(description: &Value, keys: &Value) -> Box<dyn MaterialsManager> {
    match text(&description["type"]) {
        "raw-aes" => Box::new(raw_aes(description, keys)),
        "raw-rsa" => Box::new(raw_rsa(description, keys)),
        "raw-ecdh" => Box::new(raw_ecdh(description, keys)),
        "hierarchy-static" => Box::new(branch_key(description, keys)),
        "static" => Box::new(Static(base64(&description["data_key"]))),
        "multi" => {
            let generator = raw_aes(&description["generator"], keys);
            let children = description["children"].as_array().unwrap().iter();
            let multi = Multi::generate_with(generator);
            Box::new(children.fold(multi, |multi, child| multi.and(raw_aes(child, keys))))
        }
        other => panic!("no keyring of type {other}"),
    }
}

/// Every suite may be read.
fn lenient() -> DecryptOptions {
    DecryptOptions::default().with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
}

// Opening

/// Plaintext, context and suite of a message.
type Opened = (Vec<u8>, EncryptionContext, AlgorithmSuite);

/// Opens the message whole and piece by piece, and checks that both ways end the same.
fn open(
    manager: &dyn MaterialsManager,
    message: &[u8],
    options: &DecryptOptions,
) -> Result<Opened> {
    let whole = blocking::decrypt(manager, message, options)
        .map(|opened| (opened.plaintext, opened.context, opened.suite));
    let in_pieces = open_in_pieces(manager, message, options);
    assert_eq!(format!("{whole:?}"), format!("{in_pieces:?}"));
    whole
}

fn open_in_pieces(
    manager: &dyn MaterialsManager,
    message: &[u8],
    options: &DecryptOptions,
) -> Result<Opened> {
    let (mut decryptor, header_length) = open_header(manager, message, options)?;
    let mut output = OutputBuffer::new();
    for piece in message[header_length..].chunks(13) {
        decryptor.update(piece, &mut output)?;
    }
    let (context, suite) = (decryptor.context().clone(), decryptor.suite());
    decryptor.finish(&mut output)?;
    Ok((output.into_vec(), context, suite))
}

fn open_header(
    manager: &dyn MaterialsManager,
    message: &[u8],
    options: &DecryptOptions,
) -> Result<(Decryptor, usize)> {
    let mut reader = HeaderReader::new(options.clone().allow_unverified_signature());
    let mut pieces = message.chunks(7);
    let (header, body) = loop {
        match pieces.next() {
            None => break reader.finish()?,
            Some(piece) => {
                if let Some(found) = reader.feed(piece)? {
                    break found;
                }
            }
        }
    };
    let length = header.length();
    assert!(message[length..].starts_with(&body));
    let materials = block_on(manager.decryption_materials(header.request()))?;
    Ok((header.verify(materials)?, length))
}

fn parse(bytes: &[u8]) -> Result<UnverifiedHeader> {
    UnverifiedHeader::parse_whole(bytes, &lenient())
}

/// Fails unless the result is an error that fits the pattern.
macro_rules! assert_error {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            other => panic!("expected {}, found {other:?}", stringify!($pattern)),
        }
    };
}

// The groups

fn message(entry: &Value) {
    let keyring = keyring(&entry["decrypt_with"], &json("keys.json"));
    let message = read(text(&entry["ciphertext"]));
    let reproduced = pairs(&entry["reproduced_context"]);
    let options = lenient().expect_context(EncryptionContext::new(reproduced).unwrap());
    let result = open(&*keyring, &message, &options);

    if entry["expect"] == "fail" {
        return match text(&entry["error"]) {
            "commitment" => assert_error!(result, Error::CommitmentMismatch),
            "signature" => assert_error!(result, Error::SignatureNotValid),
            "frame sequence" => assert_out_of_order(result, 1, 4),
            other => panic!("{other}: {result:?}"),
        };
    }
    let options = if entry["needs"] == "net-4.0.0-retry" {
        assert_error!(result, Error::HeaderNotAuthentic);
        options.allow_net_4_0_0()
    } else {
        let strict = options.with_policy(CommitmentPolicy::default());
        if !suite(&entry["suite"]).commits() {
            let refused = open(&*keyring, &message, &strict);
            assert_error!(refused, Error::PolicyForbidsDecrypt { .. });
        }
        strict.with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt)
    };

    let (plaintext, context, opened_suite) = open(&*keyring, &message, &options).unwrap();
    assert_eq!(plaintext, read(text(&entry["plaintext"])));
    assert_eq!(caller_pairs(&context), pairs(&entry["encryption_context"]));
    assert_eq!(opened_suite, suite(&entry["suite"]));
    assert_eq!(context.get(PUBLIC_KEY).is_some(), opened_suite.is_signed());

    let header = parse(&message).unwrap();
    let claims = header.claims();
    assert_eq!(claims.version(), opened_suite.message_version());
    assert_eq!(claims.frame_length(), entry["frame_length"]);
    assert_eq!(
        caller_pairs(claims.context()),
        pairs(&entry["stored_context"])
    );

    // What is authenticated without being stored is needed to open.
    let without = open(&*keyring, &message, &lenient().allow_net_4_0_0());
    let required = entry["required_context_keys"].as_array().unwrap();
    assert_eq!(without.is_ok(), required.is_empty());
}

fn extra(entry: &Value) {
    let keyring = keyring(&entry["decrypt_with"], &json("extra/keys.json"));
    let message = read(&format!("extra/{}", text(&entry["ciphertext"])));
    let result = open(&*keyring, &message, &lenient());
    if entry["expect"] == "ok" {
        let (plaintext, context, opened_suite) = result.unwrap();
        assert_eq!(
            plaintext,
            read(&format!("extra/{}", text(&entry["plaintext"])))
        );
        assert_eq!(caller_pairs(&context), pairs(&entry["encryption_context"]));
        assert_eq!(opened_suite, suite(&entry["suite"]));
        assert_eq!(entry["frame_length"], 0);
        let header = parse(&message).unwrap();
        assert_eq!(header.claims().frame_length(), 0);
        return assert_error!(
            header.claims().layout(),
            Error::NotFramed | Error::SignatureNotYetVerified { .. }
        );
    }
    damaged(text(&entry["id"]), result, &message);
}

/// One field of one message was changed; the reason must be that field's.
fn damaged(id: &str, result: Result<Opened>, message: &[u8]) {
    let (suite, damage) = id.strip_prefix("bad-").unwrap().split_once('-').unwrap();
    let signed = suite == "0578";
    match damage {
        "version" if signed => assert_error!(result, Error::UnsupportedVersion { version: 6 }),
        "version" => assert_error!(result, Error::UnsupportedVersion { version: 5 }),
        "suite" if signed => assert_error!(result, Error::UnsupportedSuite { id: 0x0538 }),
        "suite" => assert_error!(result, Error::UnsupportedSuite { id: 0x0138 }),
        "base64" => assert_error!(result, Error::Base64Input),
        "reserved" => assert_error!(
            result,
            Error::Malformed {
                field: "the reserved bytes",
                ..
            }
        ),
        "iv-length" => assert_error!(
            result,
            Error::Malformed {
                field: "the IV length",
                ..
            }
        ),
        // The message id is the salt of the derivation.
        "message-id" | "commit-key" if signed => assert_error!(result, Error::CommitmentMismatch),
        "message-id" | "header-tag" | "header-frame-length" | "header-iv" => {
            assert_error!(result, Error::HeaderNotAuthentic);
        }
        "frame1-iv" | "frame1-ciphertext" | "frame1-tag" => {
            assert_error!(result, Error::FrameNotAuthentic { sequence: 1 });
        }
        "frame1-seq" => assert_out_of_order(result, 1, 0),
        "frames-swapped" => assert_out_of_order(result, 1, 2),
        "frame-dropped" => assert_out_of_order(result, 2, 3),
        "frame-repeated" => assert_out_of_order(result, 2, 1),
        "truncated-header" if signed => assert_truncated(result, "the message id", message),
        "truncated-header" => assert_truncated(result, "the encryption context", message),
        "truncated-half" | "final-frame-missing" => assert_truncated(result, "a frame", message),
        "truncated-1" | "no-footer" if signed => assert_truncated(result, "the signature", message),
        "truncated-1" => assert_truncated(result, "a frame", message),
        "last-byte" | "footer-length-zero" if signed => {
            assert_error!(result, Error::SignatureNotValid);
        }
        "last-byte" => assert_error!(result, Error::FrameNotAuthentic { .. }),
        "trailing-byte" => assert_error!(result, Error::TrailingBytes),
        _ => panic!("{id}: {result:?}"),
    }
}

fn assert_out_of_order<T: std::fmt::Debug>(result: Result<T>, at: u32, number: u32) {
    assert_error!(result, Error::FrameOutOfOrder { expected, found } if (expected, found) == (at, number));
}

fn assert_truncated(result: Result<Opened>, inside: &str, message: &[u8]) {
    let length = message.len() as u64;
    assert_error!(result, Error::Truncated { field, offset } if (field, offset) == (inside, length));
}

fn commitment(entry: &Value) {
    let (message, bytes) = (base64(&entry["ciphertext"]), base64(&entry["header"]));
    let keyring = Static(base64(&entry["decrypted-dek"]));
    let result = open(&keyring, &message, &DecryptOptions::default());
    assert!(message.starts_with(&bytes));
    let header = parse(&message).unwrap();
    assert_eq!(header.length(), bytes.len());
    assert_eq!(header.claims().message_id(), base64(&entry["message-id"]));
    let stored: Vec<_> = header.claims().context().iter().collect();
    assert_eq!(stored, pairs(&entry["encryption-context"]));

    if entry["status"] == false {
        return assert_error!(result, Error::CommitmentMismatch);
    }
    let frames = entry["plaintext-frames"].as_array().unwrap();
    let plaintext: String = frames.iter().map(text).collect();
    assert_eq!(result.unwrap().0, plaintext.as_bytes());
}

fn parser(entry: &Value) {
    let bytes = hex::decode(text(&entry["hex"])).unwrap();
    let name = text(&entry["name"]);
    // Published without what authenticates them: an IV and a tag, or a tag.
    let with_authentication = |length| [&bytes[..], &vec![0; length]].concat();
    match name {
        "base64MessageHeader" => assert_error!(parse(&bytes), Error::Base64Input),
        "basicMessageHeader" | "zeroByteEncryptionContextMessageHeader" => {
            let whole = with_authentication(28);
            let header = parse(&whole).unwrap();
            assert_eq!(header.length(), whole.len());
            assert_eq!(header.claims().version(), 1);
            let empty = name.starts_with("zero");
            assert_eq!(header.claims().context().is_empty(), empty);
        }
        "suiteIdNotValidMessageHeader" => {
            assert_error!(parse(&bytes), Error::UnsupportedSuite { id: 0 });
        }
        "versionNotValidMessageHeader" => {
            assert_error!(parse(&bytes), Error::UnsupportedVersion { version: 0 });
        }
        "typeNotValidMessageHeader" => {
            assert_error!(parse(&bytes), Error::UnsupportedType { value: 0 });
        }
        "reservedBytesNoZeroMessageHeader" => {
            assert_error!(
                parse(&bytes),
                Error::Malformed {
                    field: "the reserved bytes",
                    ..
                }
            );
        }
        "ivLengthMismatchMessageHeader" => {
            assert_error!(
                parse(&bytes),
                Error::Malformed {
                    field: "the IV length",
                    ..
                }
            );
        }
        "basicV2MessageHeader" => assert_eq!(parse(&bytes).unwrap().length(), bytes.len()),
        "threeEdksMessagePartialHeaderV1" | "threeEdksMessagePartialHeaderV2" => {
            // Without a maximum there is nothing wrong yet.
            assert!(
                UnverifiedHeader::parse(&bytes, &lenient())
                    .unwrap()
                    .is_none()
            );
            let options = lenient().with_maximum_encrypted_data_keys(2);
            assert_error!(
                UnverifiedHeader::parse(&bytes, &options),
                Error::TooManyEncryptedDataKeys {
                    count: 3,
                    maximum: 2
                }
            );
        }
        "encryptedDataKey" => {
            let header = parse(&header_with(&[0, 0], &bytes)).unwrap();
            let keys: Vec<_> = header.claims().encrypted_data_keys().to_vec();
            let provider = "½ + ¼ = ¾";
            let expected = [
                EncryptedDataKey::new(provider, "firstKey", [1, 2, 3, 4, 5]),
                EncryptedDataKey::new(provider, "secondKey", [6, 7, 8, 9, 0]),
            ];
            assert_eq!(keys, expected);
        }
        _ if name.contains("NonFrameHeader") => non_framed_header(name, &bytes),
        _ if name.contains("FrameHeader") => frame_header(name, &bytes),
        _ => encryption_context(name, &bytes),
    }
}

/// IV and content length of a non-framed body.
fn non_framed_header(name: &str, bytes: &[u8]) {
    let header = parse(&read("extra/suite-0478-unframed.ct")).unwrap();
    let mut body = header.claims().frames();
    let scanned = body.scan(bytes);
    match name {
        "basicNonFrameHeader" => {
            let FrameScan::Final {
                plaintext_length, ..
            } = scanned.unwrap()
            else {
                panic!("a body of one piece");
            };
            assert_eq!(plaintext_length.to_be_bytes(), bytes[12..20]);
        }
        // The longest that the format allows; one more is too long.
        "invalidNonFrameHeaderContentLengthExcedsLimits" => {
            let FrameScan::Final {
                plaintext_length, ..
            } = scanned.unwrap()
            else {
                panic!("a body of one piece");
            };
            assert_eq!(plaintext_length, (1 << 36) - 32);
            let longer = [&bytes[..12], &(plaintext_length + 1).to_be_bytes()].concat();
            assert_error!(body.scan(&longer), Error::BodyTooLong { .. });
        }
        _ => panic!("{name}: {scanned:?}"),
    }
}

/// The beginning of frame 1, after a header that verified.
fn frame_header(name: &str, bytes: &[u8]) {
    let answers = list("commitment-known-answers.json", "tests");
    let keyring = Static(base64(&answers[0]["decrypted-dek"]));
    let header = base64(&answers[0]["header"]);
    let (mut decryptor, _) = open_header(&keyring, &header, &DecryptOptions::default()).unwrap();
    let mut output = OutputBuffer::new();
    let result = decryptor.update(bytes, &mut output);
    assert!(output.is_empty());
    match name {
        "basicFrameHeader" | "finalFrameHeader" | "finalFrameHeaderZeroBytes" => result.unwrap(),
        // No marker, so a regular frame with this number.
        "invalidSequenceEndFinalFrameHeader" => assert_out_of_order(result, 1, 0x00ff_ffff),
        _ => assert_out_of_order(result, 1, 0),
    }
}

fn encryption_context(name: &str, bytes: &[u8]) {
    // The published length does not always count what follows; in a header, it would then take
    // in the next fields. Written anew it shows what the pairs themselves give.
    let pairs_length = u16::try_from(bytes.len() - 2).unwrap();
    let counted = [&pairs_length.to_be_bytes(), &bytes[2..]].concat();
    let result = parse(&header_with(&counted, &ONE_KEY));
    let expected = match name {
        "basicEncryptionContext" => vec![("information", "½ + ¼ = ¾"), ("some", "public")],
        "encryptionContextWithHighUtf8CodePoint" => vec![("some", "public"), ("𝄢", "a")],
        "encryptionContextWithHighUtf8CodePointWithReservedKeyword" => {
            vec![(PUBLIC_KEY, "public"), ("𝄢", "a")]
        }
        "hasOwnPropertyEncryptionContext" => vec![("hasOwnProperty", "arbitraryValue")],
        "duplicateKeysEncryptionContext" => {
            return assert_error!(result, Error::DuplicateContextKey);
        }
        "missingDataEncryptionContext" => {
            return assert_malformed(result, "is shorter than its pairs");
        }
        "tooMuchDataEncryptionContext" => {
            return assert_malformed(result, "is longer than its pairs");
        }
        _ => panic!("{name}: {result:?}"),
    };
    let header = result.unwrap();
    assert_eq!(
        header.claims().context().iter().collect::<Vec<_>>(),
        expected
    );
}

fn assert_malformed(result: Result<UnverifiedHeader>, why: &str) {
    assert_error!(result, Error::Malformed { field: "the encryption context", reason, .. } if reason == why);
}

/// A count of one and an entry of three empty fields.
const ONE_KEY: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];

/// A version-2 header with these bytes in place of its context and its encrypted data keys.
fn header_with(context: &[u8], encrypted_data_keys: &[u8]) -> Vec<u8> {
    let frame_length = 4096u32.to_be_bytes();
    [
        &[2, 0x04, 0x78][..],
        &[7; 32],
        context,
        encrypted_data_keys,
        &[2],
        &frame_length,
        &[7; 32 + 16],
    ]
    .concat()
}

fn kms_header(entry: &Value) {
    let bytes = base64(&entry["header_base64"]);
    let header = parse(&bytes).unwrap();
    assert_eq!(bytes.len(), entry["body_offset"]);
    assert_eq!(header.length(), entry["body_offset"]);
    let claims = header.claims();
    assert_eq!(claims.version(), entry["version"]);
    assert_eq!(claims.suite(), suite(&entry["suite"]));
    assert_eq!(hex::encode(claims.message_id()), entry["message_id"]);
    assert_eq!(claims.frame_length(), entry["frame_length"]);
    let context: Vec<_> = claims.context().iter().collect();
    assert_eq!(context, pairs(&entry["encryption_context"]));
    let keys = entry["edks"].as_array().unwrap().iter().map(|key| {
        let (info, ciphertext) = (&key["provider_info_base64"], &key["ciphertext_base64"]);
        EncryptedDataKey::new(text(&key["provider_id"]), base64(info), base64(ciphertext))
    });
    assert_eq!(claims.encrypted_data_keys(), keys.collect::<Vec<_>>());
}
