use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_kms::types::KeySpec;
use envelope::EncryptionContext;

use super::*;
use crate::branch_key_store::KmsConfiguration;
use crate::test_util::{InMemoryDynamoDb, InMemoryKms};

const REGION: &str = "eu-west-1";

/// A keyring with a cache of two, whose branch keys live for a minute, and its clock.
async fn started() -> (Hierarchical, Arc<AtomicU64>) {
    let kms = InMemoryKms::new();
    let key = kms.create_key(REGION, KeySpec::SymmetricDefault).unwrap();
    let dynamo_db = InMemoryDynamoDb::new().client(REGION);
    let configuration = KmsConfiguration::Key(key);
    let store = BranchKeyStore::new(dynamo_db, kms.client(REGION), "table", configuration);
    let store = store.unwrap();
    store.create_table().await.unwrap();
    let context = EncryptionContext::new([("department", "sales")]).unwrap();
    for id in ["a", "b", "c"] {
        store.create_key(Some(id), &context).await.unwrap();
    }
    let seconds = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&seconds);
    let supplier = BranchKeyIdSupplier::value_of("tenant");
    let keyring = Hierarchical::new(store, supplier, Duration::from_secs(60)).unwrap();
    let clock = move || Duration::from_secs(now.load(Ordering::Relaxed));
    let cache = BranchKeyCache::with_clock(2, clock).unwrap();
    (keyring.with_cache(cache), seconds)
}

/// Sees a branch key without keeping it alive. A `WrappingKey` inside is wiped when it goes.
async fn watched(keyring: &Hierarchical, id: &str) -> Weak<BranchKeyVersion> {
    let branch_key = keyring.branch_key(id, None).await.unwrap();
    Arc::downgrade(&branch_key)
}

fn is_alive(branch_key: &Weak<BranchKeyVersion>) -> bool {
    branch_key.strong_count() > 0
}

#[tokio::test]
async fn a_branch_key_is_gone_once_it_is_cleared() {
    let (keyring, _) = started().await;
    let branch_key = watched(&keyring, "a").await;
    assert!(is_alive(&branch_key));
    keyring.cache.clear();
    assert!(!is_alive(&branch_key));
}

#[tokio::test]
async fn a_branch_key_is_gone_once_it_is_evicted() {
    let (keyring, _) = started().await;
    let mut branch_keys = Vec::new();
    for id in ["a", "b", "c"] {
        branch_keys.push(watched(&keyring, id).await);
    }
    let alive = branch_keys.iter().filter(|branch_key| is_alive(branch_key));
    assert_eq!(alive.count(), 2);
}

#[tokio::test]
async fn a_branch_key_is_gone_once_its_lifetime_is_found_to_be_over() {
    let (keyring, seconds) = started().await;
    let branch_key = watched(&keyring, "a").await;
    seconds.store(59, Ordering::Relaxed);
    let other = watched(&keyring, "b").await;
    assert!(is_alive(&branch_key) && is_alive(&other));
    // Asking for any other looks at all.
    seconds.store(60, Ordering::Relaxed);
    watched(&keyring, "c").await;
    assert!(!is_alive(&branch_key));
    assert!(is_alive(&other));
    // Asking for the same replaces it.
    seconds.store(119, Ordering::Relaxed);
    let same = watched(&keyring, "b").await;
    assert!(!is_alive(&other) && is_alive(&same));
}

#[tokio::test]
async fn a_branch_key_is_gone_with_the_last_keyring_of_its_cache() {
    let (keyring, _) = started().await;
    let branch_key = watched(&keyring, "a").await;
    let cache = keyring.cache.clone();
    drop(keyring);
    assert!(is_alive(&branch_key));
    drop(cache);
    assert!(!is_alive(&branch_key));
}
