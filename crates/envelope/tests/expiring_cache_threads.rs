//! Values that are fetched once, asked for by threads that run at the same time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use envelope::{ExpiringCache, Lifetime};
use futures::executor::block_on;

const THREADS: usize = 16;
const KEYS: usize = 3;

/// What a fetch gives.
#[derive(Debug, Clone, Copy)]
struct Value {
    key: usize,
    /// The moment at which its fetch began.
    begun: u64,
}

/// A cache whose time goes on by one tick whenever somebody looks at it, so that no two moments are
/// the same and their order is the one in which they were.
struct Ticking {
    cache: ExpiringCache<usize, Value, ()>,
    lifetime: Lifetime,
    ticks: Arc<AtomicU64>,
    fetched: [AtomicU64; KEYS],
    /// A moment before the last clearing that has ended.
    cleared: AtomicU64,
}

impl Ticking {
    fn new(tick: Duration, lifetime: Lifetime) -> Self {
        let ticks = Arc::new(AtomicU64::new(1));
        let clock = {
            let ticks = Arc::clone(&ticks);
            move || tick * u32::try_from(ticks.fetch_add(1, SeqCst)).unwrap()
        };
        Self {
            // Nothing is evicted.
            cache: ExpiringCache::with_clock(100, clock).unwrap(),
            lifetime,
            ticks,
            fetched: Default::default(),
            cleared: AtomicU64::new(0),
        }
    }

    fn moment(&self) -> u64 {
        self.ticks.fetch_add(1, SeqCst)
    }

    /// Asks for a value whose service answers after some time, and not always.
    fn ask(&self, key: usize, service_fails: bool) -> Result<Value, ()> {
        let fetch = || {
            self.fetched[key].fetch_add(1, SeqCst);
            let begun = self.moment();
            async move {
                give_way(begun % 8).await;
                match service_fails {
                    true => Err(()),
                    false => Ok(Value { key, begun }),
                }
            }
        };
        let take = |value: &Value| Some(*value);
        block_on(self.cache.value(&key, self.lifetime, take, fetch))
    }

    /// Forgets everything.
    fn clear(&self) {
        let before = self.moment();
        self.cache.clear();
        self.cleared.fetch_max(before, SeqCst);
    }

    /// Runs this on all threads at once, with the number of each.
    fn on_threads(&self, work: impl Fn(usize) + Sync) {
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(number);
                });
            }
        });
    }
}

/// Lets others run, and is polled so many times more.
async fn give_way(mut times: u64) {
    poll_fn(|context| {
        thread::yield_now();
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn each_key_is_fetched_once_whatever_the_threads_do() {
    for _ in 0..20 {
        let lifetime = Lifetime::new(Duration::from_secs(1)).unwrap();
        let ticking = Ticking::new(Duration::from_nanos(1), lifetime);
        ticking.on_threads(|number| {
            for turn in 0..3 * KEYS {
                let key = (number + turn) % KEYS;
                assert_eq!(ticking.ask(key, false).unwrap().key, key);
            }
        });
        let fetched = ticking.fetched.each_ref().map(|count| count.load(SeqCst));
        assert_eq!(fetched, [1; KEYS]);
        let (hits, misses) = (ticking.cache.hits(), ticking.cache.misses());
        let calls = u64::try_from(THREADS * 3 * KEYS).unwrap();
        assert_eq!(
            (hits + misses, misses),
            (calls, u64::try_from(KEYS).unwrap())
        );
    }
}

#[test]
fn nothing_too_old_or_cleared_is_given_whatever_the_threads_do() {
    // Ages of at least the 10 seconds for which a fetch is waited for: who joins one gets what it gives.
    for (age, grace) in [(10, 0), (10, 5), (1000, 0)] {
        let lifetime = Lifetime::new(Duration::from_secs(age)).unwrap();
        let lifetime = lifetime.with_grace(Duration::from_secs(grace)).unwrap();
        let ticking = Ticking::new(Duration::from_secs(1), lifetime);
        ticking.on_threads(|number| {
            for turn in 0..200 {
                let place = number + turn;
                if place % 29 == 0 {
                    ticking.clear();
                }
                let key = place % KEYS;
                let (cleared, asked) = (ticking.cleared.load(SeqCst), ticking.moment());
                if let Ok(value) = ticking.ask(key, place % 11 == 0) {
                    assert_eq!(value.key, key);
                    assert!(asked < value.begun + age, "too old: {value:?} at {asked}");
                    assert!(value.begun > cleared, "cleared: {value:?}, {cleared}");
                }
            }
        });
    }
}
