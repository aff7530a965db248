use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Fault;

/// How a service in memory behaves whatever it is asked, and how often it was asked. A clone is the
/// same one.
#[derive(Clone, Default)]
pub struct Behaviour {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    faults: Option<(Fault, u64)>,
    denied: BTreeSet<String>,
    latency: Duration,
    calls: BTreeMap<String, u64>,
}

/// What is to become of one request.
pub(super) struct Turn {
    /// The request's number, from 1.
    pub(super) number: u64,
    pub(super) latency: Duration,
    pub(super) fault: Option<Fault>,
    pub(super) denied: bool,
}

impl Behaviour {
    /// Counts a request, and says what becomes of it.
    pub(super) fn next(&self, operation: &str) -> Turn {
        let mut state = self.state();
        let calls = state.calls.entry(operation.to_owned()).or_default();
        *calls = calls.saturating_add(1);
        Turn {
            number: state.calls.values().sum(),
            latency: state.latency,
            fault: state.next_fault(),
            denied: state.denied.contains(operation),
        }
    }

    /// Fails the next requests, whatever they ask; `u64::MAX` for all of them.
    pub fn fail_next(&self, requests: u64, fault: Fault) {
        self.state().faults = Some((fault, requests));
    }

    /// Refuses an operation, as `Decrypt` or `GetItem`, with `AccessDeniedException`.
    pub fn deny(&self, operation: impl Into<String>) {
        self.state().denied.insert(operation.into());
    }

    /// Answers only after this time. A client whose read time-out is shorter gives up then.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Ends faults, refusals and latency.
    pub fn recover(&self) {
        let mut state = self.state();
        state.faults = None;
        state.denied.clear();
        state.latency = Duration::ZERO;
    }

    /// Requests for an operation so far, as `GenerateDataKey`; those that failed count too.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.state().calls.get(operation).copied().unwrap_or(0)
    }

    /// Requests so far, of all operations.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.state().calls.values().sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so the state is whole even if a thread died holding the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_fault(&mut self) -> Option<Fault> {
        let (fault, left) = self.faults?;
        self.faults = Some((fault, left.checked_sub(1)?));
        Some(fault)
    }
}

/// The calls so far.
impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().calls.fmt(f)
    }
}
