//! A folder that all share, in the layout of Bazel's disk cache: `blake3/ac/ab/abcd…` and `blake3/cas/ab/abcd…`.
//!
//! A file appears whole or not at all: it is written in `blake3/tmp`, made durable and renamed. Nobody takes a lock.
//! Who may read and write what is made in it is what the root's permissions say, whatever the maker's umask is.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;

/// A file that nobody wrote to for so long will never be whole.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;

/// A shared folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Of the root.
    permissions: Permissions,
}

impl Folder {
    /// The cache in a folder, which must be there: what is not mounted must not be made on this machine's own disk.
    ///
    /// # Errors
    /// When it is not there or is no folder.
    pub fn open(root: &Path) -> Result<Self, RemoteError> {
        let found = fs::metadata(root).and_then(|metadata| {
            if metadata.is_dir() {
                Ok(metadata.permissions())
            } else {
                Err(io::Error::other("it is no folder"))
            }
        });
        let permissions = found.map_err(|source| failed(root, source))?;
        let folder = Self { root: root.to_path_buf(), permissions };
        folder.clear_unfinished();
        Ok(folder)
    }

    /// Where files are until they are whole.
    fn unfinished(&self) -> PathBuf {
        self.root.join("blake3").join("tmp")
    }

    /// Removes what processes that were killed left. What cannot be removed is for whoever may.
    fn clear_unfinished(&self) {
        for entry in fs::read_dir(self.unfinished()).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified());
            if age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED)) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    fn path(&self, kind: &str, digest: &BlobDigest) -> PathBuf {
        let name = digest.hash.to_string();
        self.root.join("blake3").join(kind).join(&name[..2]).join(name)
    }

    /// Makes a folder below the root, and those that it is in; never the root itself, which may be gone because it is
    /// not mounted any more.
    fn make(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let missing: Vec<&Path> = folder.ancestors().take_while(|above| *above != self.root).collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                // A file system without permissions lets everybody in, or nobody.
                Ok(()) => drop(fs::set_permissions(folder, self.permissions.clone())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is there, as something that may be missing; an error where all of the folder is gone.
    fn there<T>(&self, path: &Path, found: io::Result<T>) -> Result<Option<T>, RemoteError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
            Err(_) if self.root.is_dir() => Ok(None),
            Err(error) => Err(failed(&self.root, error)),
        }
    }

    fn put(&self, path: &Path, bytes: &[u8], sent: &dyn Fn(usize)) -> Result<(), RemoteError> {
        let folder = path.parent().unwrap_or(&self.root);
        let unfinished = self.unfinished();
        let put = || {
            self.make(folder)?;
            self.make(&unfinished)?;
            let mut file = tempfile::NamedTempFile::new_in(&unfinished)?;
            for (index, piece) in bytes.chunks(PIECE).enumerate() {
                file.write_all(piece)?;
                sent(index * PIECE + piece.len());
            }
            file.flush()?;
            file.as_file().sync_all()?;
            #[cfg(unix)]
            file.as_file().set_permissions(of_file(&self.permissions))?;
            file.persist(path)?;
            Ok(())
        };
        put().map_err(|source| failed(path, source))
    }
}

/// Who may read a file in a folder with these permissions: whoever may read the folder. Its owner may touch it, too.
#[cfg(unix)]
fn of_file(folder: &Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;

    Permissions::from_mode(folder.mode() & 0o444 | 0o600)
}

fn failed(path: &Path, source: io::Error) -> RemoteError {
    RemoteError::Folder { path: path.display().to_string(), source }
}

impl Transport for Folder {
    fn name(&self) -> String {
        format!("file://{}", self.root.display())
    }

    fn function(&self) -> Result<DigestFunction, RemoteError> {
        Ok(DigestFunction::Blake3)
    }

    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        let path = self.path("ac", key);
        self.there(&path, fs::read(&path))
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], _named: &[BlobDigest]) -> Result<(), RemoteError> {
        self.put(&self.path("ac", key), result, &|_| {})
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        let mut missing = Vec::new();
        for blob in blobs {
            let path = self.path("cas", blob);
            let metadata = self.there(&path, fs::metadata(&path))?;
            if metadata.is_none_or(|metadata| metadata.len() != blob.n_bytes) {
                missing.push(*blob);
            }
        }
        Ok(missing)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let path = self.path("cas", blob);
        let Some(mut file) = self.there(&path, File::open(&path))? else { return Ok(None) };
        // Whoever clears the folder goes by age. A folder that may only be read stays as it is.
        drop(file.set_modified(SystemTime::now()));
        file.seek(SeekFrom::Start(first)).map_err(|source| failed(&path, source))?;
        Ok(Some(Box::new(file)))
    }

    fn write_telling(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        self.put(&self.path("cas", blob), bytes, sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_and_what_was_left_behind_goes() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let blob = BlobDigest::of(b"abc");
        assert_eq!(folder.missing(&[blob]).unwrap(), [blob]);
        folder.write(&blob, b"abc").unwrap();
        assert!(folder.missing(&[blob]).unwrap().is_empty());
        let mut bytes = String::new();
        folder.read(&blob, 1).unwrap().unwrap().read_to_string(&mut bytes).unwrap();
        assert_eq!(bytes, "bc");

        let unfinished = folder.unfinished();
        assert_eq!(fs::read_dir(&unfinished).unwrap().count(), 0);
        let (old, new) = (unfinished.join("old"), unfinished.join("new"));
        fs::write(&new, "half").unwrap();
        fs::write(&old, "half").unwrap();
        let long_ago = SystemTime::now() - 2 * ABANDONED;
        File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
        Folder::open(root.path()).unwrap();
        assert_eq!((old.exists(), new.exists()), (false, true));
        assert!(Folder::open(&new).is_err());
    }

    #[test]
    fn a_root_that_is_gone_is_told_of_and_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("team");
        fs::create_dir(&root).unwrap();
        let folder = Folder::open(&root).unwrap();
        fs::remove_dir(&root).unwrap();
        let blob = BlobDigest::of(b"abc");
        let errors = [folder.write(&blob, b"abc").unwrap_err(), folder.result(&blob).unwrap_err()];
        assert!(errors.iter().all(RemoteError::is_of_server), "{errors:?}");
        assert!(!root.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_may_be_used_by_whoever_may_use_the_root() {
        use std::os::unix::fs::PermissionsExt as _;

        let root = tempfile::tempdir().unwrap();
        // No umask that anybody has lets all of the first through, nor gives the second.
        for (mode, of_file) in [(0o2777, 0o644), (0o2770, 0o640)] {
            let root = root.path().join(format!("{mode:o}"));
            fs::create_dir(&root).unwrap();
            fs::set_permissions(&root, Permissions::from_mode(mode)).unwrap();
            let folder = Folder::open(&root).unwrap();
            let blob = BlobDigest::of(b"abc");
            folder.write(&blob, b"abc").unwrap();
            let path = folder.path("cas", &blob);
            let found = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found(&path), of_file);
            let made = path.ancestors().skip(1).take_while(|above| *above != root);
            for made in made.chain([folder.unfinished().as_path()]) {
                assert_eq!(found(made), mode, "{}", made.display());
            }
        }
    }
}
