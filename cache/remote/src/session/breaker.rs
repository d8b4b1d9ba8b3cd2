//! Stops using a failing or very slow server for the rest of a command, so that a dead server costs one wait and one
//! warning, and a slow one less than it saves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::RemoteError;

/// A short request that takes longer counts as slow.
const SLOW: Duration = Duration::from_secs(5);

/// Number of consecutive slow answers that open the breaker. Slow answers to parallel requests count once, because a
/// single pause of the server delays all of them.
const MAX_SLOW: u32 = 4;

/// A circuit breaker: the server is asked until it fails.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reason: Option<String>,
    n_slow: u32,
    /// Arrival time of the last slow answer that counted.
    slow_at: Option<Instant>,
}

impl Breaker {
    /// Runs `ask` unless the server failed before. If it fails, the breaker opens.
    ///
    /// # Errors
    /// The error of `ask`, or [`RemoteError::Off`].
    pub(crate) fn ask<T>(&self, ask: impl FnOnce() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        if self.is_open() {
            return Err(RemoteError::Off);
        }
        ask().inspect_err(|error| {
            // An error with one blob, or on this machine, does not affect other requests.
            if error.is_of_server() {
                self.open(error.to_string());
            }
        })
    }

    /// Same as [`Self::ask`], for a request with a short answer: repeated slow answers open the breaker.
    ///
    /// # Errors
    /// Same as [`Self::ask`].
    pub(crate) fn ask_shortly<T>(
        &self,
        ask: impl FnOnce() -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let began = Instant::now();
        let answer = self.ask(ask)?;
        self.answered(began, Instant::now());
        Ok(answer)
    }

    fn answered(&self, asked: Instant, answered: Instant) {
        let mut state = self.lock();
        if answered.saturating_duration_since(asked) <= SLOW {
            (state.n_slow, state.slow_at) = (0, None);
            return;
        }
        if state.slow_at.is_some_and(|before| asked < before) {
            return;
        }
        (state.n_slow, state.slow_at) = (state.n_slow + 1, Some(answered));
        if state.n_slow == MAX_SLOW {
            let seconds = SLOW.as_secs();
            state.reason.get_or_insert(format!(
                "{MAX_SLOW} consecutive times, it took more than {seconds} s for a short answer"
            ));
        }
    }

    /// Stops all requests for this reason, unless they were already stopped.
    pub(crate) fn open(&self, reason: String) {
        self.lock().reason.get_or_insert(reason);
    }

    /// Returns true if the server is no longer asked.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().reason.is_some()
    }

    /// The reason why the server is no longer asked.
    pub(crate) fn reason(&self) -> Option<String> {
        self.lock().reason.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_failed_is_not_asked_again() {
        let breaker = Breaker::default();
        let invalid_response = RemoteError::InvalidResponse {
            server: "s".to_owned(),
            expected: "a".to_owned(),
            found: "b".to_owned(),
        };
        assert!(breaker.ask(|| Err::<(), _>(invalid_response)).is_err());
        assert_eq!(breaker.ask(|| Ok(1)).unwrap(), 1);
        let down = || RemoteError::Folder { path: "/gone".to_owned(), source: std::io::Error::other("gone") };
        assert!(breaker.ask(|| Err::<(), _>(down())).is_err());
        assert!(matches!(breaker.ask(|| Ok(1)), Err(RemoteError::Off)));
        assert_eq!(breaker.reason().as_deref(), Some("/gone: gone"));
    }

    #[test]
    fn a_repeatedly_slow_server_is_not_asked_again() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let slow = |nth: u32| breaker.answered(start + SLOW * 2 * nth, start + SLOW * 2 * (nth + 1));
        (1..MAX_SLOW).for_each(slow);
        breaker.answered(start + SLOW * 20, start + SLOW * 21);
        (21..20 + MAX_SLOW).for_each(slow);
        assert_eq!(breaker.reason(), None);
        slow(20 + MAX_SLOW);
        let reason = breaker.reason().unwrap();
        assert_eq!(reason, "4 consecutive times, it took more than 5 s for a short answer");
    }

    #[test]
    fn a_single_pause_of_the_server_counts_once() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..32 {
            breaker.answered(start, start + SLOW * 2);
            breaker.answered(start + SLOW / 2, start + SLOW * 2);
        }
        assert_eq!(breaker.reason(), None);
    }
}
