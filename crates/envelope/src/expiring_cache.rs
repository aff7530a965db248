use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
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
/// A value is dropped as soon as it is evicted, replaced or found to be too old. Age is looked at when
/// a value is asked for and whenever one is fetched, not by a timer. Source: AWS Encryption SDK
/// specification, "Local Cryptographic Materials Cache" and "Storm Tracking Cryptographic Materials
/// Cache".
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
type Flight<V, E> = Shared<Fetch<V, E>>;
type Fetch<V, E> = BoxFuture<'static, Result<Arc<V>, E>>;

struct Flights<K, V, E> {
    /// Those that nobody waits for any more are gone.
    by_key: HashMap<K, WeakShared<Fetch<V, E>>>,
    /// How often the cache was cleared: what was fetched before is not kept after.
    clearings: u64,
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
    /// [`Error::InvalidOption`] for a capacity of 0, or one beyond the machine's memory.
    pub fn new(capacity: usize) -> Result<Self> {
        Self::with_clock(capacity, monotonic_clock)
    }

    /// As [`new`](Self::new), with another clock: it says how long ago any fixed moment was.
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
                clearings: 0,
            }),
            clock: Box::new(clock),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })))
    }

    /// What `take` gives of the value behind the key, or of one that `fetch` gets.
    ///
    /// `take` gives nothing of a value that is used up; then another is fetched.
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
                let left = kept.left(self.now(), lifetime);
                let Some(taken) = left.and_then(|_| take(&kept.value)) else {
                    // Gone, unless another task has replaced it already.
                    let is_same = |other: &Arc<_>| Arc::ptr_eq(other, &kept);
                    self.0.kept.remove_if(key, is_same);
                    continue;
                };
                let Some(flight) = self.renewal(key, &kept, lifetime, &fetch) else {
                    self.0.hits.fetch_add(1, Ordering::Relaxed);
                    return Ok(taken);
                };
                match (flight.await, kept.left(self.now(), lifetime)) {
                    (Ok(renewed), _) => match take(&renewed) {
                        Some(taken) => return Ok(taken),
                        None => continue,
                    },
                    (Err(_), Some(_)) => return Ok(taken),
                    // That took longer than there was left.
                    (Err(error), None) => return Err(error),
                }
            }
            let Some((flight, is_own)) = self.flight(key, lifetime, &fetch) else {
                continue;
            };
            let value = flight.await?;
            if let Some(taken) = take(&value) {
                if !is_own {
                    self.0.hits.fetch_add(1, Ordering::Relaxed);
                }
                return Ok(taken);
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
        if let Some(flight) = flights.under_way(key) {
            return Some((flight, false));
        }
        if self.0.kept.contains_key(key) {
            return None;
        }
        Some((self.take_off(&mut flights, key, lifetime, fetch()), true))
    }

    /// The fetch of a new value for one that will soon be too old, if it is this caller's turn.
    fn renewal<F>(
        &self,
        key: &K,
        kept: &Kept<V>,
        lifetime: Lifetime,
        fetch: impl Fn() -> F,
    ) -> Option<Flight<V, E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let now = self.now();
        kept.left(now, lifetime)
            .filter(|left| *left <= lifetime.grace)?;
        let mut flights = self.0.flights();
        if flights.under_way(key).is_some() || !kept.begin_renewal(now) {
            return None;
        }
        Some(self.take_off(&mut flights, key, lifetime, fetch()))
    }

    fn take_off(
        &self,
        flights: &mut Flights<K, V, E>,
        key: &K,
        lifetime: Lifetime,
        fetch: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Flight<V, E> {
        self.0.misses.fetch_add(1, Ordering::Relaxed);
        let created = self.now();
        self.0.drop_expired(created);
        let (inner, key, clearings) = (Arc::clone(&self.0), key.clone(), flights.clearings);
        let flight = {
            let key = key.clone();
            async move {
                let result = fetch.await.map(Arc::new);
                let mut flights = inner.flights();
                if flights.clearings == clearings {
                    if let Ok(value) = &result {
                        let kept = Kept::new(Arc::clone(value), created, lifetime);
                        inner.kept.insert(key.clone(), kept);
                    }
                    flights.by_key.remove(&key);
                }
                result
            }
        };
        let flight = flight.boxed().shared();
        flights
            .by_key
            .retain(|_, flight| flight.upgrade().is_some());
        if let Some(weak) = flight.downgrade() {
            flights.by_key.insert(key, weak);
        }
        flight
    }

    /// Drops every value that is too old by now.
    pub fn drop_expired(&self) {
        self.0.drop_expired(self.now());
    }

    /// Drops every value, and keeps none that is being fetched.
    pub fn clear(&self) {
        let mut flights = self.0.flights();
        flights.clearings = flights.clearings.wrapping_add(1);
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

    fn drop_expired(&self, now: Duration) {
        self.kept.retain(|_, kept| now < kept.expires);
    }
}

impl<K: Eq + Hash, V, E> Flights<K, V, E> {
    fn under_way(&self, key: &K) -> Option<Flight<V, E>> {
        self.by_key.get(key)?.upgrade()
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
