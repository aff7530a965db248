//! An object that changes while it is read is read in one version.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use envelope_store::{EncryptedStore, Framed};
use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, Result};
use support::{Spy, keyring, put_now};

/// Few frames in a long object, so that two ranges of it are too far apart to be fetched at once.
const FRAME: u32 = 300_000;
const LENGTH: usize = 3 << 20;

fn encrypted<S: ObjectStore>(inner: S) -> EncryptedStore<S> {
    EncryptedStore::builder(inner)
        .format(Framed::new().frame_length(FRAME))
        .build(keyring())
}

fn path() -> Path {
    Path::from("object")
}

fn ciphertext(plaintext: Vec<u8>) -> Vec<u8> {
    let inner = Arc::new(InMemory::new());
    let store = encrypted(Arc::clone(&inner));
    let read = async {
        store.put(&path(), plaintext.into()).await?;
        inner.get(&path()).await?.bytes().await
    };
    read.now_or_never().unwrap().unwrap().to_vec()
}

/// What the store holds in the end: other ciphertext, or nothing.
type Version = Option<Vec<u8>>;

fn become_version(inner: &InMemory, version: &Version) {
    match version {
        Some(ciphertext) => put_now(inner, &path(), ciphertext.clone()),
        None => inner.delete(&path()).now_or_never().unwrap().unwrap(),
    }
}

/// All that a read tells its caller: the bytes, or what is wrong.
type Told = Result<Vec<u8>, String>;

#[derive(Debug, Clone, Copy)]
enum Read {
    Whole,
    Head,
    Range(u64, u64),
    Offset(u64),
    Suffix(u64),
    Ranges,
}

const READS: [Read; 7] = [
    Read::Whole,
    Read::Head,
    Read::Range(0, 10),
    Read::Range(299_990, 900_010),
    Read::Offset(3_000_000),
    Read::Suffix(70),
    Read::Ranges,
];

impl Read {
    async fn try_run<S: ObjectStore>(self, store: &EncryptedStore<S>) -> Result<Vec<u8>> {
        let range = match self {
            Self::Whole => None,
            Self::Head => {
                let size = store.head(&path()).await?.size;
                return Ok(size.to_be_bytes().to_vec());
            }
            Self::Range(start, end) => Some(GetRange::Bounded(start..end)),
            Self::Offset(start) => Some(GetRange::Offset(start)),
            Self::Suffix(length) => Some(GetRange::Suffix(length)),
            Self::Ranges => {
                let ranges = [5..15, 1_500_000..1_500_010, 3_000_000..3_000_010];
                return Ok(store.get_ranges(&path(), &ranges).await?.concat());
            }
        };
        let options = GetOptions::new().with_range(range);
        let result = store.get_opts(&path(), options).await?;
        Ok(result.bytes().await?.to_vec())
    }

    fn run<S: ObjectStore>(self, store: &EncryptedStore<S>) -> Told {
        let told = self.try_run(store).now_or_never().unwrap();
        told.map_err(|error| error.to_string())
    }
}

/// Reads `old`, which becomes `new` before request `at` of the read. Returns what was told, and how
/// many requests there were.
fn read_while(read: Read, is_warm: bool, at: usize, old: &[u8], new: &Version) -> (Told, usize) {
    let is_reading = Arc::new(AtomicBool::new(false));
    let inner = Arc::new(InMemory::new());
    put_now(&inner, &path(), old.to_vec());
    let (begun, new) = (Arc::clone(&is_reading), new.clone());
    let spy = Spy::over(inner).before_get(move |inner, count| {
        if begun.load(Ordering::Relaxed) && count == at {
            become_version(inner, &new);
        }
    });
    let log = Arc::clone(&spy.log);
    let store = encrypted(spy);
    if is_warm {
        Read::Range(0, 1).run(&store).unwrap();
    }
    // Counts from here on.
    log.take();
    is_reading.store(true, Ordering::Relaxed);
    let told = read.run(&store);
    (told, log.take().0)
}

#[test]
fn a_read_sees_one_version_whenever_another_comes() {
    let old = ciphertext(vec![1; LENGTH]);
    let versions: [Version; 5] = [
        Some(ciphertext(vec![2; LENGTH])),
        Some(ciphertext(vec![2; LENGTH + 1_000_000])),
        Some(ciphertext(vec![2; 1000])),
        Some(ciphertext(Vec::new())),
        None,
    ];
    for new in &versions {
        for read in READS {
            let untouched = |version: &Version| {
                let inner = InMemory::new();
                put_now(&inner, &path(), old.clone());
                become_version(&inner, version);
                read.run(&encrypted(inner))
            };
            let (if_old, if_new) = (untouched(&Some(old.clone())), untouched(new));
            for is_warm in [false, true] {
                // Undisturbed it takes this many requests.
                let (_, usual) = read_while(read, is_warm, usize::MAX, &old, new);
                for at in 0..=usual {
                    let (told, _) = read_while(read, is_warm, at, &old, new);
                    // The request finds another version, and the read begins again.
                    let expected = if at < usual { &if_new } else { &if_old };
                    assert!(
                        told == *expected,
                        "{read:?}, warm: {is_warm}, before request {at} of {usual}: {:?}",
                        told.map(|bytes| bytes.len())
                    );
                }
            }
        }
    }
}
