use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::lease::Lease;
use crate::token::Token;

/// Until a lease that could not be looked up is looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);
/// Least time between two renewals.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The token in use, and what has to be done to keep it alive.
#[derive(Debug)]
pub(crate) struct Session {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    token: Arc<Token>,
    due: Due,
}

#[derive(Debug)]
enum Due {
    LookUp { at: Option<Instant> },
    Renewal { at: Instant, expires: Instant },
    Nothing,
}

/// What keeps a token alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    LookUp,
    Renew,
}

impl Session {
    /// A token that came from `file`, if there is one.
    pub(crate) fn new(token: Token, file: Option<PathBuf>) -> Self {
        Self {
            file,
            state: Mutex::new(State {
                token: Arc::new(token),
                due: Due::LookUp { at: None },
            }),
        }
    }

    pub(crate) fn token(&self) -> Arc<Token> {
        Arc::clone(&self.state().token)
    }

    /// What the caller is to do now. It is given out once: the next callers go on without, and if
    /// the work fails it comes up again later, not at once.
    pub(crate) fn claim(&self, now: Instant) -> Option<Upkeep> {
        let mut state = self.state();
        match state.due {
            Due::LookUp { at } if at.is_none_or(|at| at <= now) => {
                state.due = Due::LookUp {
                    at: now.checked_add(LOOK_UP_AGAIN),
                };
                Some(Upkeep::LookUp)
            }
            // Somebody else may have renewed it, or the answer to a renewal was lost.
            Due::Renewal { expires, .. } if expires <= now => {
                state.due = Due::LookUp {
                    at: now.checked_add(LOOK_UP_AGAIN),
                };
                Some(Upkeep::LookUp)
            }
            Due::Renewal { at, expires } if at <= now => {
                let wait = (expires.duration_since(now) / 2).max(LEAST_INTERVAL);
                state.due = Due::Renewal {
                    at: now.checked_add(wait).unwrap_or(expires),
                    expires,
                };
                Some(Upkeep::Renew)
            }
            _ => None,
        }
    }

    /// Takes note of how long `token` is good for, unless another one is in use by now.
    pub(crate) fn note(&self, token: &Arc<Token>, lease: Lease, now: Instant) {
        let mut state = self.state();
        if !Arc::ptr_eq(&state.token, token) {
            return;
        }
        // A third is left for attempts that fail.
        let times = lease.remaining.filter(|_| lease.is_renewable);
        let times = times.and_then(|remaining| {
            let wait = (remaining / 3 * 2).max(LEAST_INTERVAL);
            Some((now.checked_add(wait)?, now.checked_add(remaining)?))
        });
        state.due = match times {
            Some((at, expires)) => Due::Renewal { at, expires },
            None => Due::Nothing,
        };
    }

    /// Another token than the one that was refused: somebody else has read it, or the file holds it
    /// by now. A file that cannot be read is being replaced; the refusal says more.
    pub(crate) fn another(&self, refused: &Token) -> Option<Arc<Token>> {
        let token = self.token();
        if !token.is_same(refused) {
            return Some(token);
        }
        let token = Token::from_file(self.file.as_ref()?).ok()?;
        if token.is_same(refused) {
            return None;
        }
        let token = Arc::new(token);
        *self.state() = State {
            token: Arc::clone(&token),
            due: Due::LookUp { at: None },
        };
        Some(token)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn token(text: &str) -> Token {
        Token::new(text.to_owned()).unwrap()
    }

    fn lease(seconds: u64, is_renewable: bool) -> Lease {
        Lease {
            remaining: (seconds > 0).then(|| Duration::from_secs(seconds)),
            is_renewable,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_looked_up_once_and_again_only_after_a_minute() {
        let session = Session::new(token("a"), None);
        let start = Instant::now();
        assert_eq!(session.claim(start), Some(Upkeep::LookUp));
        assert_eq!(session.claim(start), None);
        assert_eq!(session.claim(start + MINUTE / 2), None);
        assert_eq!(session.claim(start + MINUTE), Some(Upkeep::LookUp));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_is_due_after_two_thirds_and_given_out_once() {
        let session = Session::new(token("a"), None);
        let start = Instant::now();
        session.note(&session.token(), lease(90, true), start);
        assert_eq!(session.claim(start + MINUTE * 59 / 60), None);
        assert_eq!(session.claim(start + MINUTE), Some(Upkeep::Renew));
        assert_eq!(session.claim(start + MINUTE), None);
    }

    #[tokio::test(start_paused = true)]
    async fn failing_renewals_are_few_and_after_the_lease_it_is_looked_up() {
        let session = Session::new(token("a"), None);
        let start = Instant::now();
        session.note(&session.token(), lease(3600, true), start);
        let claims = |seconds: std::ops::Range<u64>| -> Vec<_> {
            let claim = |second| session.claim(start + Duration::from_secs(second));
            seconds.filter_map(claim).collect()
        };
        assert_eq!(claims(0..3600), [Upkeep::Renew; 11]);
        assert_eq!(claims(3600..2 * 3600), [Upkeep::LookUp; 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_due_for_tokens_that_cannot_be_renewed_or_never_expire() {
        let start = Instant::now();
        for lease in [lease(90, false), lease(0, true), lease(0, false)] {
            let session = Session::new(token("a"), None);
            session.note(&session.token(), lease, start);
            assert_eq!(session.claim(start + MINUTE * 60), None, "{lease:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_of_a_token_that_was_replaced_counts_for_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "b\n").unwrap();
        let session = Session::new(token("a"), Some(file.path().to_owned()));
        let old = session.token();
        let new = session.another(&old).unwrap();
        assert_eq!(new.expose(), "b");
        session.note(&old, lease(0, false), Instant::now());
        assert_eq!(session.claim(Instant::now()), Some(Upkeep::LookUp));
        // A second caller with the old token gets the new one, and the new one is not replaced by itself.
        assert!(Arc::ptr_eq(&session.another(&old).unwrap(), &new));
        assert!(session.another(&new).is_none());
    }
}
