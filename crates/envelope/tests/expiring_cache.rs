//! Values that are fetched once and kept for a while.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envelope::{Error, ExpiringCache, Lifetime};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::{join, join_all, pending, ready};

const AGE: u64 = 60;
const GRACE: u64 = 10;

type Answer = Result<u64, &'static str>;

/// A cache, and the time that it is told.
struct Fixture {
    cache: ExpiringCache<&'static str, u64, &'static str>,
    lifetime: Lifetime,
    seconds: Arc<AtomicU64>,
    fetched: AtomicU64,
}

fn lifetime(age: u64) -> Lifetime {
    Lifetime::new(Duration::from_secs(age)).unwrap()
}

impl Fixture {
    fn new(lifetime: Lifetime) -> Self {
        let seconds = Arc::new(AtomicU64::new(1000));
        let clock = Arc::clone(&seconds);
        let clock = move || Duration::from_secs(clock.load(Ordering::Relaxed));
        Self {
            cache: ExpiringCache::with_clock(2, clock).unwrap(),
            lifetime,
            seconds,
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

    /// Asks, where the service gives `answer`, at once or later.
    async fn ask<F>(&self, key: &'static str, answer: F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.ask_with(key, self.lifetime, answer).await
    }

    async fn ask_with<F>(&self, key: &'static str, lifetime: Lifetime, answer: F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let answer = Cell::new(Some(answer));
        let fetch = || {
            self.fetched.fetch_add(1, Ordering::Relaxed);
            answer.take().unwrap()
        };
        let take = |value: &u64| Some(*value);
        self.cache.value(&key, lifetime, take, fetch).await
    }

    /// Asks for the one key, where the service does not answer yet.
    fn begin(&self) -> (oneshot::Sender<Answer>, impl Future<Output = Answer>) {
        let (send, receive) = oneshot::channel();
        let mut asking = Box::pin(self.ask("key", receive.map(Result::unwrap)));
        assert!((&mut asking).now_or_never().is_none());
        (send, asking)
    }

    /// Asks for the one key, where the service answers this.
    fn now(&self, answer: Answer) -> Answer {
        block_on(self.ask("key", ready(answer)))
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
        block_on(fixture.ask_with("key", lifetime(age), ready(Ok(answer))))
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
        let first = fixture.ask("key", receive.map(Result::unwrap));
        let others = (0..1000).map(|_| fixture.ask("key", pending()));
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
        assert_eq!(block_on(fixture.ask(key, ready(Ok(1)))), Ok(1));
    }
    for _ in 0..10 {
        assert_eq!(fixture.now(Err("down")), Err("down"));
    }
    assert_eq!(fixture.cache.len(), 2);
    for key in ["one", "two"] {
        assert_eq!(block_on(fixture.ask(key, ready(Ok(2)))), Ok(1));
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
    let renewing = fixture.ask("key", receive.map(Result::unwrap));
    let others = (0..1000).map(|_| fixture.ask("key", pending()));
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
    assert!(fixture.ask("key", pending()).now_or_never().is_none());
    assert_eq!(fixture.now(Ok(2)), Ok(1));
    assert_eq!(fixture.at(AGE - GRACE + 1).now(Ok(2)), Ok(2));
}

#[test]
fn a_fetch_that_is_given_up_is_left_to_the_next() {
    let fixture = Fixture::new(lifetime(AGE));
    assert!(fixture.ask("key", pending()).now_or_never().is_none());
    assert_eq!(fixture.now(Ok(1)), Ok(1));
}

#[test]
fn whoever_waits_drives_the_fetch() {
    let fixture = Fixture::new(lifetime(AGE));
    let (send, receive) = oneshot::channel();
    // Begun and then left alone, as by a stream that nobody polls.
    let mut first = Box::pin(fixture.ask("key", receive.map(Result::unwrap)));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(fixture.ask("key", pending()));
    assert!((&mut second).now_or_never().is_none());
    send.send(Ok(1)).unwrap();
    assert_eq!(block_on(second), Ok(1));
    assert_eq!(block_on(first), Ok(1));
    assert_eq!(fixture.fetched(), 1);
}

#[test]
fn a_slow_renewal_is_not_begun_twice_and_never_stretches_a_lifetime() {
    for (end, expected) in [(AGE - 1, Ok(1)), (AGE, Err("down"))] {
        let fixture = Fixture::with_grace();
        assert_eq!(fixture.now(Ok(1)), Ok(1));
        let (send, receive) = oneshot::channel();
        fixture.at(AGE - GRACE);
        let mut renewing = Box::pin(fixture.ask("key", receive.map(Result::unwrap)));
        assert!((&mut renewing).now_or_never().is_none());
        for seconds in AGE - GRACE..AGE {
            assert_eq!(fixture.at(seconds).now(Ok(2)), Ok(1));
        }
        assert_eq!(fixture.fetched(), 2);
        send.send(Err("down")).unwrap();
        fixture.at(end);
        assert_eq!(block_on(renewing), expected);
    }
}

#[test]
fn a_fetch_that_hangs_stops_nobody_who_comes_later() {
    let fixture = Fixture::with_grace();
    let (send, receive) = oneshot::channel();
    let mut hung = Box::pin(fixture.ask("key", receive.map(Result::unwrap)));
    assert!((&mut hung).now_or_never().is_none());
    let mut waiting = Box::pin(fixture.at(9).ask("key", pending()));
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(fixture.fetched(), 1);
    assert_eq!(fixture.at(10).now(Ok(2)), Ok(2));
    // What comes late is for those who waited for it, and replaces nothing.
    send.send(Ok(1)).unwrap();
    assert_eq!(block_on(hung), Ok(1));
    assert_eq!(block_on(waiting), Ok(1));
    assert_eq!(fixture.now(Ok(3)), Ok(2));

    // The same of a renewal.
    let begun = 10 + AGE - GRACE;
    let mut hung = Box::pin(fixture.at(begun).ask("key", pending()));
    assert!((&mut hung).now_or_never().is_none());
    assert_eq!(fixture.at(begun + 9).now(Ok(4)), Ok(2));
    assert_eq!(fixture.at(begun + 10).now(Ok(4)), Ok(4));
    assert_eq!(fixture.fetched(), 4);
}

#[test]
fn a_service_that_is_slow_fills_the_cache_under_steady_traffic() {
    const SLOW: u64 = 12;
    let fixture = Fixture::new(lifetime(AGE));
    let mut answers = Vec::new();
    let mut waiting = Vec::new();
    let mut found = Vec::new();
    for now in 0..2 * AGE {
        fixture.at(now);
        answers.retain_mut(
            |(begun, send): &mut (u64, Option<oneshot::Sender<Answer>>)| {
                let is_due = begun.saturating_add(SLOW) <= now;
                if is_due {
                    send.take().unwrap().send(Ok(*begun)).unwrap();
                }
                !is_due
            },
        );
        // One more asks each second.
        let (send, receive) = oneshot::channel();
        waiting.push((
            now,
            Box::pin(fixture.ask("key", receive.map(Result::unwrap))),
        ));
        let before = fixture.fetched();
        waiting.retain_mut(|(asked, caller)| match caller.now_or_never() {
            Some(value) => {
                found.push((*asked, now, value.unwrap()));
                false
            }
            None => true,
        });
        if fixture.fetched() > before {
            answers.push((now, Some(send)));
        }
    }
    // Who asked when, was answered when, and by the fetch that began when.
    let expected = |asked| match asked {
        0..10 => (asked, 12, 0),
        10..12 => (asked, 22, 10),
        12..22 => (asked, asked, 0),
        22..70 => (asked, asked, 10),
        70..80 => (asked, 82, 70),
        80..82 => (asked, 92, 80),
        82..92 => (asked, asked, 70),
        _ => (asked, asked, 80),
    };
    found.sort_unstable();
    assert_eq!(found, (0..2 * AGE).map(expected).collect::<Vec<_>>());
    // At 0, 10, 70 and 80.
    assert_eq!((fixture.fetched(), fixture.cache.misses()), (4, 4));
}

#[test]
fn what_a_slow_fetch_gives_is_kept_unless_a_later_one_gave_a_value_or_the_cache_was_cleared() {
    // The later one failed, or was given up.
    for later in [Some(Err("down")), None] {
        let fixture = Fixture::new(lifetime(AGE));
        let (send, first) = fixture.begin();
        fixture.at(10);
        match later {
            Some(answer) => assert_eq!(fixture.now(answer), Err("down")),
            None => assert!(fixture.ask("key", pending()).now_or_never().is_none()),
        }
        send.send(Ok(1)).unwrap();
        assert_eq!(block_on(first), Ok(1));
        assert_eq!(fixture.now(Ok(3)), Ok(1));
        // It is as old as its fetch.
        assert_eq!(fixture.at(AGE - 1).now(Ok(4)), Ok(1));
        assert_eq!(fixture.at(AGE).now(Ok(5)), Ok(5));
    }

    // The later one gave a value, which is gone already.
    let fixture = Fixture::new(lifetime(AGE));
    let (send, first) = fixture.begin();
    assert_eq!(fixture.at(10).now(Ok(2)), Ok(2));
    fixture.at(11);
    let third = fixture.ask_with("key", lifetime(1), pending());
    let mut third = Box::pin(third);
    assert!((&mut third).now_or_never().is_none());
    send.send(Ok(1)).unwrap();
    assert_eq!(block_on(first), Ok(1));
    assert!(fixture.cache.is_empty());
    assert!(fixture.ask("key", pending()).now_or_never().is_none());
    assert_eq!(fixture.fetched(), 3);

    // The cache was cleared after both began.
    let fixture = Fixture::new(lifetime(AGE));
    let (send_first, first) = fixture.begin();
    let (send_second, second) = fixture.at(10).begin();
    fixture.cache.clear();
    let (send_third, third) = fixture.begin();
    assert_eq!(fixture.fetched(), 3);
    send_first.send(Ok(1)).unwrap();
    send_second.send(Ok(2)).unwrap();
    assert_eq!((block_on(first), block_on(second)), (Ok(1), Ok(2)));
    assert!(fixture.cache.is_empty());
    send_third.send(Ok(3)).unwrap();
    assert_eq!(block_on(third), Ok(3));
    assert_eq!(fixture.now(Ok(4)), Ok(3));
}

#[test]
fn a_fetch_that_panics_does_so_once_and_stops_nobody() {
    let fixture = Fixture::new(lifetime(AGE));
    let (send, receive) = oneshot::channel();
    let fetch = receive.map(|answer: Result<Answer, _>| answer.expect("the service's library"));
    let mut first = Box::pin(fixture.ask("key", fetch));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(fixture.ask("key", ready(Ok(2))));
    assert!((&mut second).now_or_never().is_none());
    // The fetch panics when it is told that there is nothing to receive.
    drop(send);
    let first = std::panic::catch_unwind(AssertUnwindSafe(|| block_on(first)));
    assert!(first.is_err());
    assert_eq!(block_on(second), Ok(2));
    assert_eq!(fixture.now(Ok(3)), Ok(2));
}

#[test]
fn what_was_fetched_before_a_clearing_is_not_kept() {
    let fixture = Fixture::new(lifetime(AGE));
    let (send, receive) = oneshot::channel();
    let mut first = Box::pin(fixture.ask("key", receive.map(Result::unwrap)));
    assert!((&mut first).now_or_never().is_none());
    fixture.cache.clear();
    assert_eq!(fixture.now(Ok(2)), Ok(2));
    send.send(Ok(1)).unwrap();
    assert_eq!(block_on(first), Ok(1));
    assert_eq!(fixture.now(Ok(3)), Ok(2));
}

#[test]
fn a_value_that_is_used_up_is_fetched_again() {
    let cache = ExpiringCache::<_, AtomicU64, Error>::new(1).unwrap();
    let take = |left: &AtomicU64| {
        let less = |left: u64| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .ok()
    };
    let ask = || {
        cache.value(&"key", lifetime(AGE), take, || async {
            Ok(AtomicU64::new(3))
        })
    };
    let taken = block_on(join_all((0..7).map(|_| ask())));
    let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
    assert_eq!(taken, [3, 2, 1, 3, 2, 1, 3]);
    assert_eq!((cache.hits(), cache.misses()), (4, 3));
}

#[test]
fn values_are_dropped_when_they_are_evicted_cleared_replaced_or_too_old() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&seconds);
    let clock = move || Duration::from_secs(clock.load(Ordering::Relaxed));
    let cache = ExpiringCache::<u32, Arc<()>, Error>::with_clock(1, clock).unwrap();
    let value = Arc::new(());
    let ask = |key: u32, now| {
        seconds.store(now, Ordering::Relaxed);
        let fetch = || ready(Ok(Arc::clone(&value)));
        block_on(cache.value(&key, lifetime(AGE), |_| Some(()), fetch)).unwrap();
    };
    ask(1, 0);
    assert_eq!(Arc::strong_count(&value), 2);
    ask(2, 0);
    assert_eq!(Arc::strong_count(&value), 2, "evicted");
    ask(2, AGE);
    assert_eq!(Arc::strong_count(&value), 2, "replaced");
    seconds.store(2 * AGE, Ordering::Relaxed);
    cache.drop_expired();
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
