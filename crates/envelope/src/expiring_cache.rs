use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

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

/// Values that cost a call to a key service, kept for use again: at most one fetch at a time for each
/// key, however many tasks ask.
///
/// All who wait for one fetch get what it gave, its error too; errors are not kept. A value is dropped
/// as soon as it is evicted, replaced or found to be too old. Age is looked at when a value is asked
/// for and whenever one is fetched, not by a timer. Source: AWS Encryption SDK specification, "Local
/// Cryptographic Materials Cache" and "Storm Tracking Cryptographic Materials Cache".
///
/// ```
/// use std::time::Duration;
///
/// use envelope::{Error, ExpiringCache, Lifetime};
///
/// # futures::executor::block_on(async {
/// let cache = ExpiringCache::<&str, u32, Error>::new(100)?;
/// let lifetime = Lifetime::new(Duration::from_secs(60))?;
/// let mut fetched = 0;
/// for seconds in [0, 59, 60] {
///     let clock = || Duration::from_secs(seconds);
///     let fetch = async {
///         fetched += 1;
///         Ok((Some(7), 7))
///     };
///     let value = cache.value(&"key", &clock, lifetime, |value| Some(*value), fetch).await?;
///     assert_eq!(value, 7);
/// }
/// assert_eq!((fetched, cache.hits(), cache.misses()), (2, 1, 2));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct ExpiringCache<K, V, E> {
    slots: Cache<K, Slot<V, E>, KeptOnly>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What is behind a key.
enum Slot<V, E> {
    Kept(Arc<Kept<V>>),
    /// Only until those who waited for the fetch have seen it.
    Failed(E),
}

struct Kept<V> {
    value: V,
    created: Duration,
    /// By the lifetime of whoever fetched it.
    expires: Duration,
    /// When somebody last began to renew it.
    renewal: Mutex<Option<Duration>>,
}

/// What a look at a kept value says.
enum Look<T> {
    Usable(T),
    /// Usable, and it is this caller's turn to renew it.
    Renew(T),
    Unusable,
}

type Place<'a, K, V, E> = PlaceholderGuard<
    'a,
    K,
    Slot<V, E>,
    KeptOnly,
    DefaultHashBuilder,
    DefaultLifecycle<K, Slot<V, E>>,
>;

impl<K: Clone + Eq + Hash, V, E: Clone> ExpiringCache<K, V, E> {
    /// A cache of at most this many values.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a capacity of 0, or one beyond the machine's memory.
    pub fn new(capacity: usize) -> Result<Self> {
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
        Ok(Self {
            slots: Cache::with_options(options, KeptOnly, Default::default(), Default::default()),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// What `take` gives of the value behind the key, or else of a new one.
    ///
    /// `clock` says how long ago any fixed moment was, the same for all callers. `take` gives nothing of
    /// a value that is used up. `fetch` is awaited only where it is needed, and gives a value to keep, if
    /// it may be kept, and what the caller gets.
    ///
    /// # Errors
    /// Those of `fetch`, or of another caller's that was waited for.
    pub async fn value<T>(
        &self,
        key: &K,
        clock: &(dyn Fn() -> Duration + Send + Sync),
        lifetime: Lifetime,
        take: impl Fn(&V) -> Option<T>,
        fetch: impl Future<Output = Result<(Option<V>, T), E>>,
    ) -> Result<T, E> {
        loop {
            match self.slots.get_value_or_guard_async(key).await {
                Ok(Slot::Failed(error)) => return Err(error),
                Ok(Slot::Kept(kept)) => match kept.look(clock(), lifetime, &take) {
                    Look::Usable(taken) => {
                        self.hits.fetch_add(1, Ordering::Relaxed);
                        return Ok(taken);
                    }
                    Look::Renew(taken) => {
                        let renewed = self.renew(key, clock(), lifetime, fetch).await;
                        return Ok(renewed.unwrap_or(taken));
                    }
                    Look::Unusable => {
                        // Gone, unless another task has replaced it already.
                        self.slots.remove_if(key, |slot| slot.holds(&kept));
                    }
                },
                Err(place) => return self.fill(key, place, clock(), lifetime, fetch).await,
            }
        }
    }
}

impl<K: Clone + Eq + Hash, V, E: Clone> ExpiringCache<K, V, E> {
    /// Fetches what is not there, for all who wait.
    async fn fill<T>(
        &self,
        key: &K,
        place: Place<'_, K, V, E>,
        now: Duration,
        lifetime: Lifetime,
        fetch: impl Future<Output = Result<(Option<V>, T), E>>,
    ) -> Result<T, E> {
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.drop_expired(now);
        match fetch.await {
            Ok((value, taken)) => {
                if let Some(value) = value {
                    // Refused only when the cache was cleared meanwhile.
                    let _ = place.insert(Slot::Kept(Kept::new(value, now, lifetime)));
                }
                Ok(taken)
            }
            Err(error) => {
                let _ = place.insert(Slot::Failed(error.clone()));
                self.slots
                    .remove_if(key, |slot| matches!(slot, Slot::Failed(_)));
                Err(error)
            }
        }
    }

    /// Fetches what is there but will soon be too old; nothing when that fails.
    async fn renew<T>(
        &self,
        key: &K,
        now: Duration,
        lifetime: Lifetime,
        fetch: impl Future<Output = Result<(Option<V>, T), E>>,
    ) -> Option<T> {
        self.misses.fetch_add(1, Ordering::Relaxed);
        let (value, taken) = fetch.await.ok()?;
        if let Some(value) = value {
            let slot = Slot::Kept(Kept::new(value, now, lifetime));
            self.slots.insert(key.clone(), slot);
        }
        Some(taken)
    }

    /// Drops every value that is too old by now.
    pub fn drop_expired(&self, now: Duration) {
        self.slots.retain(|_, slot| match slot {
            Slot::Kept(kept) => now < kept.expires,
            Slot::Failed(_) => false,
        });
    }

    /// Drops every value.
    pub fn clear(&self) {
        self.slots.clear();
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a kept value was used again.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often a value had to be fetched.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}

impl<V> Kept<V> {
    fn new(value: V, now: Duration, lifetime: Lifetime) -> Arc<Self> {
        Arc::new(Self {
            value,
            created: now,
            expires: now.saturating_add(lifetime.age),
            renewal: Mutex::new(None),
        })
    }

    fn look<T>(
        &self,
        now: Duration,
        lifetime: Lifetime,
        take: impl Fn(&V) -> Option<T>,
    ) -> Look<T> {
        // Both lifetimes count: of whoever fetched the value, and of whoever asks. A clock that was
        // set back says nothing about the age.
        let own = now.checked_sub(self.created);
        let own = own.and_then(|age| lifetime.age.checked_sub(age));
        let left = self.expires.checked_sub(now);
        let left = own.zip(left).map(|(own, left)| own.min(left));
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            return Look::Unusable;
        };
        match take(&self.value) {
            None => Look::Unusable,
            Some(taken) if left <= lifetime.grace && self.begin_renewal(now) => Look::Renew(taken),
            Some(taken) => Look::Usable(taken),
        }
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

impl<V, E> Slot<V, E> {
    fn holds(&self, other: &Arc<Kept<V>>) -> bool {
        matches!(self, Self::Kept(kept) if Arc::ptr_eq(kept, other))
    }
}

impl<V, E: Clone> Clone for Slot<V, E> {
    fn clone(&self) -> Self {
        match self {
            Self::Kept(kept) => Self::Kept(Arc::clone(kept)),
            Self::Failed(error) => Self::Failed(error.clone()),
        }
    }
}

/// Failures take no place away from values: in an outage those must last.
#[derive(Clone)]
struct KeptOnly;

impl<K, V, E> Weighter<K, Slot<V, E>> for KeptOnly {
    fn weight(&self, _key: &K, slot: &Slot<V, E>) -> u64 {
        match slot {
            Slot::Kept(_) => 1,
            Slot::Failed(_) => 0,
        }
    }
}

impl<K: Clone + Eq + Hash, V, E: Clone> fmt::Debug for ExpiringCache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpiringCache")
            .field("len", &self.len())
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish()
    }
}
