//! Makes files durable, many at a time.
//!
//! A disk is slow to confirm that it has written something, and a file system with a journal confirms all files that wait
//! at the same moment at once. So many files that are synced side by side take little longer than one.
//!
//! Linux can also sync a whole file system in one call. That call waits for what other programs wrote, does not say which
//! file failed, and does nothing on some file systems that are not the kernel's own; so it is not used.

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Files that are synced at a time. More did not make groups faster on the disks that were tried.
const N_THREADS: usize = 32;

/// Waits until the bytes and the metadata of each file are on its disk. The results are in the order of the files.
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
            // Fewer threads are enough: this one takes what is left.
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
