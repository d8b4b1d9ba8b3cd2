//! Makes files durable, many at a time.
//!
//! A disk is slow to confirm a write, and a journaling file system confirms all waiting files together. So syncing many
//! files in parallel takes little longer than syncing one.
//!
//! Linux can also sync a whole file system in one call. This is not used, because the call also waits for writes of
//! other programs, does not report which file failed, and does nothing on some file systems outside the kernel.

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Number of files synced in parallel. Higher numbers were not faster on the disks tested.
const N_THREADS: usize = 32;

/// Waits until the data and metadata of each file are on disk. The results are in the order of the files.
pub(crate) fn sync_all(files: &[&File]) -> Vec<io::Result<()>> {
    let results: Vec<OnceLock<io::Result<()>>> = files.iter().map(|_| OnceLock::new()).collect();
    let n_begun = AtomicUsize::new(0);
    let work = || {
        while let Some((file, result)) = {
            let file_idx = n_begun.fetch_add(1, Ordering::Relaxed);
            files.get(file_idx).zip(results.get(file_idx))
        } {
            result.get_or_init(|| file.sync_all());
        }
    };
    thread::scope(|scope| {
        for _ in 1..files.len().min(N_THREADS) {
            // Fewer threads are enough: this one does the remaining work.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    results.into_iter().map(|result| result.into_inner().expect("each file was given to a thread")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn each_file_has_its_own_result() {
        let mut files: Vec<File> = (0..100).map(|_| tempfile::tempfile().unwrap()).collect();
        for file in &mut files {
            file.write_all(b"bytes").unwrap();
        }
        // A pipe cannot be synced.
        let (reader, _writer) = io::pipe().unwrap();
        files.insert(57, File::from(std::os::fd::OwnedFd::from(reader)));
        let results = sync_all(&files.iter().collect::<Vec<_>>());
        assert_eq!(results.len(), 101);
        let failed: Vec<usize> = (0..101).filter(|&index| results[index].is_err()).collect();
        assert_eq!(failed, [57]);
        assert!(sync_all(&[]).is_empty());
    }
}
