//! What objects of an encrypted store cost: calls of KMS and DynamoDB for puts and gets, uploads of
//! unknown length and bound paths, by the kind of keys.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::ops::Range;
use std::time::Duration;

use envelope::{CacheLimits, CachingManager, MaterialsCache, MaterialsManager};
use envelope_store::EncryptedStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use support::branch_keys::{Clock, ID, Services, keyring_of, started};
use support::strict;

const OBJECTS: u64 = 10_000;
const FEW: u64 = 7;
const PLAINTEXT: &[u8] = b"hello";
const AGE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
enum Keys {
    Strict,
    Cached,
    Branch,
}

impl Keys {
    fn manager(self, services: &Services) -> Box<dyn MaterialsManager> {
        match self {
            Self::Strict => Box::new(strict(&services.kms, &services.key)),
            Self::Cached => Box::new(cached(services, CacheLimits::new(AGE))),
            Self::Branch => Box::new(keyring_of(services.store(), ID).0),
        }
    }
}

/// Calls to make data keys, to unwrap keys, and to read branch keys.
#[derive(Debug, PartialEq, Eq)]
struct Calls {
    generate_data_key: u64,
    decrypt: u64,
    get_item: u64,
}

/// A data key for each of these many objects and readers.
fn data_keys(number: u64) -> Calls {
    Calls {
        generate_data_key: number,
        decrypt: number,
        get_item: 0,
    }
}

/// These many branch keys.
fn branch_keys(number: u64) -> Calls {
    Calls {
        generate_data_key: 0,
        decrypt: number,
        get_item: number,
    }
}

/// The calls that the work causes. There are no others than those that are counted.
async fn calls(services: &Services, work: impl Future<Output = ()>) -> Calls {
    let now = || {
        let (kms, dynamo_db) = (&services.kms, &services.dynamo_db);
        let named = ["GenerateDataKey", "Decrypt"].map(|operation| kms.calls(operation));
        let totals = kms.total_calls() + dynamo_db.total_calls();
        [named[0], named[1], dynamo_db.calls("GetItem"), totals]
    };
    let before = now();
    work.await;
    let after = now();
    let [generate_data_key, decrypt, get_item, total] =
        std::array::from_fn(|index| after[index] - before[index]);
    assert_eq!(generate_data_key + decrypt + get_item, total);
    Calls {
        generate_data_key,
        decrypt,
        get_item,
    }
}

fn cached(services: &Services, limits: CacheLimits) -> CachingManager {
    let keyring = strict(&services.kms, &services.key);
    // Time stands still, however long the test takes.
    let cache = MaterialsCache::with_clock(100, || Duration::ZERO).unwrap();
    CachingManager::new(keyring, cache, limits).unwrap()
}

fn store(manager: impl MaterialsManager + 'static) -> EncryptedStore<InMemory> {
    EncryptedStore::builder(InMemory::new()).build(manager)
}

fn path(number: u64) -> Path {
    Path::from(format!("objects/{number}"))
}

async fn reads(store: &EncryptedStore<InMemory>, path: &Path) {
    let read = store.get(path).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, PLAINTEXT);
}

async fn put_and_get(store: &EncryptedStore<InMemory>, numbers: Range<u64>) {
    for number in numbers {
        let path = path(number);
        store.put(&path, PLAINTEXT.into()).await.unwrap();
        reads(store, &path).await;
    }
}

async fn upload_and_get(store: &EncryptedStore<InMemory>, numbers: Range<u64>) {
    for number in numbers {
        let path = path(number);
        let mut upload = store.put_multipart(&path).await.unwrap();
        for part in PLAINTEXT.chunks(3) {
            let part = PutPayload::from(part.to_vec());
            upload.put_part(part).await.unwrap();
        }
        upload.complete().await.unwrap();
        reads(store, &path).await;
    }
}

#[tokio::test]
async fn ten_thousand_with_a_strict_keyring_take_a_data_key_each() {
    let services = Services::start().await;
    let store = store(Keys::Strict.manager(&services));
    let counted = calls(&services, put_and_get(&store, 0..OBJECTS)).await;
    assert_eq!(counted, data_keys(OBJECTS));
}

#[tokio::test]
async fn ten_thousand_with_cached_data_keys_take_one_for_each_limit() {
    let services = Services::start().await;
    let all = store(Keys::Cached.manager(&services));
    let counted = calls(&services, put_and_get(&all, 0..OBJECTS)).await;
    assert_eq!(counted, data_keys(1));

    let limits = CacheLimits::new(AGE).with_messages(1000);
    let by_messages = store(cached(&services, limits));
    let counted = calls(&services, put_and_get(&by_messages, 0..OBJECTS)).await;
    assert_eq!(counted, data_keys(10));
}

#[tokio::test]
async fn ten_thousand_with_branch_keys_take_two_for_each_lifetime() {
    let (services, keyring, clock) = started().await;
    let store = store(keyring);
    // The active version, and the same by its name.
    let counted = calls(&services, put_and_get(&store, 0..OBJECTS)).await;
    assert_eq!(counted, branch_keys(2));
    // A thousand in each of ten lifetimes.
    let counted = calls(&services, lifetimes(&store, &clock)).await;
    assert_eq!(counted, branch_keys(20));
}

async fn lifetimes(store: &EncryptedStore<InMemory>, clock: &Clock) {
    for thousand in 0..10 {
        clock.set(600 * (1 + thousand));
        put_and_get(store, 1000 * thousand..1000 * (thousand + 1)).await;
    }
}

#[tokio::test]
async fn unknown_lengths_and_bound_paths_use_no_cached_data_key_again() {
    let (services, _, _) = started().await;
    for (keys, put, other) in [
        (Keys::Strict, data_keys(FEW), data_keys(FEW)),
        (Keys::Cached, data_keys(1), data_keys(FEW)),
        (Keys::Branch, branch_keys(2), branch_keys(2)),
    ] {
        let plain = store(keys.manager(&services));
        let counted = calls(&services, put_and_get(&plain, 0..FEW)).await;
        assert_eq!(counted, put, "{keys:?}");

        let uploads = store(keys.manager(&services));
        let counted = calls(&services, upload_and_get(&uploads, 0..FEW)).await;
        assert_eq!(counted, other, "{keys:?}, uploads");

        let bound = EncryptedStore::builder(InMemory::new()).bind_paths();
        let bound = bound.build(keys.manager(&services));
        let counted = calls(&services, put_and_get(&bound, 0..FEW)).await;
        assert_eq!(counted, other, "{keys:?}, bound paths");
    }
}
