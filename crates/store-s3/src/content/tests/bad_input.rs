use super::*;
use crate::content::keys::nonzero;

/// Lengths around those of a block.
const LENGTHS: [usize; 6] = [0, 1, 15, 16, 17, 40];

/// Opens in each way that verifies.
fn openings(object: &[u8]) -> [Result<Vec<u8>>; 3] {
    let body = || Box::new(GcmBody::new(key()));
    [
        body().open_at_once(object.to_vec()),
        verify_and_open(body(), object, &[9]),
        run(Box::new(GcmDelayed::new(&key()).unwrap()), object, &[9]),
    ]
}

#[test]
fn no_bit_can_be_flipped() {
    for length in LENGTHS {
        let object = seal_at_once(encryptor(1), &plaintext(length));
        for bit in 0..object.len() * 8 {
            let mut object = object.clone();
            object[bit / 8] ^= 1 << (bit % 8);
            for opened in openings(&object) {
                let error = ours(opened);
                assert!(matches!(error, crate::Error::BodyNotAuthentic), "{error}");
            }
        }
    }
}

#[test]
fn no_object_can_be_cut_short() {
    for length in LENGTHS {
        let object = seal_at_once(encryptor(1), &plaintext(length));
        for end in 0..object.len() {
            for opened in openings(&object[..end]) {
                match ours(opened) {
                    crate::Error::BodyTruncated { length } => {
                        assert!(end < 16);
                        assert_eq!(length, end as u64);
                    }
                    crate::Error::BodyNotAuthentic => assert!(end >= 16),
                    other => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn no_byte_can_be_appended() {
    let object = seal_at_once(encryptor(1), &plaintext(40));
    for more in 1..33 {
        let longer = [object.as_slice(), &vec![0; more]].concat();
        for opened in openings(&longer) {
            let error = ours(opened);
            assert!(matches!(error, crate::Error::BodyNotAuthentic), "{error}");
        }
    }
}

#[test]
fn cbc_fails_in_one_way() {
    let open = |object: &[u8]| {
        let body = || Box::new(CbcBody::new(cbc_key()));
        let verified = verify_and_open(body(), object, &[9]);
        let opened = body().open_at_once(object.to_vec());
        let length = length_by_range(&CbcRanges::new(cbc_key()), object);
        let lengths = [
            opened.as_ref().ok().map(Vec::len),
            verified.as_ref().ok().map(Vec::len),
            length.as_ref().ok().map(|length| *length as usize),
        ];
        assert!(lengths.iter().all(|other| *other == lengths[0]));
        for error in [opened.err(), verified.err(), length.err()] {
            if let Some(error) = error {
                assert!(matches!(ours::<()>(Err(error)), crate::Error::CbcNotValid));
            }
        }
        lengths[0].is_some()
    };
    let object = seal_cbc(&plaintext(40));
    for end in (0..object.len()).filter(|end| *end == 0 || end % 16 != 0) {
        assert!(!open(&object[..end]), "{end}");
    }
    // A last block of another object decrypts to no padding but by chance.
    let mut refused = 0;
    for byte in 0..=255 {
        let mut object = object.clone();
        object[32] ^= byte;
        refused += usize::from(!open(&object));
    }
    assert!(refused > 240, "{refused}");
}

#[test]
fn ranges_must_lie_inside() {
    let gcm = GcmRanges::new(key());
    let cbc = CbcRanges::new(cbc_key());
    let ranges: [(&dyn Ranges, u64, u64); 2] = [(&gcm, 56, 40), (&cbc, 48, 47)];
    for (ranges, object_length, end) in ranges {
        assert!(ranges.open(end..end, object_length).is_ok());
        #[allow(clippy::reversed_empty_ranges, reason = "it must be refused")]
        for range in [
            0..end + 1,
            end + 1..end + 1,
            3..2,
            0..u64::MAX,
            u64::MAX..u64::MAX,
        ] {
            let error = ranges.open(range.clone(), object_length).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::RangeOutOfBounds { start, end: found, length }
                        if start == range.start && found == range.end && length == end
                ),
                "{error}"
            );
        }
    }
}

#[test]
fn objects_too_short_have_no_ranges() {
    let gcm = GcmRanges::new(key());
    let error = ours(gcm.open(0..0, 15));
    assert!(matches!(error, crate::Error::BodyTruncated { length: 15 }));
    let error = ours(gcm.plaintext_length(15, &[]));
    assert!(matches!(error, crate::Error::BodyTruncated { length: 15 }));
    let error = ours(gcm.plaintext_length(MAXIMUM_PLAINTEXT + 17, &[]));
    assert!(matches!(error, crate::Error::BodyNotAuthentic));
    for length in [0, 15, 17] {
        let cbc = CbcRanges::new(cbc_key());
        let error = ours(cbc.open(0..0, length));
        assert!(matches!(error, crate::Error::CbcNotValid), "{error}");
    }
    // Fewer bytes than were asked for.
    let error = ours(CbcRanges::new(cbc_key()).plaintext_length(48, &[0; 16]));
    assert!(matches!(error, crate::Error::CbcNotValid), "{error}");
}

#[test]
fn a_range_takes_no_fewer_and_no_more_bytes_than_planned() {
    let plaintext = plaintext(100);
    let objects: [(Vec<u8>, Box<dyn Ranges>); 2] = [
        (
            seal_at_once(encryptor(1), &plaintext),
            Box::new(GcmRanges::new(key())),
        ),
        (seal_cbc(&plaintext), Box::new(CbcRanges::new(cbc_key()))),
    ];
    for (object, ranges) in objects {
        let open = || ranges.open(37..70, object.len() as u64).unwrap();
        let stored = open().stored;
        let bytes = &object[stored.start as usize..stored.end as usize];
        let error = ours(run(open().transform, &bytes[..bytes.len() - 16], &[9]));
        let received = bytes.len() as u64 - 16;
        assert!(
            matches!(error, crate::Error::BodyTruncated { length } if length == received),
            "{error}"
        );
        let longer = [bytes, &[0; 16]].concat();
        let mut transform = open().transform;
        let mut output = OutputBuffer::new();
        let error = transform.update(&longer, &mut output).unwrap_err();
        assert!(matches!(error, Error::TrailingBytes), "{error}");
        assert_spent(transform);
    }
}

fn assert_spent(mut transform: Box<dyn Transform + Send>) {
    let mut output = OutputBuffer::new();
    let error = transform.update(&[], &mut output).unwrap_err();
    assert!(matches!(error, Error::AlreadyFailed), "{error}");
    let error = transform.finish(&mut output).unwrap_err();
    assert!(matches!(error, Error::AlreadyFailed), "{error}");
    assert!(output.is_empty());
}

/// The last parts of the longest object: their counters are the highest that there are.
#[test]
fn the_end_of_the_longest_object_can_be_read() {
    let ranges = GcmRanges::new(key());
    let object_length = MAXIMUM_PLAINTEXT + 16;
    let read = |range: std::ops::Range<u64>| {
        let opened = ranges.open(range, object_length).unwrap();
        let length = (opened.stored.end - opened.stored.start) as usize;
        run(opened.transform, &vec![0; length], &[9]).unwrap()
    };
    let last = read(MAXIMUM_PLAINTEXT - 32..MAXIMUM_PLAINTEXT);
    for start in 1..=32_u64 {
        let part = read(MAXIMUM_PLAINTEXT - 32 + start..MAXIMUM_PLAINTEXT);
        assert_eq!(part, last[start as usize..]);
    }
}

#[test]
fn plaintext_beyond_the_limit_is_refused_before_it_is_sealed() {
    for at_once in [false, true] {
        let mut encryptor = encryptor(1);
        encryptor.length = MAXIMUM_PLAINTEXT - 5;
        let mut output = OutputBuffer::new();
        let result = match at_once {
            true => encryptor.finish_with(&[0; 6], &mut output),
            false => {
                encryptor.update(&[0; 5], &mut output).unwrap();
                output.clear();
                let result = encryptor.update(&[0; 1], &mut output);
                assert_spent(encryptor);
                result
            }
        };
        assert!(output.is_empty());
        let error = result.unwrap_err();
        assert_eq!(error.kind(), envelope::ErrorKind::InvalidRequest);
        let error = ours::<()>(Err(error));
        assert!(
            matches!(error, crate::Error::PlaintextTooLong { bound } if bound == (1 << 36) - 32),
            "{error}"
        );
    }
}

#[test]
fn an_object_beyond_the_limit_is_not_authentic() {
    let mut body = Box::new(GcmBody::new(key()));
    body.length = MAXIMUM_PLAINTEXT + 15;
    body.verify(&[0; 1]).unwrap();
    let error = ours(body.verify(&[0; 1]));
    assert!(matches!(error, crate::Error::BodyNotAuthentic), "{error}");
    let error = ours(body.verified());
    assert!(matches!(error, crate::Error::BodyNotAuthentic), "{error}");
}

#[test]
fn a_source_that_gives_zeros_is_refused() {
    assert!(matches!(nonzero([0; 12]), Err(Error::Randomness)));
    assert_eq!(nonzero([0, 1]).unwrap(), [0, 1]);
    let (a, b): ([u8; 28], [u8; 28]) = (random_nonzero().unwrap(), random_nonzero().unwrap());
    assert_ne!(a, b);
}

#[test]
fn keys_of_other_lengths_are_refused() {
    for length in [0, 15, 17, 31, 33, 64] {
        for error in [
            GcmKey::v2(&vec![7; length], &[1; 12]).unwrap_err(),
            CbcKey::new(&vec![7; length], &[1; 16]).unwrap_err(),
        ] {
            assert!(
                matches!(error, Error::KeyLength { length: found, .. } if found == length),
                "{error}"
            );
        }
    }
    let error = ours(CbcKey::new(&[7; 32], &[1; 12]));
    assert!(matches!(
        error,
        crate::Error::FieldLength {
            length: 12,
            needed: 16,
            ..
        }
    ));
}

#[test]
fn keys_are_not_printed() {
    let ranges = (GcmRanges::new(key()), CbcRanges::new(cbc_key()));
    assert_eq!(
        format!("{ranges:?}"),
        "(GcmRanges(GcmKey(redacted)), CbcRanges(CbcKey(redacted)))"
    );
}
