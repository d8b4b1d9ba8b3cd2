//! Which failures pass, and how long is waited before a request is repeated.

use std::collections::hash_map::RandomState;
use std::error::Error as _;
use std::hash::BuildHasher;
use std::time::Duration;

use tonic::{Code, Status};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Whether the same request may succeed a moment later.
pub(crate) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => true,
        // A connection that ended shows as one of these, with the reason beneath.
        Code::Unknown | Code::Internal | Code::Cancelled => status.source().is_some() || is_stream(status),
        _ => false,
    }
}

fn is_stream(status: &Status) -> bool {
    ["h2 protocol error", "connection", "transport"].iter().any(|word| status.message().contains(word))
}

/// The wait after so many failures: it doubles, and is drawn out by up to a half, so that many who failed together do
/// not come back together.
pub(crate) fn delay(n_failed: u32) -> Duration {
    let base = FIRST.saturating_mul(1 << n_failed.saturating_sub(1).min(10)).min(LONGEST);
    let random = RandomState::new().hash_one(n_failed) % 512;
    base + base.mul_f64(random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_request_does_not_pass() {
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated, Code::NotFound] {
            assert!(!is_passing(&Status::new(code, "")), "{code:?}");
        }
        assert!(is_passing(&Status::unavailable("")));
        assert!(is_passing(&Status::internal("h2 protocol error: error reading a body from connection")));
        assert!(!is_passing(&Status::internal("a bug of the server")));
    }

    #[test]
    fn waits_double_and_end() {
        for (n_failed, base) in [(1, 100), (2, 200), (4, 800), (40, 5000)] {
            let waited = delay(n_failed).as_millis();
            assert!((base..=base * 3 / 2).contains(&waited), "{waited}");
        }
    }
}
