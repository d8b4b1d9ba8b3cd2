//! Bytes of a tensor, borrowed from a mapped file or a buffer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::RuntimeError;

/// Bytes borrowed from their owner: a mapped file or a buffer.
#[derive(Clone)]
pub struct WeightBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl WeightBytes {
    /// Borrows a range of the owner's bytes.
    ///
    /// # Errors
    /// [`RuntimeError::RangeOutside`] if the owner has fewer bytes.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Result<Self, RuntimeError> {
        let available = (*owner).as_ref().len();
        if range.start > range.end || range.end > available {
            return Err(RuntimeError::RangeOutside { start: range.start, end: range.end, available });
        }
        Ok(Self { owner, range })
    }

    /// Takes all bytes of a buffer.
    pub fn owned(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(bytes), range }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl WeightBytes {
    /// Number of bytes.
    pub(crate) fn n_bytes(&self) -> usize {
        self.range.len()
    }

    /// A part of the bytes, which must lie within them.
    pub(crate) fn stretch(&self, start: usize, n_bytes: usize) -> Self {
        let start = self.range.start + start;
        Self { owner: Arc::clone(&self.owner), range: start..start + n_bytes }
    }
}

impl fmt::Debug for WeightBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WeightBytes({:?})", self.range)
    }
}
