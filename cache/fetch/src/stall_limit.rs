//! Timeouts and retries for servers.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Timeouts and retries for servers.
#[derive(Clone, Copy, Debug)]
pub struct StallLimit {
    /// Time limit for a connection: name resolution, TCP and TLS.
    pub connect: Duration,
    /// Time limit without data on a connection, which is also the interval over which the speed must reach [`SLOWEST`].
    /// There is no limit on the whole transfer: a model may take hours.
    pub idle: Duration,
    /// Number of consecutive retries without progress.
    pub n_retries: u32,
    /// True to also retry a server that timed out, for requests that cannot be skipped.
    pub asks_silent: bool,
    /// The wait before the first retry; it doubles with each.
    pub first_delay: Duration,
    /// The longest wait, even if a server requests more.
    pub longest_delay: Duration,
}

/// Minimum speed in bytes per second.
pub const SLOWEST: u64 = 1024;

impl Default for StallLimit {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            n_retries: 3,
            asks_silent: true,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(60),
        }
    }
}

impl StallLimit {
    /// The wait before try number `n_failed + 1`.
    pub fn delay(&self, n_failed: u32) -> Duration {
        let factor = 1_u32 << n_failed.saturating_sub(1).min(16);
        self.first_delay.saturating_mul(factor).min(self.longest_delay)
    }
}

/// A reader that fails on a source that is too slow.
pub struct StallReader<R> {
    inner: R,
    idle: Duration,
    since: Instant,
    n_bytes: u64,
}

impl<R> StallReader<R> {
    /// Wraps `inner`, which must deliver [`SLOWEST`] bytes per second or more in every interval of `idle`.
    pub fn new(inner: R, idle: Duration) -> Self {
        Self { inner, idle, since: Instant::now(), n_bytes: 0 }
    }
}

impl<R: Read> Read for StallReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.n_bytes += n_read as u64;
        let elapsed = self.since.elapsed();
        if elapsed >= self.idle {
            if n_read > 0 && self.n_bytes < SLOWEST.saturating_mul(elapsed.as_secs().max(1)) {
                let what = format!("only {} bytes arrived in {} s", self.n_bytes, elapsed.as_secs_f32());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            (self.since, self.n_bytes) = (Instant::now(), 0);
        }
        Ok(n_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit() {
        let stall_limit = StallLimit::default();
        let waits: Vec<u128> = (1..=9).map(|n_failed| stall_limit.delay(n_failed).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(stall_limit.delay(u32::MAX), stall_limit.longest_delay);
    }

    #[test]
    fn a_dripping_source_fails() {
        struct Drip;
        impl Read for Drip {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                std::thread::sleep(Duration::from_millis(5));
                buffer[0] = 1;
                Ok(1)
            }
        }
        let mut paced = StallReader::new(Drip, Duration::from_millis(30));
        let error = io::copy(&mut paced, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
