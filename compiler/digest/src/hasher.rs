//! Hashes bytes: incrementally, in parallel, or while they are written.
//!
//! The digest of a byte sequence does not depend on how the sequence was split into updates, nor on the number of
//! threads.

use crate::digest::{ActionDigest, BlobDigest, Digest};
use std::io;

/// [`Hasher::update_parallel`] stays on one thread below this many bytes: distributing the work costs more than hashing
/// 128 KiB at 4 GB/s.
const PARALLEL_FROM: usize = 128 * 1024;

/// An incremental BLAKE3 hasher that counts its bytes.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    state: blake3::Hasher,
    n_bytes: u64,
}

impl Hasher {
    /// Creates a hasher without input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes`, on this thread.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.state.update(bytes);
        self.n_bytes += bytes.len() as u64;
        self
    }

    /// Appends `bytes`, splitting large slices across the current rayon pool. The digest is the same as with
    /// [`Self::update`].
    pub fn update_parallel(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.len() < PARALLEL_FROM {
            return self.update(bytes);
        }
        self.state.update_rayon(bytes);
        self.n_bytes += bytes.len() as u64;
        self
    }

    /// Number of bytes appended so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The digest of everything appended so far.
    pub fn finish(&self) -> BlobDigest {
        BlobDigest::new(Digest::from_bytes(*self.state.finalize().as_bytes()), self.n_bytes)
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobDigest {
    /// The digest of `bytes`, computed in parallel if there are many.
    pub fn of(bytes: &[u8]) -> Self {
        Hasher::new().update_parallel(bytes).finish()
    }
}

impl ActionDigest {
    /// The digest of an encoded action.
    pub fn of(encoding: &[u8]) -> Self {
        let BlobDigest { hash, n_bytes } = BlobDigest::of(encoding);
        Self { hash, n_bytes }
    }
}

/// A writer that hashes the bytes that its inner writer accepted.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: io::Write> HashingWriter<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new() }
    }

    /// The digest of the bytes that `inner` accepted so far.
    pub fn digest(&self) -> BlobDigest {
        self.hasher.finish()
    }

    /// The inner writer, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The inner writer and the digest of the bytes that it accepted. Does not flush.
    pub fn into_parts(self) -> (W, BlobDigest) {
        let digest = self.hasher.finish();
        (self.inner, digest)
    }
}

impl<W: io::Write> io::Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.inner.write(bytes)?;
        self.hasher.update_parallel(&bytes[..n_written]);
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn parallel_hashing_gives_the_sequential_digest() {
        let bytes: Vec<u8> = (0..3_000_001u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let sequential = Hasher::new().update(&bytes).finish();
        assert_eq!(Hasher::new().update_parallel(&bytes).finish(), sequential);
        assert_eq!(BlobDigest::of(&bytes), sequential);
    }

    #[test]
    fn only_accepted_bytes_are_hashed() {
        struct Half(Vec<u8>);
        impl Write for Half {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let n = bytes.len().div_ceil(2);
                self.0.extend_from_slice(&bytes[..n]);
                Ok(n)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = HashingWriter::new(Half(Vec::new()));
        writer.write_all(b"some bytes in several pieces").unwrap();
        let (half, digest) = writer.into_parts();
        assert_eq!(half.0, b"some bytes in several pieces");
        assert_eq!(digest, BlobDigest::of(&half.0));
    }

    proptest! {
        #[test]
        fn cuts_do_not_change_the_digest(bytes: Vec<u8>, cut in 0usize..100) {
            let cut = cut.min(bytes.len());
            let mut hasher = Hasher::new();
            hasher.update(&bytes[..cut]).update(&bytes[cut..]);
            prop_assert_eq!(hasher.finish(), BlobDigest::of(&bytes));
            prop_assert_eq!(hasher.n_bytes(), bytes.len() as u64);
        }
    }
}
