//! The reason why a request brought nothing, and when it is worth asking again.

use std::io;
use std::thread;
use std::time::Duration;

use crate::error::FetchError;
use crate::stall_limit::StallLimit;
use crate::url::Url;

/// The reason why there is no answer, or none of use.
#[derive(Debug)]
pub struct Refusal {
    /// The error, should nobody ask again.
    pub error: Box<FetchError>,
    /// True if another try may help.
    pub is_passing: bool,
    /// True if the server said nothing until its time was up.
    pub is_silence: bool,
    /// The time for which the server wants to be left alone.
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

    /// Waits before another try, where that may help.
    ///
    /// # Errors
    /// The refusal, when it does not help, or was tried too often.
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

/// Asks until there is an answer, or a refusal that does not pass.
///
/// # Errors
/// The last refusal.
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
