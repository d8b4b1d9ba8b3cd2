//! Division of large blobs into chunks by FastCDC, with the server's parameters, so that both sides get the same
//! chunks. `chunks` transfers them.

use bazel_remote_apis::build::bazel::remote::execution::v2::FastCdc2020Params;
use fastcdc::v2020::{FastCDC, Normalization};
use mc_digest::digest::BlobDigest;

use crate::function::DigestFunction;

/// A blob smaller than this many maximum-size chunks is transferred whole.
const MIN_CHUNKS: u64 = 4;

/// Minimum size of a blob in chunks, if the server does not state its parameters.
pub(crate) const SMALLEST: u64 = MIN_CHUNKS * 4 * DEFAULT_AVERAGE;

/// Average chunk sizes that the API allows.
const AVERAGE: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;

/// Average chunk size, if the server does not state it.
const DEFAULT_AVERAGE: u64 = 512 << 10;

/// Chunking parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    average: u64,
    seed: u32,
}

impl Cut {
    /// Converts a server's parameters; `None` if the API does not allow them.
    pub(crate) fn of(parameters: &FastCdc2020Params) -> Option<Self> {
        let average = match parameters.avg_chunk_size_bytes {
            0 => DEFAULT_AVERAGE,
            average => average,
        };
        AVERAGE.contains(&average).then_some(Self { average, seed: parameters.seed })
    }

    /// Returns true if a blob of this size should be chunked.
    pub(crate) fn is_for(&self, n_bytes: u64) -> bool {
        n_bytes > MIN_CHUNKS * self.largest()
    }

    fn largest(&self) -> u64 {
        4 * self.average
    }

    /// The chunks of a blob, in order.
    pub(crate) fn chunks<'a>(
        &self,
        function: DigestFunction,
        bytes: &'a [u8],
    ) -> Vec<(BlobDigest, &'a [u8])> {
        let [smallest, average, largest] =
            [self.average / 4, self.average, self.largest()].map(|n| n as usize);
        let seed = u64::from(self.seed);
        let chunks =
            FastCDC::with_level_and_seed(bytes, smallest, average, largest, Normalization::Level2, seed);
        chunks
            .map(|chunk| {
                let bytes = &bytes[chunk.offset..chunk.offset + chunk.length];
                (function.digest(bytes), bytes)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn noise(n_bytes: usize) -> Vec<u8> {
        let blocks = (0..n_bytes.div_ceil(32) as u64)
            .flat_map(|seed| *BlobDigest::of(&seed.to_le_bytes()).hash.as_bytes());
        blocks.take(n_bytes).collect()
    }

    #[test]
    fn inserted_bytes_change_few_chunks() {
        let cut = Cut::of(&FastCdc2020Params { avg_chunk_size_bytes: 4 << 10, seed: 0 }).unwrap();
        let bytes = noise(400_000);
        let chunks = cut.chunks(DigestFunction::Blake3, &bytes);
        assert_eq!(chunks.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), bytes.len());
        let names: BTreeSet<BlobDigest> = chunks.iter().map(|(name, _)| *name).collect();
        let edited = [b"96 bytes more in front"[..].to_vec(), bytes].concat();
        let after = cut.chunks(DigestFunction::Blake3, &edited);
        let n_new = after.iter().filter(|(name, _)| !names.contains(name)).count();
        assert!(after.len() > 50 && n_new <= 2, "{n_new} of {}", after.len());
    }

    #[test]
    fn parameters_that_the_api_does_not_allow_are_refused() {
        let cut = |average| Cut::of(&FastCdc2020Params { avg_chunk_size_bytes: average, seed: 0 });
        assert!(cut(512).is_none() && cut(2 << 20).is_none());
        assert_eq!(cut(0), cut(DEFAULT_AVERAGE));
        assert!(!cut(0).unwrap().is_for(8 << 20) && cut(0).unwrap().is_for((8 << 20) + 1));
    }
}
