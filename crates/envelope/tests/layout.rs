//! Lengths and ranges of unsigned messages, held against messages that were really sealed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::ops::Range;

use envelope::{
    AlgorithmSuite, DecryptOptions, EncryptOptions, Error, FrameScan, MaterialsManager,
    OutputBuffer, RangeDecryptor, RangePlan, RawAes, Result, UnverifiedHeader, WrappingKey,
    blocking,
};
use futures::executor::block_on;
use proptest::prelude::*;

fn keyring() -> RawAes {
    RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap()
}

fn verified(keyring: &impl MaterialsManager, message: &[u8]) -> Result<RangeDecryptor> {
    let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
    let materials = block_on(keyring.decryption_materials(header.request())).unwrap();
    header.verify_for_ranges(materials)
}

fn sealed(plaintext: &[u8], frame_length: u32) -> (Vec<u8>, RangeDecryptor) {
    let keyring = keyring();
    let options = EncryptOptions::default()
        .with_suite(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
        .with_frame_length(frame_length);
    let message = blocking::encrypt(&keyring, plaintext, &options).unwrap();
    let ranges = verified(&keyring, &message).unwrap();
    (message, ranges)
}

/// What was released, and how it ended.
fn open(
    ranges: &RangeDecryptor,
    plan: &RangePlan,
    fetched: &[u8],
    step: usize,
) -> (Vec<u8>, Result<()>) {
    let mut output = OutputBuffer::new();
    let mut range = ranges.open(plan.clone());
    let mut result = Ok(());
    for piece in fetched.chunks(step) {
        result = result.and_then(|()| range.update(piece, &mut output));
    }
    let result = result.and_then(|()| range.finish());
    (output.into_vec(), result)
}

fn usize_range(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// A plaintext length, a range within it, a frame length.
fn cases() -> impl Strategy<Value = (usize, Range<u64>, u32)> {
    (0..300_usize).prop_flat_map(|length| {
        let point = || 0..=length as u64;
        (Just(length), (point(), point()), 1_u32..80)
            .prop_map(|(length, (a, b), frame_length)| (length, a.min(b)..a.max(b), frame_length))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lengths_are_those_of_the_message(length in 0..400_usize, frame_length in 1_u32..100) {
        let (message, ranges) = sealed(&numbered(length), frame_length);
        let layout = ranges.layout();
        prop_assert_eq!(layout.ciphertext_len(length as u64).unwrap(), message.len() as u64);
        prop_assert_eq!(layout.plaintext_len(message.len() as u64).unwrap(), length as u64);
    }

    #[test]
    fn a_range_opens_from_its_frames_alone(
        (length, range, frame_length) in cases(), step in 1..90_usize,
    ) {
        let plaintext = numbered(length);
        let (message, ranges) = sealed(&plaintext, frame_length);
        let total = message.len() as u64;
        let plan = ranges.layout().plan(range.clone(), total).unwrap();
        prop_assert_eq!(plan.range(), range.clone());
        prop_assert_eq!(
            ranges.layout().ciphertext_range(range.clone(), total).unwrap(),
            plan.ciphertext()
        );
        let fetched = &message[usize_range(plan.ciphertext())];
        let (output, result) = open(&ranges, &plan, fetched, step);
        prop_assert!(result.is_ok());
        prop_assert_eq!(output, &plaintext[usize_range(range.clone())]);

        let longer = [fetched, &[0]].concat();
        prop_assert!(matches!(
            open(&ranges, &plan, &longer, step).1, Err(Error::TrailingBytes)
        ));
        if let Some((_, shorter)) = fetched.split_last() {
            let shorter = &fetched[..shorter.len()];
            let result = open(&ranges, &plan, shorter, step).1;
            let truncated = matches!(result, Err(Error::Truncated { .. }));
            prop_assert!(truncated);
        } else {
            prop_assert!(range.is_empty());
        }
    }

    #[test]
    fn a_changed_byte_of_the_covering_frames_is_refused(
        (length, range, frame_length) in cases(), flip in 1..=255_u8, step in 1..90_usize,
    ) {
        let plaintext = numbered(length);
        let (message, ranges) = sealed(&plaintext, frame_length);
        let plan = ranges.layout().plan(range.clone(), message.len() as u64).unwrap();
        let fetched = &message[usize_range(plan.ciphertext())];
        let wanted = &plaintext[usize_range(range)];
        for index in 0..fetched.len() {
            let mut changed = fetched.to_vec();
            changed[index] ^= flip;
            let (output, result) = open(&ranges, &plan, &changed, step);
            prop_assert!(result.is_err(), "byte {} changed unnoticed", index);
            prop_assert!(wanted.starts_with(&output));
        }
    }

    /// Whoever stores the message also tells its length, and may cut it anywhere.
    #[test]
    fn a_wrong_length_never_yields_wrong_bytes(
        (length, range, frame_length) in cases(), claimed in 0..4_000_u64, step in 1..90_usize,
        cut_frames in 0..4_u64,
    ) {
        let plaintext = numbered(length);
        let (message, ranges) = sealed(&plaintext, frame_length);
        let total = message.len() as u64;
        let whole_frames = cut_frames * (u64::from(frame_length) + 32);
        for claimed in [claimed, total.saturating_sub(whole_frames), total + whole_frames] {
            let Ok(plan) = ranges.layout().plan(range.clone(), claimed) else { continue };
            let wanted = usize_range(plan.ciphertext());
            let fetched = &message[wanted.start.min(message.len())..wanted.end.min(message.len())];
            let (output, result) = open(&ranges, &plan, fetched, step);
            let right = &plaintext[usize_range(range.clone())];
            prop_assert!(right.starts_with(&output));
            prop_assert!(result.is_err() || output == right);
            if let Ok(end) = ranges.layout().plaintext_len(claimed)
                && end < length as u64 && range.end == end && !range.is_empty()
            {
                prop_assert!(result.is_err(), "a shortened message showed its end");
            }
        }
    }
}

#[test]
fn a_message_cut_at_a_frame_shows_its_cut_at_the_end_only() {
    let plaintext = numbered(30);
    let (message, ranges) = sealed(&plaintext, 10);
    let claimed = message.len() as u64 - 42;
    let cut = &message[..claimed as usize];
    // Short of one regular frame, this is the length of a whole message of 20 bytes.
    assert_eq!(ranges.layout().plaintext_len(claimed).unwrap(), 20);
    let plan = ranges.layout().plan(0..10, claimed).unwrap();
    let (output, result) = open(&ranges, &plan, &cut[usize_range(plan.ciphertext())], 1000);
    assert!(result.is_ok());
    assert_eq!(output, plaintext[..10]);
    let plan = ranges.layout().plan(5..20, claimed).unwrap();
    let (output, result) = open(&ranges, &plan, &cut[usize_range(plan.ciphertext())], 1000);
    assert!(matches!(
        result,
        Err(Error::FrameNotAuthentic { sequence: 2 })
    ));
    assert_eq!(output, plaintext[5..10]);
}

#[test]
fn ranges_outside_the_plaintext_are_refused() {
    let (message, ranges) = sealed(&numbered(25), 10);
    let total = message.len() as u64;
    assert!(ranges.layout().plan(0..25, total).is_ok());
    #[allow(
        clippy::reversed_empty_ranges,
        reason = "a range that a caller may get wrong"
    )]
    for range in [0..26, 26..26, 7..3, 25..u64::MAX] {
        assert!(matches!(
            ranges.layout().plan(range.clone(), total),
            Err(Error::RangeOutOfBounds { start, end, length: 25 })
                if start == range.start && end == range.end
        ));
    }
}

#[test]
fn an_empty_range_needs_no_bytes_before_the_end() {
    for (length, at) in [(25, 0), (25, 10), (25, 24), (30, 29)] {
        let (message, ranges) = sealed(&numbered(length), 10);
        let plan = ranges.layout().plan(at..at, message.len() as u64).unwrap();
        assert!(plan.ciphertext().is_empty());
        let (output, result) = open(&ranges, &plan, &[], 1);
        assert!(result.is_ok() && output.is_empty());
    }
}

#[test]
fn a_range_to_the_end_proves_the_end() {
    // A header, some frames, and something else where the final frame should be: the length alone
    // says that the plaintext ends there.
    let (message, ranges) = sealed(&numbered(25), 10);
    let body = ranges
        .layout()
        .plan(0..1, message.len() as u64)
        .unwrap()
        .ciphertext()
        .start;
    for frames in 0..3 {
        let kept = body as usize + frames * 42;
        let cut = [&message[..kept], &[0xaa; 40]].concat();
        let length = ranges.layout().plaintext_len(cut.len() as u64).unwrap();
        assert_eq!(length, frames as u64 * 10);
        for range in [0..length, length..length, length.saturating_sub(3)..length] {
            let plan = ranges.layout().plan(range, cut.len() as u64).unwrap();
            let (_, result) = open(&ranges, &plan, &cut[usize_range(plan.ciphertext())], 100);
            assert!(result.is_err(), "{plan:?}");
        }
    }
    for (length, at) in [(0, 0), (25, 25), (30, 30)] {
        let (message, ranges) = sealed(&numbered(length), 10);
        let plan = ranges.layout().plan(at..at, message.len() as u64).unwrap();
        let (output, result) = open(&ranges, &plan, &message[usize_range(plan.ciphertext())], 7);
        assert!(result.is_ok() && output.is_empty());
    }
}

#[test]
fn a_range_that_failed_stays_failed() {
    let (message, ranges) = sealed(&numbered(25), 10);
    let plan = ranges.layout().plan(0..25, message.len() as u64).unwrap();
    let fetched = &message[usize_range(plan.ciphertext())];
    let mut changed = fetched.to_vec();
    changed[20] ^= 1;
    let mut output = OutputBuffer::new();
    let mut range = ranges.open(plan);
    assert!(range.update(&changed, &mut output).is_err());
    assert!(matches!(
        range.update(fetched, &mut output),
        Err(Error::AlreadyFailed)
    ));
    assert!(output.is_empty());
    assert!(matches!(range.finish(), Err(Error::AlreadyFailed)));
}

/// Follows the frames with as few bytes as are asked for; returns what the final one says and
/// where it ends.
fn scan(message: &[u8]) -> Result<(u64, usize)> {
    let header = UnverifiedHeader::parse_whole(message, &support::opening())?;
    let mut frames = header.claims().frames();
    let (mut at, mut seen) = (header.length(), 0);
    loop {
        match frames.scan(&message[at..at + seen])? {
            FrameScan::Incomplete(wanted) => {
                assert!(seen < wanted && wanted <= 24);
                seen = wanted;
            }
            FrameScan::Regular { length } => (at, seen) = (at + length as usize, 0),
            FrameScan::Final {
                length,
                plaintext_length,
            } => return Ok((plaintext_length, at + length as usize)),
        }
    }
}

#[test]
fn scanning_finds_the_end_of_the_body_without_a_key() {
    let keyring = keyring();
    for suite in AlgorithmSuite::ALL {
        for length in [0, 1, 9, 10, 11, 20, 57] {
            let options = support::sealing(suite).with_frame_length(10);
            let message = blocking::encrypt(&keyring, &numbered(length), &options).unwrap();
            let (plaintext_length, end) = scan(&message).unwrap();
            assert_eq!(plaintext_length, length as u64);
            let footer = message.len() - end;
            assert_eq!(footer > 0, suite.is_signed(), "{footer} bytes");
        }
    }
    let (mut message, ranges) = sealed(&numbered(25), 10);
    let plan = ranges.layout().plan(10..11, message.len() as u64).unwrap();
    message[plan.ciphertext().start as usize + 3] = 9;
    assert!(matches!(
        scan(&message),
        Err(Error::FrameOutOfOrder {
            expected: 2,
            found: 9
        })
    ));
}

#[test]
fn a_signed_message_has_no_ranges() {
    let keyring = keyring();
    let message = blocking::encrypt(&keyring, b"signed", &EncryptOptions::default()).unwrap();
    let allowing = DecryptOptions::default().allow_unverified_signature();
    let header = UnverifiedHeader::parse_whole(&message, &allowing).unwrap();
    assert!(matches!(
        header.claims().layout(),
        Err(Error::SignatureNotYetVerified { .. })
    ));
    assert!(matches!(
        verified(&keyring, &message),
        Err(Error::SignatureNotYetVerified { .. })
    ));
}
