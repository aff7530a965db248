//! Whatever goes wrong in the inner store while it is written, readers find the old object or the
//! new one, or an error that says why; never a mixture.
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

use std::sync::Arc;

use envelope_store::{EncryptedStore, Error, ListedSizes};
use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload, Result};
use support::fault_store::{Fault, FaultStore, Operation, Struck, When};
use support::readers::{
    Found, NEW, OLD, PART, encrypted, faulty, found, holding, path, source_of, stored, struck,
};

/// Asserts that a write ended as the fault says.
fn assert_ended_by<T>(ended: Option<Result<T>>, on: Operation, fault: Fault) {
    match (fault, ended) {
        (Fault::Fail(_), Some(Err(error))) => assert_eq!(struck(&error), Some(&Struck(on))),
        (Fault::Stall(_), None) => {}
        (Fault::Cut(_) | Fault::Flip(_) | Fault::SendAgain, Some(Ok(_))) => {}
        _ => panic!("{on:?} did not end as {fault:?} says"),
    }
}

const AT_ONCE: [(Fault, bool); 4] = [
    (Fault::Fail(When::Before), false),
    (Fault::Fail(When::After), true),
    (Fault::Stall(When::Before), false),
    (Fault::Stall(When::After), true),
];

/// What was there before a write, and what readers find as long as it is not done.
fn beginnings() -> [(Arc<InMemory>, Found); 2] {
    [
        (holding(&[]), Found::Nothing),
        (holding(&[(&path(), OLD)]), Found::Old),
    ]
}

#[test]
fn a_put_that_fails_or_stalls_leaves_the_old_object_or_the_new_one() {
    for (fault, done) in AT_ONCE {
        for (inner, before) in beginnings() {
            let (store, _) = faulty(&inner, Operation::Put, 0, fault);
            let put = store.put(&path(), NEW.into()).now_or_never();
            assert_ended_by(put, Operation::Put, fault);
            let after = if done { Found::New } else { before };
            assert_eq!(found(&inner), after, "{fault:?}");
        }
    }
}

#[test]
fn what_a_store_writes_in_part_is_refused() {
    let length = stored(&holding(&[(&path(), NEW)])).len();
    for at in 0..=length {
        for fault in [
            Fault::Cut(at),
            Fault::Fail(When::At(at)),
            Fault::Stall(When::At(at)),
        ] {
            let inner = holding(&[(&path(), OLD)]);
            let (store, _) = faulty(&inner, Operation::Put, 0, fault);
            let put = store.put(&path(), NEW.into()).now_or_never();
            assert_ended_by(put, Operation::Put, fault);
            let whole = at == length;
            let after = if whole { Found::New } else { Found::Refused };
            assert_eq!(found(&inner), after, "{fault:?}");
        }
    }
}

/// Stops at the first error, and then drops the upload as it is.
async fn upload(store: &EncryptedStore<FaultStore>) -> Result<()> {
    let mut upload = store.put_multipart(&path()).await?;
    for piece in NEW.chunks(7) {
        upload.put_part(PutPayload::from_static(piece)).await?;
    }
    upload.complete().await.map(drop)
}

#[test]
fn an_upload_that_fails_or_stalls_anywhere_leaves_the_old_object_or_the_new_one() {
    let steps = [
        (Operation::StartUpload, 0),
        (Operation::PutPart, 0),
        (Operation::PutPart, 1),
        (Operation::PutPart, 2),
        (Operation::Complete, 0),
    ];
    for (operation, nth) in steps {
        for (fault, done) in AT_ONCE {
            for (inner, before) in beginnings() {
                let (store, faults) = faulty(&inner, operation, nth, fault);
                assert_ended_by(upload(&store).now_or_never(), operation, fault);
                assert!(faults.has_struck());
                let done = done && operation == Operation::Complete;
                let after = if done { Found::New } else { before };
                assert_eq!(found(&inner), after, "{operation:?} {nth}, {fault:?}");
            }
        }
    }
}

#[test]
fn parts_that_a_store_writes_in_part_are_refused() {
    let length = stored(&holding(&[(&path(), NEW)])).len();
    for nth in 0..3 {
        for at in 0..PART.min(length - nth * PART) {
            for fault in [Fault::Cut(at), Fault::Flip(8 * at + nth)] {
                let inner = holding(&[(&path(), OLD)]);
                let (store, faults) = faulty(&inner, Operation::PutPart, nth, fault);
                upload(&store).now_or_never().unwrap().unwrap();
                assert!(faults.has_struck());
                assert_eq!(found(&inner), Found::Refused, "part {nth}, {fault:?}");
            }
        }
    }
}

#[test]
fn an_upload_is_not_completed_without_a_part() {
    for nth in 0..2 {
        let inner = holding(&[(&path(), OLD)]);
        let fault = Fault::Fail(When::Before);
        let (store, _) = faulty(&inner, Operation::PutPart, nth, fault);
        let careless = async {
            let mut upload = store.put_multipart(&path()).await?;
            let mut failed = 0;
            for piece in NEW.chunks(1) {
                failed += usize::from(upload.put_part(piece.into()).await.is_err());
            }
            assert_eq!(failed, 1);
            upload.complete().await
        };
        let error = careless.now_or_never().unwrap().unwrap_err();
        assert!(matches!(
            source_of(&error),
            Some(Error::PartsMissing { location }) if *location == path()
        ));
        assert_eq!(found(&inner), Found::Old);
    }
}

#[test]
fn an_upload_that_is_dropped_or_aborted_leaves_nothing() {
    for (inner, before) in beginnings() {
        for pieces in 0..=NEW.len() {
            let drop_it = async {
                let store = encrypted(Arc::clone(&inner), ListedSizes::Computed);
                let mut upload = store.put_multipart(&path()).await?;
                let sent = NEW[..pieces].chunks(1);
                // Some of these parts are still on their way.
                let waiting: Vec<_> = sent.map(|piece| upload.put_part(piece.into())).collect();
                for (index, part) in waiting.into_iter().enumerate() {
                    if index % 2 == 0 {
                        part.await?;
                    }
                }
                Result::<()>::Ok(())
            };
            drop_it.now_or_never().unwrap().unwrap();
            assert_eq!(found(&inner), before);
        }
        for (fault, _) in AT_ONCE {
            let (store, _) = faulty(&inner, Operation::Abort, 0, fault);
            let abort = async {
                let mut upload = store.put_multipart(&path()).await?;
                upload.put_part(NEW.into()).await?;
                upload.abort().await
            };
            assert_ended_by(abort.now_or_never(), Operation::Abort, fault);
            assert_eq!(found(&inner), before, "{fault:?}");
        }
    }
}

#[test]
fn what_is_sent_again_is_the_same() {
    let inner = holding(&[(&path(), OLD)]);
    let (store, faults) = faulty(&inner, Operation::Put, 0, Fault::SendAgain);
    let put = store.put(&path(), NEW.into()).now_or_never();
    put.unwrap().unwrap();
    let sent = faults.sent();
    assert_eq!(sent, [stored(&inner), stored(&inner)]);
    assert_eq!(found(&inner), Found::New);

    for nth in 0..3 {
        let inner = holding(&[(&path(), OLD)]);
        let (store, faults) = faulty(&inner, Operation::PutPart, nth, Fault::SendAgain);
        let sending = async {
            let mut upload = store.put_multipart(&path()).await?;
            let pieces = NEW.chunks(1);
            let parts: Vec<_> = pieces.map(|piece| upload.put_part(piece.into())).collect();
            futures::future::try_join_all(parts).await?;
            upload.complete().await
        };
        sending.now_or_never().unwrap().unwrap();
        let sent = faults.sent();
        assert_eq!(sent.len(), 4, "three parts, one of them twice");
        let ciphertext = stored(&inner);
        let part = ciphertext.chunks(PART).nth(nth).unwrap();
        let times = sent.iter().filter(|bytes| *bytes == part).count();
        assert_eq!(times, 2, "part {nth}");
        assert_eq!(found(&inner), Found::New);
    }
}

#[test]
fn copies_renames_and_deletions_that_fail_leave_whole_objects() {
    let source = Path::from("source");
    for (fault, done) in AT_ONCE {
        let new = |is_done: bool| if is_done { Found::New } else { Found::Old };
        let moved = |inner: &Arc<InMemory>| {
            let get = inner.get(&source).now_or_never().unwrap();
            get.is_err()
        };

        let inner = holding(&[(&path(), OLD), (&source, NEW)]);
        let (store, _) = faulty(&inner, Operation::Copy, 0, fault);
        let copy = store.copy(&source, &path()).now_or_never();
        assert_ended_by(copy, Operation::Copy, fault);
        assert_eq!(found(&inner), new(done), "copy, {fault:?}");
        assert!(!moved(&inner));

        for step in [Operation::Copy, Operation::Delete] {
            let inner = holding(&[(&path(), OLD), (&source, NEW)]);
            let (store, _) = faulty(&inner, step, 0, fault);
            let rename = store.rename(&source, &path()).now_or_never();
            assert_ended_by(rename, step, fault);
            let deleting = step == Operation::Delete;
            assert_eq!(found(&inner), new(done || deleting), "rename, {fault:?}");
            assert_eq!(moved(&inner), deleting && done);
        }

        let inner = holding(&[(&path(), OLD)]);
        let (store, _) = faulty(&inner, Operation::Delete, 0, fault);
        let delete = store.delete(&path()).now_or_never();
        assert_ended_by(delete, Operation::Delete, fault);
        let after = if done { Found::Nothing } else { Found::Old };
        assert_eq!(found(&inner), after, "delete, {fault:?}");
    }
}
