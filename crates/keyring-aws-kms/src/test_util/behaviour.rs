use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Fault;

/// How a service behaves whatever it is asked, and how often it was asked. A clone is the same one.
#[derive(Clone, Default)]
pub(super) struct Behaviour {
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

    pub(super) fn fail_next(&self, requests: u64, fault: Fault) {
        self.state().faults = Some((fault, requests));
    }

    pub(super) fn deny(&self, operation: String) {
        self.state().denied.insert(operation);
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    pub(super) fn recover(&self) {
        let mut state = self.state();
        state.faults = None;
        state.denied.clear();
        state.latency = Duration::ZERO;
    }

    pub(super) fn calls(&self, operation: &str) -> u64 {
        self.state().calls.get(operation).copied().unwrap_or(0)
    }

    pub(super) fn total_calls(&self) -> u64 {
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
