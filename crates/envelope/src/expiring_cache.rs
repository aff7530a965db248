use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, UnitWeighter};
use web_time::Instant;

use crate::error::{Error, Result};

/// Least time between two attempts to renew one value (specification, "Storm Tracking
/// Cryptographic Materials Cache", grace interval).
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// A fetch that has taken this long is left to those who wait for it already (the same, in-flight time
/// to live). Whatever it waits for may never answer.
const LONGEST_FLIGHT: Duration = Duration::from_secs(10);
/// Least time between two searches for values that are too old.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How long a value is used, and from when on it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    age: Duration,
    grace: Duration,
}

impl Lifetime {
    /// A value is used until it has this age, and fetched anew by whoever asks for it then.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for no time at all.
    pub fn new(age: Duration) -> Result<Self> {
        if age.is_zero() {
            return Err(Error::InvalidOption {
                what: "the cache's age limit",
                reason: "must be above zero",
            });
        }
        Ok(Self {
            age,
            grace: Duration::ZERO,
        })
    }

    /// Renews values in this last part of their lifetime, so that nobody waits for it but the one who
    /// renews. When that fails, the value is used until its lifetime ends.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for what is not shorter than the lifetime.
    pub fn with_grace(self, grace: Duration) -> Result<Self> {
        if grace >= self.age {
            return Err(Error::InvalidOption {
                what: "the cache's grace period",
                reason: "must be shorter than its age limit",
            });
        }
        Ok(Self { grace, ..self })
    }
}

/// Values that cost a call to a key service, kept for use again: one fetch at a time for each key,
/// however many tasks ask.
///
/// A clone is the same cache. All who wait for one fetch get what it gave, its error too; errors are
/// not kept. Whoever waits drives the fetch, so a task that is dropped or not polled holds up nobody.
/// After 10 seconds without an answer the next who asks begins another fetch; who waits for the first
/// waits as long as it takes, so give calls of services a time-out. What the first gives is kept all
/// the same, unless the other was faster.
///
/// A value is dropped as soon as it is evicted, replaced or found to be too old. Age is looked at when
/// a value is asked for, and of all values when one is fetched, once a second at most; there is no
/// timer. Source: AWS Encryption SDK specification, "Local Cryptographic Materials Cache" and "Storm
/// Tracking Cryptographic Materials Cache".
///
/// ```
/// use std::time::Duration;
///
/// use envelope::{Error, ExpiringCache, Lifetime};
///
/// # futures::executor::block_on(async {
/// let cache = ExpiringCache::<&str, u32, Error>::new(100)?;
/// let lifetime = Lifetime::new(Duration::from_secs(60))?;
/// for _ in 0..3 {
///     let fetch = || async { Ok(7) };
///     let value = cache.value(&"key", lifetime, |value| Some(*value), fetch).await?;
///     assert_eq!(value, 7);
/// }
/// assert_eq!((cache.hits(), cache.misses()), (2, 1));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct ExpiringCache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    kept: Cache<K, Arc<Kept<V>>>,
    flights: Mutex<Flights<K, V, E>>,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// One fetch, and all who wait for it.
type Flight<V, E> = Shared<BoxFuture<'static, Landing<V, E>>>;

struct Flights<K, V, E> {
    /// Those whose value may be kept, in the order in which they began, one at least for each key.
    by_key: HashMap<K, Vec<UnderWay<V, E>>>,
    /// How many there were.
    number: u64,
    /// When what is too old was last looked for.
    swept: Duration,
}

struct UnderWay<V, E> {
    /// Gone when nobody waits for it any more.
    flight: WeakShared<BoxFuture<'static, Landing<V, E>>>,
    number: u64,
    begun: Duration,
}

/// How a fetch ended.
enum Landing<V, E> {
    Fetched(Arc<V>),
    Failed(E),
    /// One of those who waited goes on with the panic, and the others fetch anew.
    Panicked(Arc<Mutex<Option<Box<dyn Any + Send>>>>),
}

struct Kept<V> {
    value: Arc<V>,
    created: Duration,
    /// By the lifetime of whoever fetched it.
    expires: Duration,
    /// When somebody last began to renew it.
    renewal: Mutex<Option<Duration>>,
}

impl<K, V, E> ExpiringCache<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// A cache of at most this many values. Their age is taken from the system's monotonic clock,
    /// which may stand still while the machine is suspended.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a capacity of 0.
    pub fn new(capacity: usize) -> Result<Self> {
        Self::with_clock(capacity, monotonic_clock)
    }

    /// As [`new`](Self::new), with another clock: it says how long ago any fixed moment was. It is asked
    /// with the cache locked, and may not use the cache, nor wait for who does.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(
        capacity: usize,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Self> {
        let fault = |reason| Error::InvalidOption {
            what: "the cache's capacity",
            reason,
        };
        if capacity == 0 {
            return Err(fault("must be at least 1"));
        }
        let options = OptionsBuilder::new()
            .estimated_items_capacity(capacity)
            .weight_capacity(capacity as u64)
            // One shard, so that the capacity is exact.
            .shards(1)
            .build()
            .map_err(|_| fault("is too large"))?;
        let (hasher, lifecycle) = (Default::default(), Default::default());
        Ok(Self(Arc::new(Inner {
            kept: Cache::with_options(options, UnitWeighter, hasher, lifecycle),
            flights: Mutex::new(Flights {
                by_key: HashMap::new(),
                number: 0,
                swept: Duration::ZERO,
            }),
            clock: Box::new(clock),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })))
    }

    /// What `take` gives of the value behind the key, or of one that `fetch` gets.
    ///
    /// `take` gives nothing of a value that is used up; then another is fetched. `fetch` is called with
    /// the cache locked: only the future that it returns may use the cache, and not while it is dropped.
    ///
    /// # Errors
    /// Those of `fetch`, which may be the one of another caller.
    pub async fn value<T, F>(
        &self,
        key: &K,
        lifetime: Lifetime,
        take: impl Fn(&V) -> Option<T>,
        fetch: impl Fn() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        loop {
            if let Some(kept) = self.0.kept.get(key) {
                let now = self.now();
                let left = kept.left(now, lifetime);
                let Some((left, taken)) = left.and_then(|left| Some((left, take(&kept.value)?)))
                else {
                    // Gone, unless another task has replaced it already.
                    let is_same = |other: &Arc<_>| Arc::ptr_eq(other, &kept);
                    self.0.kept.remove_if(key, is_same);
                    continue;
                };
                let renewal = match left <= lifetime.grace {
                    true => self.renewal(key, &kept, lifetime, &fetch),
                    false => None,
                };
                let Some(flight) = renewal else {
                    self.0.hits.fetch_add(1, Ordering::Relaxed);
                    return Ok(taken);
                };
                match (flight.await, kept.left(self.now(), lifetime)) {
                    (Landing::Fetched(renewed), _) => match take(&renewed) {
                        Some(taken) => return Ok(taken),
                        None => continue,
                    },
                    (Landing::Failed(_), Some(_)) => return Ok(taken),
                    // That took longer than there was left.
                    (Landing::Failed(error), None) => return Err(error),
                    (Landing::Panicked(panic), _) => {
                        go_on_with(&panic);
                        continue;
                    }
                }
            }
            let Some((flight, is_own)) = self.flight(key, lifetime, &fetch) else {
                continue;
            };
            match flight.await {
                Landing::Fetched(value) => {
                    if let Some(taken) = take(&value) {
                        if !is_own {
                            self.0.hits.fetch_add(1, Ordering::Relaxed);
                        }
                        return Ok(taken);
                    }
                }
                Landing::Failed(error) => return Err(error),
                Landing::Panicked(panic) => go_on_with(&panic),
            }
        }
    }

    /// The fetch that is under way, or a new one; nothing when one ended just now and left a value.
    fn flight<F>(
        &self,
        key: &K,
        lifetime: Lifetime,
        fetch: impl Fn() -> F,
    ) -> Option<(Flight<V, E>, bool)>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let mut flights = self.0.flights();
        // With the lock held: whatever is under way began before this, unless the clock was set back.
        let now = self.now();
        // First of all: an earlier fetch may have left a value while a later one is under way.
        if self.0.kept.contains_key(key) {
            return None;
        }
        if let Some(flight) = flights.under_way(key, now) {
            return Some((flight, false));
        }
        let flight = self.take_off(&mut flights, key, now, lifetime, fetch());
        Some((flight, true))
    }

    /// The fetch of a new value for one that will soon be too old, if it is this caller's turn.
    fn renewal<F>(
        &self,
        key: &K,
        kept: &Arc<Kept<V>>,
        lifetime: Lifetime,
        fetch: impl Fn() -> F,
    ) -> Option<Flight<V, E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let mut flights = self.0.flights();
        // With the lock held, as above.
        let now = self.now();
        let is_stored = |kept: &Arc<_>| {
            let stored = self.0.kept.get(key);
            stored.is_some_and(|stored| Arc::ptr_eq(&stored, kept))
        };
        if flights.under_way(key, now).is_some() || !is_stored(kept) || !kept.begin_renewal(now) {
            return None;
        }
        Some(self.take_off(&mut flights, key, now, lifetime, fetch()))
    }

    fn take_off(
        &self,
        flights: &mut Flights<K, V, E>,
        key: &K,
        now: Duration,
        lifetime: Lifetime,
        fetch: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Flight<V, E> {
        self.0.misses.fetch_add(1, Ordering::Relaxed);
        self.0.sweep(flights, now);
        flights.number = flights.number.wrapping_add(1);
        let number = flights.number;
        let (inner, landing_at) = (Arc::clone(&self.0), key.clone());
        let flight = async move {
            let landing = match AssertUnwindSafe(fetch).catch_unwind().await {
                Ok(Ok(value)) => Landing::Fetched(Arc::new(value)),
                Ok(Err(error)) => Landing::Failed(error),
                Err(panic) => Landing::Panicked(Arc::new(Mutex::new(Some(panic)))),
            };
            let mut flights = inner.flights();
            let fetched = match &landing {
                Landing::Fetched(value) => Some(value),
                Landing::Failed(_) | Landing::Panicked(_) => None,
            };
            let is_kept = flights.land(&landing_at, number, fetched.is_some());
            if let (Some(value), true) = (fetched, is_kept) {
                let kept = Kept::new(Arc::clone(value), now, lifetime);
                // What took longer than it may live would only push another out.
                if kept.left((inner.clock)(), lifetime).is_some() {
                    inner.kept.insert(landing_at, kept);
                }
            }
            landing
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            let under_way = flights.by_key.entry(key.clone()).or_default();
            under_way.retain(UnderWay::is_awaited);
            under_way.push(UnderWay {
                flight: weak,
                number,
                begun: now,
            });
        }
        flight
    }

    /// Drops every value that is too old by now.
    pub fn drop_expired(&self) {
        self.0.drop_expired(self.now());
    }

    /// As [`drop_expired`](Self::drop_expired), unless that was done just now.
    pub(crate) fn sweep(&self) {
        self.0.sweep(&mut self.0.flights(), self.now());
    }

    /// Drops every value, and keeps none that is being fetched.
    pub fn clear(&self) {
        let mut flights = self.0.flights();
        flights.by_key.clear();
        self.0.kept.clear();
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.kept.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn now(&self) -> Duration {
        (self.0.clock)()
    }
}

impl<K, V, E> ExpiringCache<K, V, E> {
    /// How often a kept value was used again.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// How often a value had to be fetched.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.misses.load(Ordering::Relaxed)
    }
}

impl<K: Eq + Hash, V, E> Inner<K, V, E> {
    fn flights(&self) -> MutexGuard<'_, Flights<K, V, E>> {
        // Each change is whole even if a thread died holding the lock.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at everything, which is too much work for each fetch.
    fn sweep(&self, flights: &mut Flights<K, V, E>, now: Duration) {
        let since = now.checked_sub(flights.swept);
        if since.is_some_and(|since| since < SWEEP_INTERVAL) {
            return;
        }
        flights.swept = now;
        flights.by_key.retain(|_, under_way| {
            under_way.retain(UnderWay::is_awaited);
            !under_way.is_empty()
        });
        self.drop_expired(now);
    }

    fn drop_expired(&self, now: Duration) {
        self.kept.retain(|_, kept| now < kept.expires);
    }
}

impl<V, E> UnderWay<V, E> {
    fn is_awaited(&self) -> bool {
        self.flight.upgrade().is_some()
    }
}

impl<K: Eq + Hash, V, E> Flights<K, V, E> {
    /// The fetch to wait for, if there is one that may still be answered.
    fn under_way(&self, key: &K, now: Duration) -> Option<Flight<V, E>> {
        let last = self.by_key.get(key)?.last()?;
        let age = now.checked_sub(last.begun)?;
        (age < LONGEST_FLIGHT)
            .then(|| last.flight.upgrade())
            .flatten()
    }

    /// Ends a fetch: whether its value is to be kept. That of one which took long is, though another was
    /// begun meanwhile, or a slow service would never fill the cache. It is not if a later one left a
    /// value already, or if the cache was cleared.
    fn land(&mut self, key: &K, number: u64, has_value: bool) -> bool {
        let Some(under_way) = self.by_key.get_mut(key) else {
            return false;
        };
        let Some(place) = under_way.iter().position(|one| one.number == number) else {
            return false;
        };
        // With a value, those before it come too late.
        let first = if has_value { 0 } else { place };
        under_way.drain(first..=place);
        if under_way.is_empty() {
            self.by_key.remove(key);
        }
        true
    }
}

/// Panics if nobody else did.
fn go_on_with(panic: &Mutex<Option<Box<dyn Any + Send>>>) {
    let panic = panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl<V> Kept<V> {
    fn new(value: Arc<V>, created: Duration, lifetime: Lifetime) -> Arc<Self> {
        Arc::new(Self {
            value,
            created,
            expires: created.saturating_add(lifetime.age),
            renewal: Mutex::new(None),
        })
    }

    /// How long it may still be used, if it may.
    fn left(&self, now: Duration, lifetime: Lifetime) -> Option<Duration> {
        // Both lifetimes count: of whoever fetched the value, and of whoever asks. A clock that was
        // set back says nothing about the age.
        let own = lifetime.age.checked_sub(now.checked_sub(self.created)?)?;
        let left = own.min(self.expires.checked_sub(now)?);
        (!left.is_zero()).then_some(left)
    }

    /// Whether nobody else began just now.
    fn begin_renewal(&self, now: Duration) -> bool {
        // A plain value: it is whole even if a thread died holding the lock.
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = renewal.is_some_and(|begun| now.saturating_sub(begun) < RENEWAL_INTERVAL);
        if !recent {
            *renewal = Some(now);
        }
        !recent
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one clock of this crate; tests put their own in its place"
)]
fn monotonic_clock() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

impl<V, E: Clone> Clone for Landing<V, E> {
    fn clone(&self) -> Self {
        match self {
            Self::Fetched(value) => Self::Fetched(Arc::clone(value)),
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Panicked(panic) => Self::Panicked(Arc::clone(panic)),
        }
    }
}

impl<K, V, E> Clone for ExpiringCache<K, V, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V, E> fmt::Debug for ExpiringCache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpiringCache")
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish_non_exhaustive()
    }
}
