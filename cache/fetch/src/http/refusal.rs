//! The reason for a failed request, and whether a retry may help.

use std::io;
use std::thread;
use std::time::Duration;

use crate::error::FetchError;
use crate::stall_limit::StallLimit;
use crate::url::Url;

/// A failed request.
#[derive(Debug)]
pub struct Refusal {
    /// The error to report without a retry.
    pub error: Box<FetchError>,
    /// True if a retry may help.
    pub is_passing: bool,
    /// True if the server timed out.
    pub is_silence: bool,
    /// Wait that the server requests.
    pub after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn connection(url: &Url, reason: &str, is_passing: bool) -> Self {
        let error = FetchError::Connection { url: url.clone(), reason: reason.to_owned(), is_passing };
        Self { error: error.into(), is_passing, is_silence: false, after: None }
    }

    /// A connection that failed while its bytes were read.
    pub(crate) fn broken(url: &Url, error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let is_silence =
            error.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)));
        Self { is_silence, ..Self::connection(url, &error.to_string(), true) }
    }

    /// Waits before a retry, if one may help.
    ///
    /// # Errors
    /// The error, if a retry cannot help or the limit of retries is reached.
    pub(crate) fn wait(self, stall_limit: &StallLimit, n_failed: u32) -> Result<(), FetchError> {
        let had_its_time = self.is_silence && !stall_limit.asks_silent;
        if !self.is_passing || had_its_time || n_failed > stall_limit.n_retries {
            return Err(*self.error);
        }
        let delay = stall_limit.delay(n_failed).max(self.after.unwrap_or_default());
        thread::sleep(delay);
        Ok(())
    }
}

impl From<FetchError> for Refusal {
    fn from(error: FetchError) -> Self {
        Self { error: error.into(), is_passing: false, is_silence: false, after: None }
    }
}

/// Repeats a request until it succeeds or fails permanently.
///
/// # Errors
/// The last failure.
pub(crate) fn patiently<T>(
    stall_limit: &StallLimit,
    ask: impl Fn() -> Result<T, Refusal>,
) -> Result<T, FetchError> {
    let mut n_failed = 0;
    loop {
        match ask() {
            Ok(found) => return Ok(found),
            Err(refusal) => {
                n_failed += 1;
                refusal.wait(stall_limit, n_failed)?;
            }
        }
    }
}
