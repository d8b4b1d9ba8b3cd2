//! Turns a failing server off for the rest of a command, so that a dead one costs one wait and one warning.

use std::sync::Mutex;

use crate::error::RemoteError;

/// Whether a server is still asked.
#[derive(Debug, Default)]
pub struct Breaker {
    reason: Mutex<Option<String>>,
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
            if matches!(error, RemoteError::Server(_) | RemoteError::Folder { .. }) {
                let mut reason = self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                reason.get_or_insert_with(|| error.to_string());
            }
        })
    }

    /// Why the server is not asked any more.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
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
}
