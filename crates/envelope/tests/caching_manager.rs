//! Managers that use keys again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    AlgorithmSuite, CacheLimits, CachingManager, DataKey, EncryptOptions, EncryptedDataKey,
    EncryptionContext, Encryptor, Error, Keyring, MaterialsCache, MaterialsManager, OutputBuffer,
    RawAes, RequiredEncryptionContext, UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;
use futures::future::join_all;

const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

fn raw(name: &str) -> RawAes {
    let key = WrappingKey::from_bytes(&mut [7; 32]).unwrap();
    RawAes::new("acme", name, key).unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::new(pairs.iter().copied()).unwrap()
}

fn wrapped_key(message: &[u8]) -> Vec<u8> {
    let header = UnverifiedHeader::parse_whole(message, &support::opening()).unwrap();
    header.claims().encrypted_data_keys()[0]
        .ciphertext()
        .to_vec()
}

// Required context

/// Counts what is asked of it, and lets others in before it answers.
#[derive(Debug)]
struct Counting {
    inner: RawAes,
    generated: Arc<AtomicU64>,
    unwrapped: Arc<AtomicU64>,
}

/// Lets every other task run, though each that waits for this one polls it.
async fn pause() {
    let mut polls = 0;
    std::future::poll_fn(|context| {
        if polls == 100 {
            return std::task::Poll::Ready(());
        }
        polls += 1;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[async_trait]
impl Keyring for Counting {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        self.generated.fetch_add(1, Ordering::Relaxed);
        pause().await;
        if request.context.get("fails").is_some() {
            return Err(KeyringError::new("counting", "no answer"));
        }
        self.inner.wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        self.unwrapped.fetch_add(1, Ordering::Relaxed);
        pause().await;
        self.inner.unwrap_key(keys, request).await
    }
}

struct Cached {
    manager: CachingManager,
    cache: MaterialsCache,
    generated: Arc<AtomicU64>,
    unwrapped: Arc<AtomicU64>,
    seconds: Arc<AtomicU64>,
}

const AGE: u64 = 60;

fn limits() -> CacheLimits {
    CacheLimits::new(Duration::from_secs(AGE))
}

impl Cached {
    fn new(limits: CacheLimits) -> Self {
        Self::of_capacity(10, limits)
    }

    fn of_capacity(capacity: usize, limits: CacheLimits) -> Self {
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&seconds);
        let clock = move || Duration::from_secs(clock.load(Ordering::Relaxed));
        let cache = MaterialsCache::with_clock(capacity, clock).unwrap();
        Self {
            seconds,
            ..Self::in_cache(cache, limits)
        }
    }

    fn in_cache(cache: MaterialsCache, limits: CacheLimits) -> Self {
        let [generated, unwrapped] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let keyring = Counting {
            inner: raw("key"),
            generated: Arc::clone(&generated),
            unwrapped: Arc::clone(&unwrapped),
        };
        Self {
            manager: CachingManager::new(keyring, cache.clone(), limits).unwrap(),
            cache,
            generated,
            unwrapped,
            seconds: Arc::default(),
        }
    }

    fn seal(&self, options: &EncryptOptions) -> Vec<u8> {
        blocking::encrypt(&self.manager, b"text", options).unwrap()
    }

    fn open(&self, message: &[u8]) {
        let opened = blocking::decrypt(&self.manager, message, &support::opening()).unwrap();
        assert_eq!(opened.plaintext, b"text");
    }

    fn calls(&self) -> (u64, u64) {
        let calls = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (calls(&self.generated), calls(&self.unwrapped))
    }
}

/// Two managers with one cache and one partition.
fn sharing(first: CacheLimits, second: CacheLimits) -> [Cached; 2] {
    let cache = MaterialsCache::new(10).unwrap();
    [first, second].map(|limits| {
        let cached = Cached::in_cache(cache.clone(), limits);
        let manager = cached.manager.with_partition("shared");
        Cached { manager, ..cached }
    })
}

#[test]
fn keys_are_used_again_in_both_directions() {
    for suite in AlgorithmSuite::ALL
        .into_iter()
        .filter(|suite| suite.derives_key())
    {
        let cached = Cached::new(limits());
        let sealing = support::sealing(suite);
        let messages: Vec<_> = (0..3).map(|_| cached.seal(&sealing)).collect();
        assert_eq!(cached.calls(), (1, 0));
        // Three messages under one data key, and no two alike.
        let keys: BTreeSet<_> = messages
            .iter()
            .map(|message| wrapped_key(message))
            .collect();
        let distinct: BTreeSet<_> = messages.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (1, 3));
        for message in &messages {
            cached.open(message);
            cached.open(message);
        }
        assert_eq!(cached.calls(), (1, 1));
        assert_eq!((cached.cache.hits(), cached.cache.misses()), (2 + 5, 2));
        // Anybody without a cache opens them too.
        let opened = blocking::decrypt(&raw("key"), &messages[2], &support::opening()).unwrap();
        assert_eq!(opened.plaintext, b"text");
    }
}

#[test]
fn suites_without_derivation_are_never_cached() {
    for suite in AlgorithmSuite::ALL
        .into_iter()
        .filter(|suite| !suite.derives_key())
    {
        let cached = Cached::new(limits());
        for _ in 0..2 {
            let message = cached.seal(&support::sealing(suite));
            cached.open(&message);
            cached.open(&message);
        }
        assert_eq!(cached.calls(), (2, 4));
        assert!(cached.cache.is_empty());
    }
}

#[test]
fn the_context_the_suite_and_the_policy_tell_entries_apart() {
    let cached = Cached::new(limits());
    let other = context(&[("tenant", "other")]);
    for options in [
        EncryptOptions::default(),
        EncryptOptions::default().with_suite(UNSIGNED),
        EncryptOptions::default().with_context(other.clone()),
        support::sealing(AlgorithmSuite::AES_128_GCM_IV12_TAG16_HKDF_SHA256),
    ] {
        cached.seal(&options);
        cached.seal(&options);
    }
    assert_eq!(cached.calls().0, 4);
    // What another context asks for is not what is cached for this one.
    let message = cached.seal(&EncryptOptions::default().with_context(other.clone()));
    cached.open(&message);
    let expecting = support::opening().expect_context(context(&[("tenant", "acme")]));
    assert!(matches!(
        blocking::decrypt(&cached.manager, &message, &expecting),
        Err(Error::ContextMismatch { .. })
    ));
}

#[test]
fn an_entry_ends_at_each_of_its_limits() {
    let sealing = EncryptOptions::default();
    let count = |cached: &Cached, messages: u64| {
        (0..messages).for_each(|_| drop(cached.seal(&sealing)));
        cached.calls().0
    };
    assert_eq!(count(&Cached::new(limits().with_messages(3)), 7), 3);
    assert_eq!(count(&Cached::new(limits().with_messages(1)), 3), 3);
    // Four bytes each.
    assert_eq!(count(&Cached::new(limits().with_bytes(8)), 4), 2);
    assert_eq!(count(&Cached::new(limits().with_bytes(11)), 4), 2);
    let too_small = Cached::new(limits().with_bytes(3));
    assert_eq!(count(&too_small, 2), 2);
    assert!(too_small.cache.is_empty());

    let cached = Cached::new(limits());
    let message = cached.seal(&sealing);
    cached.open(&message);
    cached.seconds.store(AGE - 1, Ordering::Relaxed);
    cached.seal(&sealing);
    cached.open(&message);
    assert_eq!(cached.calls(), (1, 1));
    cached.seconds.store(AGE, Ordering::Relaxed);
    cached.seal(&sealing);
    cached.open(&message);
    assert_eq!(cached.calls(), (2, 2));
}

#[test]
fn what_is_too_old_is_dropped_with_the_next_fetch() {
    let cached = Cached::new(limits());
    for tenant in ["a", "b", "c"] {
        cached.seal(&EncryptOptions::default().with_context(context(&[("tenant", tenant)])));
    }
    assert_eq!(cached.cache.len(), 3);
    cached.seconds.store(AGE, Ordering::Relaxed);
    cached.seal(&EncryptOptions::default());
    assert_eq!(cached.cache.len(), 1);
    cached.cache.clear();
    assert!(cached.cache.is_empty());
}

#[test]
fn the_capacity_is_kept() {
    let cached = Cached::of_capacity(2, limits());
    for tenant in ["a", "b", "c", "d"] {
        cached.seal(&EncryptOptions::default().with_context(context(&[("tenant", tenant)])));
        assert!(cached.cache.len() <= 2);
    }
}

#[test]
fn many_tasks_share_one_flight() {
    let cached = Cached::new(limits().with_messages(64));
    let options = EncryptOptions::default();
    let encrypt = || envelope::encrypt(&cached.manager, b"text", &options);
    let messages = block_on(join_all((0..64).map(|_| encrypt())));
    let messages: Vec<_> = messages.into_iter().map(Result::unwrap).collect();
    assert_eq!(cached.calls(), (1, 0));
    let opening = support::opening();
    let decrypt = |message| envelope::decrypt(&cached.manager, message, &opening);
    for opened in block_on(join_all(messages.iter().map(|message| decrypt(message)))) {
        assert_eq!(opened.unwrap().plaintext, b"text");
    }
    assert_eq!(cached.calls(), (1, 1));
    // The limit holds among tasks that run at once.
    block_on(join_all((0..65).map(|_| encrypt())));
    assert_eq!(cached.calls().0, 3);
}

#[test]
fn a_failure_is_shared_by_those_who_wait_and_not_cached() {
    let cached = Cached::new(limits());
    let failing = EncryptOptions::default().with_context(context(&[("fails", "")]));
    let encrypt = || envelope::encrypt(&cached.manager, b"text", &failing);
    for result in block_on(join_all((0..4).map(|_| encrypt()))) {
        assert!(matches!(result, Err(Error::Keyring(_))));
    }
    assert_eq!(cached.calls().0, 1);
    assert!(cached.cache.is_empty());
    assert!(block_on(encrypt()).is_err());
    assert_eq!(cached.calls().0, 2);
}

#[test]
fn partitions_share_only_when_they_are_named_alike() {
    let cache = MaterialsCache::new(10).unwrap();
    let [first, second] = [(); 2].map(|()| Cached::in_cache(cache.clone(), limits()));
    for cached in [&first, &second] {
        cached.seal(&EncryptOptions::default());
        assert_eq!(cached.calls().0, 1);
    }
    let [third, fourth] = sharing(limits(), limits());
    third.seal(&EncryptOptions::default());
    fourth.seal(&EncryptOptions::default());
    assert_eq!((third.calls().0, fourth.calls().0), (1, 0));
}

#[test]
fn each_of_a_partition_keeps_to_its_own_limits_and_to_those_of_who_fetched() {
    // Four bytes each: three messages either way.
    for narrow in [limits().with_messages(3), limits().with_bytes(12)] {
        let wide = limits().with_messages(100).with_bytes(1000);
        let [wide, narrow] = sharing(wide, narrow);
        let options = EncryptOptions::default();
        let key = |cached: &Cached| wrapped_key(&cached.seal(&options));
        let fetched = || (wide.calls().0, narrow.calls().0);

        // Of a key of the wide one, the narrow one has what the wide one leaves of three messages.
        let first = key(&wide);
        assert_eq!([key(&wide), key(&narrow)], [first.clone(), first.clone()]);
        assert_eq!(key(&wide), first, "not beyond the limits of who asks");
        assert_eq!(fetched(), (1, 0));
        let second = key(&narrow);
        assert_ne!(second, first, "four messages were too many already");
        assert_eq!(fetched(), (1, 1));

        // A key of the narrow one ends for both of them after three.
        assert_eq!([key(&wide), key(&wide)], [second.clone(), second.clone()]);
        let third = key(&wide);
        assert_ne!(third, second);
        assert_eq!(fetched(), (2, 1));
        assert_eq!([key(&narrow), key(&narrow)], [third.clone(), third.clone()]);
        assert_ne!(key(&narrow), third);
        assert_eq!(fetched(), (2, 2));
    }
}

#[test]
fn a_flight_of_another_manager_stretches_no_limit() {
    for narrow in [limits().with_messages(3), limits().with_bytes(12)] {
        let [wide, narrow] = sharing(limits(), narrow);
        let options = EncryptOptions::default();
        // The wide one fetches, and all the others wait for that.
        let managers = iter::once(&wide.manager).chain(iter::repeat_n(&narrow.manager, 10));
        let encrypt = |manager| envelope::encrypt(manager, b"text", &options);
        let messages = block_on(join_all(managers.map(encrypt)));
        let mut keys: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for message in messages.into_iter().skip(1) {
            *keys.entry(wrapped_key(&message.unwrap())).or_default() += 1;
        }
        assert!(keys.into_values().all(|messages| messages <= 3));
        assert_eq!((wide.calls().0, narrow.calls().0), (1, 3));
    }
}

#[test]
fn unknown_lengths_are_not_cached() {
    let cached = Cached::new(limits());
    let options = EncryptOptions::default();
    for _ in 0..2 {
        let request = options.request().unwrap();
        let materials = block_on(cached.manager.encryption_materials(request)).unwrap();
        let mut output = OutputBuffer::new();
        let encryptor = Encryptor::new(materials, &options).unwrap();
        encryptor.finish(&mut output).unwrap();
    }
    assert_eq!(cached.calls().0, 2);
    assert!(cached.cache.is_empty());
}

#[test]
fn limits_of_zero_are_refused() {
    let build = |limits| CachingManager::new(raw("key"), MaterialsCache::new(1).unwrap(), limits);
    for limits in [
        CacheLimits::new(Duration::ZERO),
        limits().with_messages(0),
        limits().with_messages((1 << 32) + 1),
        limits().with_bytes(0),
        limits().with_bytes(1 << 63),
        limits().with_grace(Duration::from_secs(AGE)),
    ] {
        let error = build(limits).unwrap_err();
        assert!(
            matches!(error, Error::InvalidOption { what, .. } if what.starts_with("the cache's"))
        );
    }
    assert!(build(limits().with_messages(1 << 32).with_bytes((1 << 63) - 1)).is_ok());
    assert!(matches!(
        MaterialsCache::new(0),
        Err(Error::InvalidOption {
            what: "the cache's capacity",
            ..
        })
    ));
}

#[test]
fn a_cache_serves_required_contexts_too() {
    let cached = Cached::new(limits());
    let manager = RequiredEncryptionContext::new(cached.manager, ["secret"]).unwrap();
    let options = EncryptOptions::default().with_context(context(&[("secret", "1")]));
    for _ in 0..3 {
        let message = blocking::encrypt(&manager, b"text", &options).unwrap();
        let opening = support::opening().expect_context(context(&[("secret", "1")]));
        assert_eq!(
            blocking::decrypt(&manager, &message, &opening)
                .unwrap()
                .plaintext,
            b"text"
        );
    }
    assert_eq!((cached.cache.hits(), cached.cache.misses()), (4, 2));
}
