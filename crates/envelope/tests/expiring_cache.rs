//! Values that are fetched once and kept for a while.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envelope::{Error, ExpiringCache, Lifetime};
use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::{join, join_all};

const AGE: u64 = 60;
const GRACE: u64 = 10;

/// A cache, and the time that it is told.
struct Fixture {
    cache: ExpiringCache<&'static str, Arc<u64>, &'static str>,
    lifetime: Lifetime,
    seconds: AtomicU64,
    fetched: AtomicU64,
}

fn lifetime(age: u64) -> Lifetime {
    Lifetime::new(Duration::from_secs(age)).unwrap()
}

impl Fixture {
    fn new(lifetime: Lifetime) -> Self {
        Self {
            cache: ExpiringCache::new(2).unwrap(),
            lifetime,
            seconds: AtomicU64::new(1000),
            fetched: AtomicU64::new(0),
        }
    }

    fn with_grace() -> Self {
        Self::new(
            lifetime(AGE)
                .with_grace(Duration::from_secs(GRACE))
                .unwrap(),
        )
    }

    fn at(&self, seconds: u64) -> &Self {
        self.seconds.store(1000 + seconds, Ordering::Relaxed);
        self
    }

    async fn ask_with(
        &self,
        key: &'static str,
        lifetime: Lifetime,
        answer: impl Future<Output = Result<u64, &'static str>>,
    ) -> Result<u64, &'static str> {
        let clock = || Duration::from_secs(self.seconds.load(Ordering::Relaxed));
        let fetch = async {
            self.fetched.fetch_add(1, Ordering::Relaxed);
            let value = answer.await?;
            Ok((Some(Arc::new(value)), value))
        };
        let take = |value: &Arc<u64>| Some(**value);
        self.cache.value(&key, &clock, lifetime, take, fetch).await
    }

    async fn ask(
        &self,
        key: &'static str,
        answer: impl Future<Output = Result<u64, &'static str>>,
    ) -> Result<u64, &'static str> {
        self.ask_with(key, self.lifetime, answer).await
    }

    /// Asks for the one key, where the service answers this.
    fn now(&self, answer: Result<u64, &'static str>) -> Result<u64, &'static str> {
        block_on(self.ask("key", async move { answer }))
    }

    fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }
}

#[test]
fn a_value_is_used_until_its_age_and_not_beyond() {
    let fixture = Fixture::new(lifetime(AGE));
    assert_eq!(fixture.now(Ok(1)), Ok(1));
    assert_eq!(fixture.at(AGE - 1).now(Ok(2)), Ok(1));
    assert_eq!(fixture.at(AGE).now(Ok(3)), Ok(3));
    assert_eq!((fixture.cache.hits(), fixture.cache.misses()), (1, 2));
}

#[test]
fn a_clock_that_jumps_never_makes_a_value_last_longer() {
    let fixture = Fixture::new(lifetime(AGE));
    assert_eq!(fixture.at(500).now(Ok(1)), Ok(1));
    assert_eq!(fixture.at(499).now(Ok(2)), Ok(2));
    assert_eq!(fixture.at(1_000_000).now(Ok(3)), Ok(3));
    assert_eq!(fixture.fetched(), 3);
}

#[test]
fn the_shorter_of_two_lifetimes_counts() {
    let fixture = Fixture::new(lifetime(AGE));
    let ask = |seconds, age, answer| {
        fixture.at(seconds);
        block_on(fixture.ask_with("key", lifetime(age), async move { Ok(answer) }))
    };
    assert_eq!(ask(0, 60, 1), Ok(1));
    // Whoever asks wants it younger than it is.
    assert_eq!(ask(30, 30, 2), Ok(2));
    // Whoever fetched it wanted it gone by now.
    assert_eq!(ask(60, 600, 3), Ok(3));
}

#[test]
fn all_who_wait_get_what_one_fetch_gives() {
    for answer in [Ok(7), Err("the service is down")] {
        let fixture = Fixture::new(lifetime(AGE));
        let (send, receive) = oneshot::channel();
        let first = fixture.ask("key", async { receive.await.unwrap() });
        let others = (0..1000).map(|_| fixture.ask("key", async { panic!("a second fetch") }));
        let release = async { send.send(answer).unwrap() };
        let (first, (others, ())) = block_on(join(first, join(join_all(others), release)));
        assert_eq!(first, answer);
        assert!(others.iter().all(|other| *other == answer));
        assert_eq!(fixture.fetched(), 1);
    }
}

#[test]
fn a_failure_is_not_kept_and_takes_no_place() {
    let fixture = Fixture::new(lifetime(AGE));
    for key in ["one", "two"] {
        assert_eq!(block_on(fixture.ask(key, async { Ok(1) })), Ok(1));
    }
    for _ in 0..10 {
        assert_eq!(fixture.now(Err("down")), Err("down"));
    }
    assert_eq!(fixture.cache.len(), 2);
    for key in ["one", "two"] {
        assert_eq!(block_on(fixture.ask(key, async { Ok(2) })), Ok(1));
    }
    assert_eq!(fixture.now(Ok(3)), Ok(3));
}

#[test]
fn in_grace_one_renews_and_the_others_go_on() {
    let fixture = Fixture::with_grace();
    assert_eq!(fixture.now(Ok(1)), Ok(1));
    assert_eq!(fixture.at(AGE - GRACE - 1).now(Ok(2)), Ok(1));
    fixture.at(AGE - GRACE);
    let (send, receive) = oneshot::channel();
    let renewing = fixture.ask("key", async { receive.await.unwrap() });
    let others = (0..1000).map(|_| fixture.ask("key", async { panic!("a second renewal") }));
    let others = async {
        let found = join_all(others).await;
        send.send(Ok(3)).unwrap();
        found
    };
    let (renewed, others) = block_on(join(renewing, others));
    assert_eq!(renewed, Ok(3));
    assert!(others.iter().all(|other| *other == Ok(1)));
    // The new value has a whole lifetime.
    assert_eq!(fixture.at(2 * AGE - 2 * GRACE - 1).now(Ok(4)), Ok(3));
    assert_eq!(fixture.fetched(), 2);
}

#[test]
fn a_failed_renewal_is_tried_again_each_second_and_stops_nobody() {
    let fixture = Fixture::with_grace();
    assert_eq!(fixture.now(Ok(1)), Ok(1));
    for seconds in AGE - GRACE..AGE {
        for _ in 0..100 {
            assert_eq!(fixture.at(seconds).now(Err("down")), Ok(1));
        }
    }
    assert_eq!(fixture.fetched(), 1 + GRACE);
    assert_eq!(fixture.at(AGE).now(Err("down")), Err("down"));
}

#[test]
fn a_renewal_that_is_given_up_leaves_the_value() {
    let fixture = Fixture::with_grace();
    assert_eq!(fixture.now(Ok(1)), Ok(1));
    fixture.at(AGE - GRACE);
    let never = fixture.ask("key", std::future::pending());
    assert!(futures::FutureExt::now_or_never(never).is_none());
    assert_eq!(fixture.now(Ok(2)), Ok(1));
    assert_eq!(fixture.at(AGE - GRACE + 1).now(Ok(2)), Ok(2));
}

#[test]
fn a_fetch_that_is_given_up_is_left_to_the_next() {
    let fixture = Fixture::new(lifetime(AGE));
    let never = fixture.ask("key", std::future::pending());
    assert!(futures::FutureExt::now_or_never(never).is_none());
    assert_eq!(fixture.now(Ok(1)), Ok(1));
}

#[test]
fn what_may_not_be_kept_is_fetched_each_time() {
    let cache = ExpiringCache::<_, u64, Error>::new(1).unwrap();
    let fetched = Cell::new(0);
    for _ in 0..3 {
        let fetch = async {
            fetched.set(fetched.get() + 1);
            Ok((None, 5))
        };
        let clock = || Duration::ZERO;
        let value = cache.value(&"key", &clock, lifetime(AGE), |value| Some(*value), fetch);
        assert_eq!(block_on(value).unwrap(), 5);
    }
    assert_eq!((fetched.get(), cache.is_empty()), (3, true));
}

#[test]
fn values_are_dropped_when_they_are_evicted_cleared_replaced_or_too_old() {
    let cache = ExpiringCache::<u32, Arc<()>, Error>::new(1).unwrap();
    let value = Arc::new(());
    let ask = |key: u32, seconds| {
        let clock = move || Duration::from_secs(seconds);
        let fetch = async { Ok((Some(Arc::clone(&value)), ())) };
        block_on(cache.value(&key, &clock, lifetime(AGE), |_| Some(()), fetch)).unwrap();
    };
    ask(1, 0);
    assert_eq!(Arc::strong_count(&value), 2);
    ask(2, 0);
    assert_eq!(Arc::strong_count(&value), 2, "evicted");
    ask(2, AGE);
    assert_eq!(Arc::strong_count(&value), 2, "replaced");
    cache.drop_expired(Duration::from_secs(2 * AGE));
    assert_eq!(Arc::strong_count(&value), 1, "too old");
    ask(3, 0);
    cache.clear();
    assert_eq!((Arc::strong_count(&value), cache.len()), (1, 0), "cleared");
    ask(4, 0);
    drop(cache);
    assert_eq!(Arc::strong_count(&value), 1, "dropped");
}

#[test]
fn lifetimes_and_capacities_out_of_range_are_refused() {
    let fault = |error| match error {
        Error::InvalidOption { what, .. } => what,
        other => panic!("{other}"),
    };
    let none = Lifetime::new(Duration::ZERO).unwrap_err();
    assert_eq!(fault(none), "the cache's age limit");
    let grace = lifetime(1).with_grace(Duration::from_secs(1)).unwrap_err();
    assert_eq!(fault(grace), "the cache's grace period");
    let capacity = ExpiringCache::<u32, (), Error>::new(0).unwrap_err();
    assert_eq!(fault(capacity), "the cache's capacity");
}
