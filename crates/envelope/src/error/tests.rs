use std::collections::BTreeSet;

use super::*;
use crate::not_unwrapped::Attempt;

const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_IV12_TAG16_HKDF_SHA256;
const POLICY: CommitmentPolicy = CommitmentPolicy::RequireEncryptRequireDecrypt;

/// A place for each variant. A new one does not compile until it has a sample below.
fn number(error: &Error) -> usize {
    match error {
        Error::UnsupportedVersion { .. } => 0,
        Error::UnsupportedType { .. } => 1,
        Error::Base64Input => 2,
        Error::UnsupportedSuite { .. } => 3,
        Error::UnsupportedContentType { .. } => 4,
        Error::Truncated { .. } => 5,
        Error::Malformed { .. } => 6,
        Error::DuplicateContextKey => 7,
        Error::HeaderTooLong { .. } => 8,
        Error::FrameTooLong { .. } => 9,
        Error::BodyTooLong { .. } => 10,
        Error::NotFramed => 11,
        Error::TooManyEncryptedDataKeys { .. } => 12,
        Error::ReservedContextKey { .. } => 13,
        Error::ContextTooLong { .. } => 14,
        Error::RequiredContextKeyMissing { .. } => 15,
        Error::ContextMismatch { .. } => 16,
        Error::PolicyForbidsEncrypt { .. } => 17,
        Error::PolicyForbidsDecrypt { .. } => 18,
        Error::SignedMessage { .. } => 19,
        Error::SignatureNotYetVerified { .. } => 20,
        Error::InvalidOption { .. } => 21,
        Error::PlaintextTooLong { .. } => 22,
        Error::TooManyFrames => 23,
        Error::ImpossibleLength { .. } => 24,
        Error::RangeOutOfBounds { .. } => 25,
        Error::Keyring(_) => 26,
        Error::NotUnwrapped(_) => 27,
        Error::InconsistentMaterials { .. } => 28,
        Error::KeyLength { .. } => 29,
        Error::KeyNotValid { .. } => 30,
        Error::Randomness => 31,
        Error::SealFailed => 32,
        Error::CommitmentMismatch => 33,
        Error::PublicKeyNotValid { .. } => 34,
        Error::HeaderNotAuthentic => 35,
        Error::FrameOutOfOrder { .. } => 36,
        Error::FinalFrameTooLong { .. } => 37,
        Error::FrameNotAuthentic { .. } => 38,
        Error::SignatureNotValid => 39,
        Error::TrailingBytes => 40,
        Error::AlreadyFailed => 41,
        Error::HeaderDoesNotFit { .. } => 42,
        Error::Format { .. } => 43,
        Error::NotDecrypted => 44,
    }
}

const VARIANTS: usize = 45;

fn not_unwrapped() -> Error {
    let key = |provider: &str, name: &str| (provider.to_owned(), name.to_owned());
    let attempts = vec![
        Attempt::skipped(0, "raw AES acme/daily", "another key name"),
        Attempt::failed_with(1, "raw AES acme/daily", "not authentic"),
    ];
    let keys = vec![key("acme", "weekly"), key("acme", "daily")];
    Error::NotUnwrapped(Box::new(NotUnwrapped::new(
        keys,
        attempts,
        vec!["a".into()],
    )))
}

fn samples() -> Vec<(Error, ErrorKind, &'static str)> {
    use ErrorKind::{InvalidRequest, NotAuthentic, Unavailable};
    let (suite, policy, key) = (SUITE, POLICY, String::from("k"));
    vec![
        (
            Error::UnsupportedVersion { version: 3 },
            NotAuthentic,
            "message format version 0x03 is not supported; supported are 1 and 2",
        ),
        (
            Error::UnsupportedType { value: 1 },
            NotAuthentic,
            "message type 0x01 is not supported; supported is encrypted data (0x80)",
        ),
        (
            Error::Base64Input,
            NotAuthentic,
            "the input looks like the base64 text of a message; decode it to bytes first",
        ),
        (
            Error::UnsupportedSuite { id: 0x6700 },
            NotAuthentic,
            "algorithm suite 0x6700 is not supported in a message",
        ),
        (
            Error::UnsupportedContentType { value: 3 },
            NotAuthentic,
            "content type 0x03 is not supported; supported are non-framed (0x01) and framed (0x02)",
        ),
        (
            Error::Truncated {
                field: "a frame",
                offset: 7,
            },
            NotAuthentic,
            "the message is truncated: it ends inside a frame at byte 7; fetch the whole message",
        ),
        (
            Error::Malformed {
                field: "the IV length",
                offset: 7,
                reason: "must be 12",
            },
            NotAuthentic,
            "the message is malformed: the IV length at byte 7 must be 12",
        ),
        (
            Error::DuplicateContextKey,
            NotAuthentic,
            "the message is malformed: its encryption context holds one key twice",
        ),
        (
            Error::HeaderTooLong { maximum: 7 },
            NotAuthentic,
            "the header is longer than the 7 bytes allowed; raise the maximum header length if the message is trusted",
        ),
        (
            Error::FrameTooLong {
                length: 8,
                maximum: 7,
            },
            NotAuthentic,
            "a frame or non-framed body of 8 bytes is above the 7 bytes allowed; raise the maximum frame length if the message is trusted",
        ),
        (
            Error::BodyTooLong { length: 8 },
            NotAuthentic,
            "the message is malformed: its non-framed body of 8 bytes is above the limit of 2^36 - 32",
        ),
        (
            Error::NotFramed,
            InvalidRequest,
            "the message is not framed: read it whole, as no part of it can be verified alone",
        ),
        (
            Error::TooManyEncryptedDataKeys {
                count: 3,
                maximum: 2,
            },
            NotAuthentic,
            "the message holds 3 encrypted data keys, above the configured maximum of 2",
        ),
        (
            Error::ReservedContextKey { key: key.clone() },
            InvalidRequest,
            "the encryption-context key \"k\" is reserved: keys that begin with \"aws-crypto-\" belong to the format; choose another",
        ),
        (
            Error::ContextTooLong { length: 65_536 },
            InvalidRequest,
            "the encryption context takes 65536 bytes, above the limit of 65535; shorten it",
        ),
        (
            Error::RequiredContextKeyMissing { key: key.clone() },
            InvalidRequest,
            "the encryption-context key \"k\" is required; give it and its value",
        ),
        (
            Error::ContextMismatch { key },
            NotAuthentic,
            "the message's encryption context differs from the expected one at key \"k\"; it may belong to something else",
        ),
        (
            Error::PolicyForbidsEncrypt { policy, suite },
            InvalidRequest,
            "the commitment policy require-encrypt-require-decrypt forbids encrypting under suite 0178 (AES_256_GCM_IV12_TAG16_HKDF_SHA256)",
        ),
        (
            Error::PolicyForbidsDecrypt { policy, suite },
            NotAuthentic,
            "the commitment policy require-encrypt-require-decrypt forbids decrypting under suite 0178 (AES_256_GCM_IV12_TAG16_HKDF_SHA256)",
        ),
        (
            Error::SignedMessage { suite },
            NotAuthentic,
            "the message is signed (suite 0178 (AES_256_GCM_IV12_TAG16_HKDF_SHA256)) and only unsigned messages are accepted; accept signed ones or write with an unsigned suite",
        ),
        (
            Error::SignatureNotYetVerified { suite },
            NotAuthentic,
            "the message is signed (suite 0178 (AES_256_GCM_IV12_TAG16_HKDF_SHA256)): its signature can be checked only after the last byte; decrypt it whole, or allow plaintext with an unverified signature by name",
        ),
        (
            Error::InvalidOption {
                what: "the frame length",
                reason: "must be above zero",
            },
            InvalidRequest,
            "the frame length must be above zero",
        ),
        (
            Error::PlaintextTooLong { bound: 7 },
            InvalidRequest,
            "the plaintext is longer than the 7 bytes announced",
        ),
        (
            Error::TooManyFrames,
            InvalidRequest,
            "the plaintext needs more than 2^32 - 1 frames; use a larger frame length",
        ),
        (
            Error::ImpossibleLength { length: 7 },
            NotAuthentic,
            "no complete message with this header and frame length is 7 bytes long",
        ),
        (
            Error::RangeOutOfBounds {
                start: 1,
                end: 9,
                length: 7,
            },
            InvalidRequest,
            "the range 1..9 lies outside the plaintext of 7 bytes",
        ),
        (
            KeyringError::new("raw RSA acme/escrow", "there is no public key").into(),
            Unavailable,
            "raw RSA acme/escrow: there is no public key",
        ),
        (
            not_unwrapped(),
            NotAuthentic,
            "no wrapping key of the keyring opens any of the message's 2 encrypted data keys\n  encrypted data key 1: provider \"acme\", key \"weekly\"\n    raw AES acme/daily: skipped: another key name\n  encrypted data key 2: provider \"acme\", key \"daily\"\n    raw AES acme/daily: failed: not authentic\n  the message does not store these keys of the expected encryption context: [\"a\"]",
        ),
        (
            Error::InconsistentMaterials {
                reason: "there is no data key",
            },
            Unavailable,
            "the materials are inconsistent: there is no data key",
        ),
        (
            Error::KeyLength {
                length: 31,
                legal: "32 bytes",
            },
            InvalidRequest,
            "a key of 31 bytes does not fit; legal is 32 bytes",
        ),
        (
            Error::KeyNotValid {
                reason: "is not PEM",
            },
            InvalidRequest,
            "the key cannot be used: it is not PEM",
        ),
        (
            Error::Randomness,
            Unavailable,
            "the operating system's source of randomness failed",
        ),
        (
            Error::SealFailed,
            Unavailable,
            "the cryptography library failed to encrypt or sign",
        ),
        (
            Error::CommitmentMismatch,
            NotAuthentic,
            "the data key does not match the message's key commitment; the message or its encrypted data keys were tampered with",
        ),
        (
            Error::PublicKeyNotValid {
                reason: "is missing",
            },
            NotAuthentic,
            "the public key in the message's encryption context is missing",
        ),
        (
            Error::HeaderNotAuthentic,
            NotAuthentic,
            "the message header is not authentic; it was tampered with, or the encryption context given is not the one it was written with",
        ),
        (
            Error::FrameOutOfOrder {
                expected: 2,
                found: 3,
            },
            NotAuthentic,
            "frame 2 carries sequence number 3; frames were reordered or dropped",
        ),
        (
            Error::FinalFrameTooLong {
                length: 8,
                frame_length: 7,
            },
            NotAuthentic,
            "the final frame claims 8 bytes of content, above the frame length of 7",
        ),
        (
            Error::FrameNotAuthentic { sequence: 2 },
            NotAuthentic,
            "frame 2 is not authentic; the message was tampered with",
        ),
        (
            Error::SignatureNotValid,
            NotAuthentic,
            "the signature of the message does not verify; discard everything read from it",
        ),
        (
            Error::TrailingBytes,
            NotAuthentic,
            "bytes follow the end of the message; a message must stand alone: discard everything read from it",
        ),
        (
            Error::AlreadyFailed,
            InvalidRequest,
            "an earlier error ended this operation; start again with a new one",
        ),
        (
            Error::HeaderDoesNotFit {
                length: 1010,
                padding: 22,
                wanted: 1024,
            },
            InvalidRequest,
            "the header takes 1010 bytes, and 22 more to be padded; it cannot be made 1024 bytes long: raise the header length",
        ),
        (
            Error::Format {
                kind: ErrorKind::NoKey,
                source: FormatError::new(std::io::Error::other("the object has another key")),
            },
            ErrorKind::NoKey,
            "the object has another key",
        ),
        (
            Error::NotDecrypted,
            ErrorKind::NoKey,
            "the RSA ciphertext does not decrypt: another private key, another padding, or tampered",
        ),
    ]
}

#[test]
fn every_variant_has_its_text_and_kind() {
    let mut seen = BTreeSet::new();
    for (error, kind, text) in samples() {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), kind, "{text}");
        seen.insert(number(&error));
    }
    assert_eq!(seen, (0..VARIANTS).collect());
}

#[test]
fn the_error_of_a_format_is_the_source_whatever_holds_it() {
    use std::error::Error as _;

    let inner = std::io::Error::from(std::io::ErrorKind::NotFound);
    let error = Error::Format {
        kind: ErrorKind::NoKey,
        source: FormatError::new(inner),
    };
    let source: &std::io::Error = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}
