//! Lifetimes of tokens and other answers that expire, on a machine whose clock may be wrong or change.
//!
//! Two clocks are read. The monotonic clock is never set, but stops while a machine sleeps. The wall clock keeps
//! running, but may be set to any value. A lifetime is over if either clock says so: a renewal costs only one request.
//! A clock that was set back is ignored.

use std::time::{Duration, Instant, SystemTime};

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The monotonic clock.
    pub(crate) steady: Instant,
    /// The wall clock.
    pub(crate) wall: SystemTime,
}

/// A period of validity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    began: Moment,
    lives: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// Time since another moment, by the clock that advanced further.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let steady = self.steady.saturating_duration_since(before.steady);
        steady.max(self.wall.duration_since(before.wall).unwrap_or_default())
    }
}

impl Lifetime {
    /// A lifetime of a given length.
    pub(crate) fn new(began: Moment, lives: Duration) -> Self {
        Self { began, lives }
    }

    /// A lifetime that ends at a time on the wall clock.
    pub(crate) fn until(began: Moment, end: SystemTime) -> Self {
        Self { began, lives: end.duration_since(began.wall).unwrap_or_default() }
    }

    /// Returns true if the lifetime is over.
    pub(crate) fn has_ended(&self, now: &Moment) -> bool {
        now.since(&self.began) >= self.lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_lifetime_of_an_hour_ends_whatever_happens_to_the_clock() {
        let began = Moment::now();
        let lifetimes = [Lifetime::new(began, HOUR), Lifetime::until(began, began.wall + HOUR)];
        let ends = |steady: Duration, wall: SystemTime| {
            let now = Moment { steady: began.steady + steady, wall };
            let [one, other] = lifetimes.map(|lifetime| lifetime.has_ended(&now));
            assert_eq!(one, other);
            one
        };
        assert!(!ends(HOUR / 2, began.wall + HOUR / 2));
        assert!(ends(HOUR, began.wall + HOUR));
        // If the wall clock is set back, the lifetime does not grow.
        for wall in [began.wall - 24 * HOUR, SystemTime::UNIX_EPOCH] {
            assert!(!ends(HOUR / 2, wall));
            assert!(ends(HOUR, wall));
        }
        // The monotonic clock stopped while the machine slept.
        assert!(ends(Duration::from_secs(1), began.wall + 2 * HOUR));
        // If the wall clock is set forward, the lifetime ends too early, never too late.
        assert!(ends(Duration::ZERO, began.wall + 1000 * HOUR));
    }

    #[test]
    fn a_lifetime_that_ends_before_it_begins_is_over() {
        let began = Moment::now();
        assert!(Lifetime::until(began, SystemTime::UNIX_EPOCH).has_ended(&began));
    }
}
