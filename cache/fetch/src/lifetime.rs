//! Lifetimes of things that a server gave for a limited time, on a machine whose clock may be wrong or may be set
//! meanwhile.
//!
//! Two clocks are asked. The steady clock is never set, but stands still while a machine sleeps. The wall clock goes
//! on, but may be set to anything. If either clock says that a lifetime is over, it is over: the thing is then asked
//! for again, which costs one request. A clock that was set back is ignored.

use std::time::{Duration, Instant, SystemTime};

/// Readings of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The clock that is never set.
    pub(crate) steady: Instant,
    /// The clock on the wall.
    pub(crate) wall: SystemTime,
}

/// A time that something is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    began: Moment,
    lives: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns how long ago another moment was, by the clock that went further.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let steady = self.steady.saturating_duration_since(before.steady);
        steady.max(self.wall.duration_since(before.wall).unwrap_or_default())
    }
}

impl Lifetime {
    /// A lifetime of this length, from a moment on.
    pub(crate) fn new(began: Moment, lives: Duration) -> Self {
        Self { began, lives }
    }

    /// A lifetime from a moment on, up to a time on the wall clock.
    pub(crate) fn until(began: Moment, end: SystemTime) -> Self {
        Self { began, lives: end.duration_since(began.wall).unwrap_or_default() }
    }

    /// Tells whether the lifetime is over.
    pub(crate) fn has_ended(&self, now: &Moment) -> bool {
        now.since(&self.began) >= self.lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_good_for_an_hour_ends_whatever_happens_to_the_clock() {
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
        // Set back, to yesterday or to the beginning of time, it does not live on.
        for wall in [began.wall - 24 * HOUR, SystemTime::UNIX_EPOCH] {
            assert!(!ends(HOUR / 2, wall));
            assert!(ends(HOUR, wall));
        }
        // While the machine slept, the steady clock stood still.
        assert!(ends(Duration::from_secs(1), began.wall + 2 * HOUR));
        // Set forward, it is asked for too early, and not too late.
        assert!(ends(Duration::ZERO, began.wall + 1000 * HOUR));
    }

    #[test]
    fn what_has_ended_before_it_began_is_over() {
        let began = Moment::now();
        assert!(Lifetime::until(began, SystemTime::UNIX_EPOCH).has_ended(&began));
    }
}
