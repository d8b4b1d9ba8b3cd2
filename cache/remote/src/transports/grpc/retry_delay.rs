//! Selection of failures that justify a retry, and the wait before it.

use std::collections::hash_map::RandomState;
use std::error::Error as _;
use std::hash::BuildHasher;
use std::time::Duration;

use bazel_remote_apis::google::{protobuf, rpc};
use prost::Message as _;
use tonic::{Code, Status};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Returns true if the same request may succeed a moment later.
pub(crate) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => true,
        // A closed connection is reported as one of these codes, with the reason as source.
        Code::Unknown | Code::Internal | Code::Cancelled => status.source().is_some() || is_stream(status),
        _ => false,
    }
}

fn is_stream(status: &Status) -> bool {
    ["h2 protocol error", "connection", "transport"].iter().any(|word| status.message().contains(word))
}

/// The wait before a retry: the time that the server requests, or one that doubles with every failure.
///
/// * `longest`: limit on the wait, even if the server requests more
pub(crate) fn delay(n_failed: u32, status: &Status, longest: Duration) -> Duration {
    match asked_for(status) {
        Some(asked) => drawn_out(asked.min(longest)).min(longest),
        None => drawn_out(FIRST.saturating_mul(1 << n_failed.saturating_sub(1).min(10)).min(LONGEST)),
    }
}

/// Adds random jitter of up to one half, so that many clients that failed together do not return together.
fn drawn_out(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(wait) % 512;
    wait + wait.mul_f64(random as f64 / 1024.0)
}

/// `google.rpc.RetryInfo`, which the API's crate does not define.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<protobuf::Duration>,
}

/// The wait that the server requests; `None` if it does not say.
fn asked_for(status: &Status) -> Option<Duration> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_request_are_not_transient() {
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated, Code::NotFound] {
            assert!(!is_passing(&Status::new(code, "")), "{code:?}");
        }
        assert!(is_passing(&Status::unavailable("")));
        assert!(is_passing(&Status::internal("h2 protocol error: error reading a body from connection")));
        assert!(!is_passing(&Status::internal("a bug of the server")));
    }

    #[test]
    fn delays_double_up_to_a_limit() {
        for (n_failed, base) in [(1, 100), (2, 200), (4, 800), (40, 5000)] {
            let waited = delay(n_failed, &Status::unavailable(""), Duration::from_secs(60)).as_millis();
            assert!((base..=base * 3 / 2).contains(&waited), "{waited}");
        }
    }

    #[test]
    fn a_server_may_request_another_wait() {
        let asking = |seconds, nanos| {
            let info = RetryInfo { retry_delay: Some(protobuf::Duration { seconds, nanos }) };
            let detail = protobuf::Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                value: info.encode_to_vec(),
            };
            let details = rpc::Status { details: vec![detail], ..rpc::Status::default() };
            Status::with_details(Code::Unavailable, "", details.encode_to_vec().into())
        };
        assert_eq!(asked_for(&asking(3, 500_000_000)), Some(Duration::from_millis(3500)));
        for nonsense in [asking(-1, 0), asking(0, -1), Status::unavailable("")] {
            assert_eq!(asked_for(&nonsense), None);
        }
        let longest = Duration::from_secs(60);
        let waited = delay(1, &asking(20, 0), longest).as_secs();
        assert!((20..=30).contains(&waited), "{waited}");
        assert_eq!(delay(1, &asking(i64::MAX, 0), longest), longest);
        assert!(delay(9, &asking(0, 0), longest).is_zero());
    }
}
