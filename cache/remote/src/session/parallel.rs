//! Parallel map with a limit: hides the latency of a server.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use crate::error::RemoteError;

/// A failure of one item.
pub(crate) trait Failure: Send {
    /// Returns true if another item's failure caused this one, so that it says nothing about the reason.
    fn is_consequence(&self) -> bool;
}

impl Failure for RemoteError {
    fn is_consequence(&self) -> bool {
        matches!(self, Self::Off)
    }
}

/// Applies `work` to every item, on at most `n_threads` threads, and returns the results in the order of the items.
/// After a failure no new item starts, and the first failure is returned that is not the consequence of another one.
pub(crate) fn in_parallel<T: Sync, R: Send, E: Failure>(
    items: &[T],
    n_threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    if n_threads <= 1 || items.len() <= 1 {
        return items.iter().map(work).collect();
    }
    let state = Mutex::new((0, items.iter().map(|_| None).collect::<Vec<Option<R>>>(), None));
    let run = || {
        loop {
            let next = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let next = state.0;
                if next == items.len() || state.2.is_some() {
                    return;
                }
                state.0 += 1;
                next
            };
            let result = work(&items[next]);
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(done) => state.1[next] = Some(done),
                // The failure that stopped a server may arrive after those that it caused.
                Err(error) if state.2.as_ref().is_none_or(|known: &E| known.is_consequence()) => {
                    state.2 = Some(error);
                }
                Err(_) => {}
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..n_threads.min(items.len()) {
            // Fewer threads suffice, because the current thread also works.
            drop(thread::Builder::new().spawn_scoped(scope, run));
        }
        run();
    });
    let (_, done, failure) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(error) => Err(error),
        None => Ok(done.into_iter().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    impl Failure for &str {
        fn is_consequence(&self) -> bool {
            self.starts_with("because")
        }
    }

    impl Failure for () {
        fn is_consequence(&self) -> bool {
            false
        }
    }

    #[test]
    fn the_cause_is_returned_even_if_its_consequence_arrives_first() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let receiver = Mutex::new(receiver);
        let failed: Result<Vec<()>, &str> = in_parallel(&[0, 1], 2, |item| {
            if *item == 1 {
                sender.send(()).unwrap();
                return Err("because of the first");
            }
            receiver.lock().unwrap().recv().unwrap();
            thread::sleep(Duration::from_millis(20));
            Err("the first")
        });
        assert_eq!(failed.unwrap_err(), "the first");
    }

    #[test]
    fn order_is_kept_and_the_limit_holds() {
        let items: Vec<usize> = (0..100).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let done = in_parallel(&items, 4, |item| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_micros(200));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, ()>(item * 2)
        });
        assert_eq!(done.unwrap(), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!((2..=4).contains(&most.into_inner()));
    }

    #[test]
    fn a_failure_ends_it() {
        let n_begun = AtomicUsize::new(0);
        let items: Vec<usize> = (0..1000).collect();
        let failed = in_parallel(&items, 3, |item| {
            n_begun.fetch_add(1, Ordering::SeqCst);
            if *item == 5 { Err("five") } else { Ok(()) }
        });
        assert_eq!(failed.unwrap_err(), "five");
        assert!(n_begun.into_inner() < 1000);
    }
}
