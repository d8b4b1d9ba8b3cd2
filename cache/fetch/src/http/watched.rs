//! Connections with a time limit per read, against servers that keep sending without progress.
//!
//! The HTTP client reads on while it needs more, and each wait for data may last as long as the idle timeout. A single
//! call could therefore read forever from a server that sends endless trailers. The reader of a body sets the time
//! limit of one call ([`Watched`]); the connection under it checks the clock before it waits.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

thread_local! {
    /// Deadline of the current read in this thread.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A body with a time limit for each read.
pub(crate) struct Watched<R> {
    inner: R,
    longest: Duration,
}

impl<R> Watched<R> {
    pub(crate) fn new(inner: R, longest: Duration) -> Self {
        Self { inner, longest }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        UNTIL.set(Instant::now().checked_add(self.longest));
        let read = self.inner.read(buffer);
        UNTIL.set(None);
        read
    }
}

/// Wraps the connections of another connector so that they check the deadline.
#[derive(Debug)]
pub(crate) struct Watching;

/// A connection that checks the deadline.
#[derive(Debug)]
pub(crate) struct WatchedTransport<T>(T);

impl<In: Transport> Connector<In> for Watching {
    type Out = WatchedTransport<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, made: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(made.map(WatchedTransport))
    }
}

impl<T: Transport> Transport for WatchedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if UNTIL.get().is_some_and(|until| Instant::now() > until) {
            let what = "it keeps sending without progress";
            return Err(io::Error::new(io::ErrorKind::TimedOut, what).into());
        }
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
