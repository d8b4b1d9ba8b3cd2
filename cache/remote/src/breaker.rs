//! Turns a failing or a very slow server off for the rest of a command, so that a dead one costs one wait and one
//! warning, and a slow one less than what it saves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::RemoteError;

/// A short question that takes longer has a slow answer.
const SLOW: Duration = Duration::from_secs(5);

/// So many slow answers, with no quick one between them, are enough.
const MAX_SLOW: u32 = 8;

/// Whether a server is still asked.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reason: Option<String>,
    n_slow: u32,
}

impl Breaker {
    /// Runs `ask` unless the server failed before; its failure is the last.
    ///
    /// # Errors
    /// What `ask` says, or [`RemoteError::Off`].
    pub fn ask<T>(&self, ask: impl FnOnce() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        if self.reason().is_some() {
            return Err(RemoteError::Off);
        }
        ask().inspect_err(|error| {
            // What is wrong with one blob, or with this machine, says nothing of the others.
            if error.is_of_server() {
                self.open(error.to_string());
            }
        })
    }

    /// As [`Self::ask`], for a question with a short answer: when those are slow again and again, they are the last.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_shortly<T>(&self, ask: impl FnOnce() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        let began = Instant::now();
        let answer = self.ask(ask)?;
        self.answered_in(began.elapsed());
        Ok(answer)
    }

    fn answered_in(&self, elapsed: Duration) {
        let mut state = self.lock();
        state.n_slow = if elapsed > SLOW { state.n_slow + 1 } else { 0 };
        if state.n_slow == MAX_SLOW {
            let seconds = SLOW.as_secs();
            state
                .reason
                .get_or_insert(format!("its last {MAX_SLOW} answers took more than {seconds} s each"));
        }
    }

    /// The server is asked no more, for this reason, unless there is one already.
    pub fn open(&self, reason: String) {
        self.lock().reason.get_or_insert(reason);
    }

    /// Why the server is not asked any more.
    pub fn reason(&self) -> Option<String> {
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
        let lie =
            RemoteError::Lie { server: "s".to_owned(), expected: "a".to_owned(), found: "b".to_owned() };
        assert!(breaker.ask(|| Err::<(), _>(lie)).is_err());
        assert_eq!(breaker.ask(|| Ok(1)).unwrap(), 1);
        let down = || RemoteError::Folder { path: "/gone".to_owned(), source: std::io::Error::other("gone") };
        assert!(breaker.ask(|| Err::<(), _>(down())).is_err());
        assert!(matches!(breaker.ask(|| Ok(1)), Err(RemoteError::Off)));
        assert_eq!(breaker.reason().as_deref(), Some("/gone: gone"));
    }

    #[test]
    fn a_server_that_is_slow_again_and_again_is_not_asked_again() {
        let breaker = Breaker::default();
        for _ in 1..MAX_SLOW {
            breaker.answered_in(SLOW * 2);
        }
        breaker.answered_in(SLOW / 2);
        for _ in 1..MAX_SLOW {
            breaker.answered_in(SLOW * 2);
        }
        assert_eq!(breaker.reason(), None);
        breaker.answered_in(SLOW * 2);
        assert_eq!(breaker.reason().unwrap(), "its last 8 answers took more than 5 s each");
    }
}
