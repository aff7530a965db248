//! No heap block is given back with a data key of KMS still in it.
//!
//! As in `envelope`'s test of this name, an allocator looks through every block just before it is
//! freed. Data keys are random here, so the one to look for is set while the test runs: as soon as the
//! keyring returns it. What the SDK does with it is looked at for a key that is known already. The KMS in
//! memory takes the place of the HTTP stack, whose buffers are out of sight.
#![allow(unsafe_code, reason = "a global allocator is unsafe to write")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    CacheLimits, CachingManager, DataKey, EncryptedDataKey, EncryptionContext, Keyring,
    MaterialsCache, encrypt,
};
use envelope_aws_kms::Strict;
use envelope_aws_kms::test_util::InMemoryKms;
use support::{UNSIGNED, context, opens, sealing, strict, symmetric};

/// The key that is looked for, and its base64 but for the last letters, which depend on what follows.
static SECRET: [AtomicU8; 32] = [const { AtomicU8::new(0) }; 32];
static TEXT: [AtomicU8; 40] = [const { AtomicU8::new(0) }; 40];
static WATCHING: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);
static FOUND_TEXT: AtomicUsize = AtomicUsize::new(0);

struct Scanning;

/// How often the secret stands in the block.
fn count(secret: &[AtomicU8], length: usize, byte: impl Fn(usize) -> u8) -> usize {
    (0..(length + 1).saturating_sub(secret.len()))
        .filter(|start| {
            let mut wanted = secret.iter().enumerate();
            wanted.all(|(index, wanted)| byte(start + index) == wanted.load(Ordering::Relaxed))
        })
        .count()
}

// SAFETY: all memory comes from and goes back to `System`, with the layout it was asked with.
// `realloc` is the trait's own, so blocks that move are freed through `dealloc` too.
unsafe impl GlobalAlloc for Scanning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WATCHING.load(Ordering::Relaxed) {
            // SAFETY: `block` is `layout.size()` bytes long and still ours.
            let byte = |index: usize| unsafe { block.add(index).read_volatile() };
            FOUND.fetch_add(count(&SECRET, layout.size(), byte), Ordering::Relaxed);
            FOUND_TEXT.fetch_add(count(&TEXT, layout.size(), byte), Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the same promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Scanning = Scanning;

/// Looks for this key from now on.
fn watch(data_key: &DataKey) {
    for (place, byte) in SECRET.iter().zip(data_key.expose()) {
        place.store(*byte, Ordering::Relaxed);
    }
    let mut text = [0; 44];
    let length = STANDARD.encode_slice(data_key.expose(), &mut text);
    assert_eq!(length, Ok(44));
    for (place, byte) in TEXT.iter().zip(text) {
        place.store(byte, Ordering::Relaxed);
    }
    FOUND.store(0, Ordering::Relaxed);
    FOUND_TEXT.store(0, Ordering::Relaxed);
    WATCHING.store(true, Ordering::Relaxed);
}

/// How often the key was found in freed memory, and its base64, since it is looked for.
fn found() -> (usize, usize) {
    WATCHING.store(false, Ordering::Relaxed);
    let load = |found: &AtomicUsize| found.load(Ordering::Relaxed);
    (load(&FOUND), load(&FOUND_TEXT))
}

/// Watches the first data key that it gets.
#[derive(Debug)]
struct Watched(Strict);

fn watch_first(data_key: &DataKey) {
    if !WATCHING.load(Ordering::Relaxed) {
        watch(data_key);
    }
}

#[async_trait]
impl Keyring for Watched {
    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let generated = self.0.generate_key(request).await?;
        watch_first(&generated.0);
        Ok(generated)
    }

    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        self.0.wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let unwrapped = self.0.unwrap_key(keys, request).await?;
        watch_first(&unwrapped.data_key);
        Ok(unwrapped)
    }
}

/// How a kept data key ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Evicted,
    Expired,
    Cleared,
    Dropped,
}

/// Uses a data key of KMS over a cache of four until it ends in this way.
async fn cached_until(end: End, reading: bool) {
    WATCHING.store(false, Ordering::Relaxed);
    let kms = InMemoryKms::new();
    let keyring = strict(&kms, &symmetric(&kms));
    let options = sealing(UNSIGNED);
    let message = encrypt(&keyring, b"hello", &options).await.unwrap();
    let mut others = Vec::new();
    for number in 0..10 {
        let other = EncryptionContext::new([("number", number.to_string())]).unwrap();
        let other = sealing(UNSIGNED).with_context(other);
        let message = encrypt(&keyring, b"hello", &other).await.unwrap();
        others.push((other, message));
    }

    let seconds = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&seconds);
    let clock = move || Duration::from_secs(now.load(Ordering::Relaxed));
    let cache = MaterialsCache::with_clock(4, clock).unwrap();
    let limits = CacheLimits::new(Duration::from_secs(60));
    let manager = CachingManager::new(Watched(keyring), cache.clone(), limits).unwrap();
    let calls = kms.total_calls();
    for _ in 0..3 {
        match reading {
            true => opens(&manager, &message).await,
            false => drop(encrypt(&manager, b"hello", &options).await.unwrap()),
        }
    }
    assert_eq!(kms.total_calls(), calls + 1);
    assert_eq!(cache.len(), 1);
    match end {
        End::Evicted => {
            // The cache holds on to what it had first, until others come back again and again.
            for (other, message) in others.windows(2).flat_map(|pair| [pair; 3].concat()) {
                match reading {
                    true => opens(&manager, &message).await,
                    false => drop(encrypt(&manager, b"hello", &other).await.unwrap()),
                }
            }
        }
        End::Expired => {
            seconds.store(60, Ordering::Relaxed);
            // A fetch of the other direction drops what is too old.
            match reading {
                true => drop(encrypt(&manager, b"hello", &options).await.unwrap()),
                false => opens(&manager, &message).await,
            }
        }
        End::Cleared => cache.clear(),
        End::Dropped => {
            drop(manager);
            drop(cache);
            assert_eq!(found(), (0, 0), "{end:?}, reading: {reading}");
            return;
        }
    }
    assert_eq!(found(), (0, 0), "{end:?}, reading: {reading}");
    // It is gone indeed: using it again is another call.
    let calls = kms.total_calls();
    match reading {
        true => opens(&manager, &message).await,
        false => drop(encrypt(&manager, b"hello", &options).await.unwrap()),
    }
    assert_eq!(kms.total_calls(), calls + 1, "{end:?}, reading: {reading}");
}

/// One test alone, because all threads share the counters.
#[test]
fn freed_memory_holds_no_data_key_of_kms() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    runtime.block_on(async {
        for end in [End::Evicted, End::Expired, End::Cleared, End::Dropped] {
            cached_until(end, false).await;
            cached_until(end, true).await;
        }

        let kms = InMemoryKms::new();
        let keyring = strict(&kms, &symmetric(&kms));
        let (suite, context) = (UNSIGNED, &context());
        let request = KeyRequest { suite, context };
        let (data_key, keys) = keyring.generate_key(request).await.unwrap();
        // Neither KMS in memory nor the SDK keeps what an answer held.
        watch(&data_key);
        drop(keyring.unwrap_key(&keys, request).await.unwrap());
        assert_eq!(found(), (0, 0), "Decrypt");
        // The SDK does keep what a request held, and the README says so.
        watch(&data_key);
        drop(keyring.wrap_key(&data_key, request).await.unwrap());
        let (plain, text) = found();
        assert!(plain > 0 && text > 0, "the SDK wipes requests now; say so");

        // The scan sees what is not wiped.
        watch(&data_key);
        drop(black_box(data_key.expose().to_vec()));
        drop(black_box(STANDARD.encode(data_key.expose())));
        assert_eq!(found(), (1, 1));
    });
}
