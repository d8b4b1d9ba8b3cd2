//! Read-only bytes of a file, mapped into memory, cheap to clone.
//!
//! The only user of `memmap2` in this crate.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use mc_files::regular;

use crate::error::StoreError;

/// The bytes of a blob or of an input file. Clones share the mapping.
#[derive(Clone, Debug)]
pub struct MappedFile(Bytes);

#[derive(Clone, Debug)]
enum Bytes {
    // The system cannot map zero bytes, so an empty file is an empty vector.
    Heap(Arc<[u8]>),
    Map(Arc<memmap2::Mmap>),
}

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// Fails if the file is not a regular one, or cannot be opened or mapped.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = regular::open(path).map_err(|source| StoreError::io("open", path, source))?;
        Self::of(&file, path)
    }

    /// Maps only the given range of the file at `path`: a reader of single tensors in a large file then needs no more
    /// address space than the file has bytes.
    ///
    /// # Errors
    /// Fails if the file is not a regular one, cannot be opened or mapped, or is shorter.
    pub fn open_range(path: &Path, offset: u64, len: u64) -> Result<Self, StoreError> {
        let file = regular::open(path).map_err(|source| StoreError::io("open", path, source))?;
        let n_bytes = file.metadata().map_err(|source| StoreError::io("examine", path, source))?.len();
        let n_to_map = usize::try_from(len).ok();
        let n_to_map = n_to_map.filter(|_| offset.checked_add(len).is_some_and(|end| end <= n_bytes));
        let n_to_map =
            n_to_map.ok_or(StoreError::RangeOutside { path: path.to_owned(), offset, len, n_bytes })?;
        Self::map(&file, path, offset, n_to_map)
    }

    /// Maps an open file; `path` is for the error. The mapping outlives `file`.
    ///
    /// # Errors
    /// Fails if the file cannot be mapped.
    pub fn of(file: &File, path: &Path) -> Result<Self, StoreError> {
        let metadata = file.metadata().map_err(|source| StoreError::io("examine", path, source))?;
        let n_bytes = usize::try_from(metadata.len()).map_err(|_| {
            StoreError::io("map", path, std::io::Error::other("it is larger than the address space"))
        })?;
        Self::map(file, path, 0, n_bytes)
    }

    fn map(file: &File, path: &Path, offset: u64, n_bytes: usize) -> Result<Self, StoreError> {
        if n_bytes == 0 {
            return Ok(Self::from(Vec::new()));
        }
        #[expect(unsafe_code, reason = "a mapping costs no copy of a model that may exceed memory")]
        // SAFETY: `MmapOptions::map` requires that the file is not changed while it is mapped. This program never
        // changes a mapped file: blobs are renamed into place when complete, are read-only (0444) and are only ever
        // unlinked or renamed, which keeps the mapped inode whole; inputs are never written to. Another program could
        // still truncate the file, and touching a page past the new end would end this process by SIGBUS; it could also
        // change bytes, which readers tolerate because they treat mapped bytes as foreign: plain `u8`, checked where
        // they are parsed, hashed where they are copied. The same holds for every memory-mapping build tool; the
        // store's checks of a doubtful blob read the file instead of mapping it, so that damage found there is an error
        // and not a signal.
        let map = unsafe { memmap2::MmapOptions::new().offset(offset).len(n_bytes).map(file) };
        let map = map.map_err(|source| StoreError::io("map", path, source))?;
        Ok(Self(Bytes::Map(Arc::new(map))))
    }
}

impl MappedFile {
    /// Releases the memory of the first `n_bytes` bytes, for callers that read a large blob once, from front to back. A
    /// later access reads them from the file again. Only whole pages are released.
    pub fn release(&self, n_bytes: usize) {
        let Bytes::Map(map) = &self.0 else { return };
        let n_bytes = n_bytes.min(map.len()) / PAGES * PAGES;
        if n_bytes == 0 {
            return;
        }
        #[expect(unsafe_code, reason = "an uploaded blob would otherwise stay in memory as a whole")]
        // SAFETY: the advice is dangerous if it drops bytes that exist nowhere else. This mapping is shared with a file
        // and was never written to, so a dropped page is read from that file on the next access;
        // `released_bytes_can_be_read_again` compares. The range lies within the mapping.
        let advised = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, 0, n_bytes) };
        // If the system ignores the advice, it only holds more memory.
        drop(advised);
    }
}

/// A multiple of every page size.
const PAGES: usize = 1 << 16;

impl From<Vec<u8>> for MappedFile {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Heap(bytes.into()))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Heap(bytes) => bytes,
            Bytes::Map(map) => map,
        }
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_an_empty_slice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        assert!(MappedFile::open(&path).unwrap().is_empty());
    }

    #[test]
    fn a_mapping_outlives_the_name_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blob");
        std::fs::write(&path, b"bytes").unwrap();
        let mapped = MappedFile::open(&path).unwrap();
        let clone = mapped.clone();
        drop(mapped);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&clone[..], b"bytes");
    }

    #[test]
    fn released_bytes_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blob");
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|index| (index / 3) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapped = MappedFile::open(&path).unwrap();
        for n_bytes in [0, 1, 500_000, 1_000_000, usize::MAX] {
            assert_eq!(&mapped[..], &bytes[..]);
            mapped.release(n_bytes);
        }
        assert_eq!(&mapped[..], &bytes[..]);
        MappedFile::from(vec![1, 2]).release(2);
    }

    #[test]
    fn only_the_given_range_is_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index / 7) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        for (start, end) in [(0, 10), (1, 200_001), (4096, 4097), (299_999, 300_000), (300_000, 300_000)] {
            let mapped = MappedFile::open_range(&path, start, end - start).unwrap();
            for n_bytes in [0, 1 << 16, usize::MAX] {
                assert_eq!(&mapped[..], &bytes[start as usize..end as usize]);
                mapped.release(n_bytes);
            }
            assert_eq!(&mapped[..], &bytes[start as usize..end as usize]);
        }
        for (offset, len) in [(0, 300_001), (300_001, 0), (u64::MAX, 2)] {
            let error = MappedFile::open_range(&path, offset, len).unwrap_err().to_string();
            assert!(error.contains("is not inside"), "{error}");
        }
    }

    #[test]
    fn the_error_names_a_missing_file() {
        let error = MappedFile::open(Path::new("/no/such/file")).unwrap_err();
        assert!(error.to_string().starts_with("Could not open `/no/such/file`: "), "{error}");
    }
}
