//! Bytes that a server sends, and their pacing.

use std::sync::Arc;
use std::time::Duration;

/// Content that a server has under a name.
#[derive(Clone)]
pub(crate) enum Given {
    /// Nothing.
    Missing,
    /// These bytes, sent correctly.
    Bytes(Arc<[u8]>),
    /// A repeated piece.
    Stream(Stream),
}

/// A piece that is sent repeatedly.
#[derive(Clone)]
pub(crate) struct Stream {
    /// Declared number of bytes, if any.
    pub(crate) declared: Option<u64>,
    pub(crate) piece: Arc<[u8]>,
    pub(crate) n_pieces: u64,
    /// Pause before each piece.
    pub(crate) pause: Duration,
}

impl Given {
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(Arc::from(bytes.into()))
    }

    /// Endless zeros.
    pub(crate) fn endless() -> Self {
        Self::Stream(Stream {
            declared: None,
            piece: Arc::from(vec![0; 64 << 10]),
            n_pieces: u64::MAX,
            pause: Duration::ZERO,
        })
    }

    /// A few bytes at a time, endlessly.
    pub(crate) fn drip() -> Self {
        Self::Stream(Stream {
            declared: None,
            piece: Arc::from(vec![0]),
            n_pieces: u64::MAX,
            pause: Duration::from_millis(20),
        })
    }

    /// Zeros with a wrong declared length.
    pub(crate) fn lying(declared: u64, n_bytes: usize) -> Self {
        Self::Stream(Stream {
            declared: Some(declared),
            piece: Arc::from(vec![0; n_bytes]),
            n_pieces: 1,
            pause: Duration::ZERO,
        })
    }
}
