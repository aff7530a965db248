//! Whatever goes wrong while an object is read, what was released verified, and the read ends in an
//! error that says why.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::ops::Range;
use std::sync::Arc;

use envelope_store::{EncryptedStore, ListedSizes};
use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetRange, ObjectStore, ObjectStoreExt, Result};
use support::fault_store::{Fault, FaultStore, Operation, Struck, When};
use support::put_now;
use support::readers::{
    FRAME, HEADER, NEW, OLD, Read, SEALED_FRAME, encrypted, envelope_error, faulty, holding,
    is_refused, listed, path, stored, struck,
};

/// A way to read a part of the old object.
#[derive(Debug, Clone)]
enum Way {
    /// And which bytes should come.
    Range(GetRange, Range<usize>),
    /// These first and last bytes, fetched at once.
    Ranges(Range<u64>, Range<u64>),
}

impl Way {
    /// Each with the bytes behind the header that it fetches.
    fn all() -> [(Self, Range<usize>); 5] {
        let length = OLD.len();
        // The final frame has 40 bytes beside its content.
        let end = 2 * SEALED_FRAME + 40 + length - 2 * FRAME as usize;
        [
            (
                Self::Range(GetRange::Bounded(3..20), 3..20),
                0..2 * SEALED_FRAME,
            ),
            (
                Self::Range(GetRange::Bounded(16..17), 16..17),
                SEALED_FRAME..2 * SEALED_FRAME,
            ),
            (
                Self::Range(GetRange::Suffix(2), length - 2..length),
                2 * SEALED_FRAME..end,
            ),
            (Self::Range(GetRange::Offset(0), 0..length), 0..end),
            (Self::Ranges(1..3, 34..36), 0..end),
        ]
    }

    fn expected(&self) -> Vec<u8> {
        match self {
            Self::Range(_, range) => OLD[range.clone()].to_vec(),
            Self::Ranges(first, last) => {
                let slice = |range: &Range<u64>| &OLD[range.start as usize..range.end as usize];
                [slice(first), slice(last)].concat()
            }
        }
    }

    fn read<S: ObjectStore>(&self, store: &EncryptedStore<S>) -> Read {
        match self {
            Self::Range(range, _) => Read::of(store, Some(range.clone())),
            Self::Ranges(first, last) => {
                let ranges = [first.clone(), last.clone()];
                let location = path();
                let read = store.get_ranges(&location, &ranges).now_or_never();
                let (released, end) = match read {
                    None => (Vec::new(), None),
                    Some(Err(error)) => (Vec::new(), Some(Err(error))),
                    Some(Ok(bytes)) => (bytes.concat(), Some(Ok(()))),
                };
                Read { released, end }
            }
        }
    }
}

/// Ends of a body before its last byte, in each of three ways.
fn early(at: usize) -> [Fault; 3] {
    [
        Fault::Cut(at),
        Fault::Fail(When::At(at)),
        Fault::Stall(When::At(at)),
    ]
}

const OUTSIDE: [Fault; 4] = [
    Fault::Fail(When::Before),
    Fault::Fail(When::After),
    Fault::Stall(When::Before),
    Fault::Stall(When::After),
];

#[test]
fn a_request_that_fails_or_stalls_is_a_read_that_does() {
    let inner = holding(&[(&path(), OLD)]);
    for fault in OUTSIDE {
        let (store, _) = faulty(&inner, Operation::Get, 0, fault);
        let read = Read::whole(&store);
        assert!(read.released.is_empty());
        read.assert_ended_by(fault);
        assert_eq!(Read::whole(&store).released, OLD);

        let (store, _) = faulty(&inner, Operation::Get, 0, fault);
        match store.head(&path()).now_or_never() {
            None => assert!(matches!(fault, Fault::Stall(_))),
            Some(head) => assert!(struck(&head.unwrap_err()).is_some()),
        }
        // The first two requests are of a cold read, the third is of a warm one.
        for (way, _) in Way::all() {
            for nth in 0..3 {
                let (store, faults) = faulty(&inner, Operation::Get, nth, fault);
                if nth == 2 {
                    assert_eq!(way.read(&store).released, way.expected());
                }
                let read = way.read(&store);
                assert!(faults.has_struck());
                assert!(read.released.is_empty());
                read.assert_ended_by(fault);
                assert_eq!(way.read(&store).released, way.expected());
            }
        }
    }
}

#[test]
fn a_whole_object_that_ends_early_releases_the_frames_before() {
    let inner = holding(&[(&path(), OLD)]);
    for at in 0..stored(&inner).len() {
        let frames = at.saturating_sub(HEADER) / SEALED_FRAME;
        for fault in early(at) {
            let (store, _) = faulty(&inner, Operation::Get, 0, fault);
            let read = Read::whole(&store);
            read.assert_ended_by(fault);
            let verified = &OLD[..frames * FRAME as usize];
            // A header is looked for each time twice as much has come, so it may be found too late.
            assert!(read.released.is_empty() || read.released == verified);
            if let Fault::Cut(_) = fault {
                assert_eq!(read.released, verified);
                let error = envelope_error(read.error());
                assert!(
                    matches!(error, envelope::Error::Truncated { offset, .. } if *offset == at as u64),
                    "{error} at {at}"
                );
            }
        }
    }
}

#[test]
fn a_range_whose_frames_end_early_is_not_read() {
    let inner = holding(&[(&path(), OLD)]);
    for (way, frames) in Way::all() {
        for at in 0..frames.len() {
            for fault in early(at) {
                for nth in [1, 2] {
                    let (store, faults) = faulty(&inner, Operation::Get, nth, fault);
                    if nth == 2 {
                        way.read(&store);
                    }
                    let read = way.read(&store);
                    assert!(faults.has_struck());
                    assert!(way.expected().starts_with(&read.released));
                    read.assert_ended_by(fault);
                    if let Fault::Cut(_) = fault {
                        let error = envelope_error(read.error());
                        assert!(matches!(error, envelope::Error::Truncated { .. }));
                    }
                    assert_eq!(way.read(&store).released, way.expected());
                }
            }
        }
    }
}

#[test]
fn a_header_that_ends_early_is_fetched_on_or_not_read() {
    let inner = holding(&[(&path(), OLD)]);
    for at in 0..HEADER {
        for fault in early(at) {
            let cut = matches!(fault, Fault::Cut(_));
            for (way, _) in Way::all() {
                let (store, _) = faulty(&inner, Operation::Get, 0, fault);
                let read = way.read(&store);
                match &read.end {
                    Some(Ok(())) if cut => assert_eq!(read.released, way.expected()),
                    _ => {
                        assert!(read.released.is_empty());
                        read.assert_ended_by(fault);
                    }
                }
                assert_eq!(way.read(&store).released, way.expected());
            }
            let (store, _) = faulty(&inner, Operation::Get, 0, fault);
            match store.head(&path()).now_or_never() {
                None => assert!(matches!(fault, Fault::Stall(_))),
                Some(Ok(meta)) => assert!(cut && meta.size == OLD.len() as u64),
                Some(Err(error)) if cut => assert!(is_refused(&error)),
                Some(Err(error)) => {
                    assert_eq!(struck(&error), Some(&Struck(Operation::Get)));
                }
            }
        }
    }
}

/// The header's field that holds the frame length; the key commitment and the tag follow it.
const FRAME_LENGTH_FIELD: Range<usize> = HEADER - 52..HEADER - 48;

#[test]
fn no_bit_of_a_stored_object_can_be_another() {
    let inner = holding(&[(&path(), OLD)]);
    let ciphertext = stored(&inner);
    for bit in 0..8 * ciphertext.len() {
        let at = bit / 8;
        let mut flipped = ciphertext.clone();
        flipped[at] ^= 1 << (bit % 8);
        put_now(&inner, &path(), flipped);
        let store = encrypted(Arc::clone(&inner), ListedSizes::Computed);

        let read = Read::whole(&store);
        assert!(is_refused(read.error()), "bit {bit}");
        let frames = at.saturating_sub(HEADER) / SEALED_FRAME;
        assert_eq!(read.released, OLD[..frames * FRAME as usize]);
        for (way, frames) in Way::all() {
            let read = way.read(&store);
            match at < HEADER || frames.contains(&(at - HEADER)) {
                true => assert!(is_refused(read.error()), "bit {bit}, {way:?}"),
                // Frames that the range does not need.
                false => assert_eq!(read.released, way.expected()),
            }
        }
        // A size is what the header claims, and only reading verifies it.
        match store.head(&path()).now_or_never().unwrap() {
            Ok(meta) if FRAME_LENGTH_FIELD.contains(&at) => assert!(meta.size > 0),
            Ok(meta) => assert_eq!(meta.size, OLD.len() as u64, "bit {bit}"),
            Err(error) => assert!(at < HEADER && is_refused(&error), "bit {bit}"),
        }
    }
}

#[test]
fn no_bit_can_be_another_on_the_way() {
    let inner = holding(&[(&path(), OLD)]);
    for (way, frames) in Way::all() {
        for bit in 0..8 * frames.len() {
            for nth in [1, 2] {
                let (store, faults) = faulty(&inner, Operation::Get, nth, Fault::Flip(bit));
                if nth == 2 {
                    way.read(&store);
                }
                let read = way.read(&store);
                assert!(faults.has_struck());
                assert!(way.expected().starts_with(&read.released));
                let error = envelope_error(read.error());
                assert!(
                    matches!(
                        error,
                        envelope::Error::FrameNotAuthentic { .. }
                            | envelope::Error::FrameOutOfOrder { .. }
                            | envelope::Error::FinalFrameTooLong { .. }
                            | envelope::Error::TrailingBytes
                            | envelope::Error::Truncated { .. }
                    ),
                    "{error} for bit {bit} of {way:?}"
                );
            }
        }
    }
}

#[test]
fn a_body_that_goes_on_in_another_version_is_refused() {
    let new = &NEW[..OLD.len()];
    let inner = holding(&[(&path(), OLD)]);
    let (old_text, new_text) = (stored(&inner), stored(&holding(&[(&path(), new)])));
    assert_eq!(old_text.len(), new_text.len());
    for at in 0..old_text.len() {
        let mixed = [&old_text[..at], &new_text[at..]].concat();
        if mixed == old_text || mixed == new_text {
            continue;
        }
        put_now(&inner, &path(), mixed);
        let store = encrypted(Arc::clone(&inner), ListedSizes::Computed);
        let read = Read::whole(&store);
        assert!(is_refused(read.error()), "at {at}");
        assert!(OLD.starts_with(&read.released));
        for (way, _) in Way::all() {
            let read = way.read(&store);
            match &read.end {
                Some(Ok(())) => assert_eq!(read.released, way.expected()),
                _ => {
                    assert!(is_refused(read.error()), "at {at}, {way:?}");
                    assert!(way.expected().starts_with(&read.released));
                }
            }
        }
    }
}

/// Three objects, of one byte and more.
fn three() -> (Arc<InMemory>, Vec<(Path, u64)>) {
    let locations = ["a", "b", "c"].map(Path::from);
    let objects: Vec<_> = locations.iter().zip([&OLD[..1], &OLD[..2], OLD]).collect();
    let sizes = objects.iter().map(|(location, bytes)| {
        let location: &Path = location;
        (location.clone(), bytes.len() as u64)
    });
    (holding(&objects), sizes.collect())
}

#[test]
fn a_listing_that_fails_or_stalls_does_not_end_well() {
    let (inner, sizes) = three();
    let end_is = |end: Option<Result<()>>, fault, on| match (fault, end) {
        (Fault::Stall(_), None) => {}
        (Fault::Fail(_), Some(Err(error))) => assert_eq!(struck(&error), Some(&Struck(on))),
        (_, end) => panic!("{end:?} after {fault:?}"),
    };
    let faults = [
        (Fault::Fail(When::Before), 0),
        (Fault::Fail(When::At(2)), 2),
        (Fault::Fail(When::After), 3),
        (Fault::Stall(When::At(1)), 1),
    ];
    for (fault, count) in faults {
        let (store, _) = faulty(&inner, Operation::List, 0, fault);
        let (names, end) = listed(store.list(None));
        assert_eq!(names, sizes[..count]);
        end_is(end, fault, Operation::List);
        let (store, _) = faulty(&inner, Operation::List, 0, fault);
        let (names, end) = listed(store.list_with_offset(None, &"a".into()));
        assert_eq!(names, sizes[1..count.max(1)]);
        end_is(end, fault, Operation::List);
    }
    for (fault, is_complete) in [
        (OUTSIDE[0], false),
        (OUTSIDE[1], false),
        (OUTSIDE[2], false),
    ] {
        let (store, _) = faulty(&inner, Operation::List, 0, fault);
        let folder = store.list_with_delimiter(None).now_or_never();
        end_is(
            folder.map(|folder| folder.map(drop)),
            fault,
            Operation::List,
        );
        assert!(!is_complete);
    }
    // Sizes that are looked up one after the other.
    for fault in OUTSIDE {
        for nth in 0..3 {
            let faults = FaultStore::new(&inner, Operation::Get, nth, fault);
            let store = encrypted(faults, ListedSizes::LookedUp { concurrency: 1 });
            let (names, end) = listed(store.list(None));
            assert_eq!(names, sizes[..nth]);
            end_is(end, fault, Operation::Get);
        }
    }
}
