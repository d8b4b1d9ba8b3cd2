//! Hashes ranges of files by reading them.
//!
//! Reads rather than maps: a file that shrinks or fails during the read then causes an error, not a signal.

use mc_digest::digest::BlobDigest;
use mc_digest::hasher::Hasher;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const CHUNK: u64 = 4 * 1024 * 1024;

/// The digest of up to `len` bytes of `file` from `offset`. The size in the digest is the number of bytes read.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn hash_range(file: &File, offset: u64, len: u64) -> io::Result<BlobDigest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; len.min(CHUNK) as usize];
    while hasher.n_bytes() < len {
        let wanted = (len - hasher.n_bytes()).min(CHUNK) as usize;
        match file.read_at(&mut buffer[..wanted], offset + hasher.n_bytes()) {
            Ok(0) => break,
            Ok(n_read) => drop(hasher.update_parallel(&buffer[..n_read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_range_is_hashed_up_to_the_end_of_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..10_000_000u32).map(|i| (i / 7) as u8).collect();
        file.write_all(&bytes).unwrap();
        assert_eq!(hash_range(&file, 0, 10_000_000).unwrap(), BlobDigest::of(&bytes));
        assert_eq!(hash_range(&file, 5, 9_000_000).unwrap(), BlobDigest::of(&bytes[5..9_000_005]));
        assert_eq!(hash_range(&file, 9_999_999, 100).unwrap(), BlobDigest::of(&bytes[9_999_999..]));
        assert_eq!(hash_range(&file, 20_000_000, 100).unwrap(), BlobDigest::of(b""));
    }
}
