//! No changed message opens, and no change makes opening panic or blame the caller.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use envelope::{
    AlgorithmSuite, EncryptionContext, Error, ErrorKind, RawAes, Result, UnverifiedHeader,
    WrappingKey, blocking,
};

const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
const FRAME: usize = 4;
const REGULAR: usize = FRAME + 32;

fn keyring() -> RawAes {
    RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap()
}

/// Two regular frames and a final one.
fn message(keyring: &RawAes, suite: AlgorithmSuite) -> Vec<u8> {
    let options = support::sealing(suite)
        .with_frame_length(4)
        .with_context(EncryptionContext::new([("tenant", "acme")]).unwrap());
    blocking::encrypt(keyring, b"elevenbytes", &options).unwrap()
}

fn open(keyring: &RawAes, message: &[u8]) -> Result<Vec<u8>> {
    blocking::decrypt(keyring, message, &support::opening()).map(|opened| opened.plaintext)
}

fn header_length(message: &[u8]) -> usize {
    UnverifiedHeader::parse_whole(message, &support::opening())
        .unwrap()
        .length()
}

/// The header, then each frame, the last with all that follows it.
fn parts(message: &[u8]) -> [&[u8]; 4] {
    let (header, rest) = message.split_at(header_length(message));
    let (first, rest) = rest.split_at(REGULAR);
    let (second, last) = rest.split_at(REGULAR);
    [header, first, second, last]
}

#[test]
fn no_message_with_one_bit_flipped_opens() {
    let keyring = keyring();
    let mut blamed = Vec::new();
    for suite in AlgorithmSuite::ALL {
        let message = message(&keyring, suite);
        assert_eq!(open(&keyring, &message).unwrap(), b"elevenbytes");
        for bit in 0..message.len() * 8 {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match open(&keyring, &changed) {
                Ok(_) => panic!("bit {bit} of a {suite} message changed unnoticed"),
                // `NoKey`: the name or the wrapped form of the data key was hit.
                Err(error) => match error.kind() {
                    ErrorKind::NotAuthentic | ErrorKind::NoKey => {}
                    kind => blamed.push((suite, bit, kind, error.to_string())),
                },
            }
        }
    }
    assert!(
        blamed.is_empty(),
        "{} changes pass for another kind of failure: {:?}, ...",
        blamed.len(),
        blamed.iter().take(3).collect::<Vec<_>>()
    );
}

#[test]
fn a_changed_body_is_never_a_missing_key() {
    let keyring = keyring();
    for suite in AlgorithmSuite::ALL {
        let message = message(&keyring, suite);
        for index in header_length(&message)..message.len() {
            let mut changed = message.clone();
            changed[index] ^= 0x80;
            let error = open(&keyring, &changed).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::NotAuthentic,
                "byte {index}: {error}"
            );
        }
    }
}

#[test]
fn every_beginning_of_a_message_is_truncated() {
    let keyring = keyring();
    for suite in AlgorithmSuite::ALL {
        let message = message(&keyring, suite);
        for length in 0..message.len() {
            let error = open(&keyring, &message[..length]).unwrap_err();
            assert!(
                matches!(error, Error::Truncated { offset, .. } if offset == length as u64),
                "{length} bytes of a {suite} message: {error}"
            );
        }
    }
}

#[test]
fn a_byte_after_the_end_is_refused() {
    let keyring = keyring();
    for suite in AlgorithmSuite::ALL {
        let message = message(&keyring, suite);
        for byte in [0, 0x02, 0x80, 0xff] {
            let longer = [message.as_slice(), &[byte]].concat();
            assert!(matches!(open(&keyring, &longer), Err(Error::TrailingBytes)));
        }
        let twice = [message.as_slice(), &message].concat();
        assert!(matches!(open(&keyring, &twice), Err(Error::TrailingBytes)));
    }
}

#[test]
fn frames_out_of_order_are_refused() {
    let keyring = keyring();
    for suite in AlgorithmSuite::ALL {
        let message = message(&keyring, suite);
        let [header, first, second, last] = parts(&message);
        for (frames, expected, found) in [
            ([header, second, first, last].concat(), 1, 2),
            ([header, second, last].concat(), 1, 2),
            ([header, first, last].concat(), 2, 3),
            ([header, last].concat(), 1, 3),
            ([header, first, first, second, last].concat(), 2, 1),
            ([header, first, second, second, last].concat(), 3, 2),
        ] {
            let error = open(&keyring, &frames).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::FrameOutOfOrder { expected: e, found: f } if (e, f) == (expected, found)
                ),
                "{error}"
            );
        }
        let last_missing = [header, first, second].concat();
        assert!(matches!(
            open(&keyring, &last_missing),
            Err(Error::Truncated { .. })
        ));
    }
}

#[test]
fn frames_of_another_message_are_refused() {
    let keyring = keyring();
    for suite in AlgorithmSuite::ALL {
        let (ours, theirs) = (message(&keyring, suite), message(&keyring, suite));
        let [header, first, second, _] = parts(&ours);
        let [_, their_first, _, their_last] = parts(&theirs);
        assert!(matches!(
            open(&keyring, &[header, first, second, their_last].concat()),
            Err(Error::FrameNotAuthentic { sequence: 3 })
        ));
        assert!(matches!(
            open(
                &keyring,
                &[header, their_first, second, their_last].concat()
            ),
            Err(Error::FrameNotAuthentic { sequence: 1 })
        ));
    }
}

#[test]
fn a_regular_frame_cannot_pass_as_the_final_one() {
    let keyring = keyring();
    let message = message(&keyring, UNSIGNED);
    let [header, first, second, _] = parts(&message);
    let (number, rest) = second.split_at(4);
    let (iv, content_and_tag) = rest.split_at(12);
    let forged = [&[0xff; 4], number, iv, &[0, 0, 0, 4], content_and_tag].concat();
    assert!(matches!(
        open(&keyring, &[header, first, &forged].concat()),
        Err(Error::FrameNotAuthentic { sequence: 2 })
    ));
}

#[test]
fn a_final_frame_above_the_frame_length_is_refused() {
    let keyring = keyring();
    let message = message(&keyring, UNSIGNED);
    let [header, first, second, last] = parts(&message);
    let mut last = last.to_vec();
    last[20..24].copy_from_slice(&5_u32.to_be_bytes());
    assert!(matches!(
        open(&keyring, &[header, first, second, &last].concat()),
        Err(Error::FinalFrameTooLong {
            length: 5,
            frame_length: 4
        })
    ));
}

#[test]
fn a_signature_of_another_message_is_refused() {
    let keyring = keyring();
    let signed = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    let (ours, theirs) = (message(&keyring, signed), message(&keyring, signed));
    // The final frame has three bytes of content.
    let body = |message: &[u8]| header_length(message) + 2 * REGULAR + 43;
    let swapped = [&ours[..body(&ours)], &theirs[body(&theirs)..]].concat();
    assert!(matches!(
        open(&keyring, &swapped),
        Err(Error::SignatureNotValid)
    ));
    let empty = [&ours[..body(&ours)], &[0, 0]].concat();
    assert!(matches!(
        open(&keyring, &empty),
        Err(Error::SignatureNotValid)
    ));
}

#[test]
fn a_suite_changed_to_the_other_is_found_by_the_public_key() {
    let keyring = keyring();
    let signed = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    let [unsigned, signed] = [UNSIGNED, signed].map(|suite| {
        let mut message = message(&keyring, suite);
        // `0478` and `0578` differ in this bit.
        message[1] ^= 1;
        open(&keyring, &message).unwrap_err()
    });
    assert!(matches!(unsigned, Error::PublicKeyNotValid { reason } if reason.contains("missing")));
    assert!(matches!(signed, Error::PublicKeyNotValid { reason } if reason.contains("not signed")));
}
