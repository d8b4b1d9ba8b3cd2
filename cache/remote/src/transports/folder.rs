//! A shared folder, in the layout of Bazel's disk cache: `blake3/ac/ab/abcd…` and `blake3/cas/ab/abcd…`.
//!
//! Other users write to it, so its content is not trusted: links below the root are not followed, and only regular
//! files are opened. A file appears complete or not at all: it is written in `blake3/tmp`, synced and renamed. There
//! are no locks. New files and folders get the access rights of the root, regardless of the process's umask.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use mc_digest::digest::BlobDigest;
use mc_files::folder::Folder as Directory;
use mc_files::path_error::PathError;
use mc_files::regular::touch;
use mc_files::status::Kind;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;
use crate::transports::answer::MAX_RESULT;
use crate::transports::grpc::resource::uuid;

/// Age after which an unmodified temporary file counts as abandoned.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes per write.
const PIECE: usize = 1 << 20;

/// Folder of temporary files.
const UNFINISHED: &str = "blake3/tmp";

/// A shared folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Permissions of the root.
    permissions: Permissions,
    /// Runs before the first write: removes abandoned temporary files.
    clearing: Once,
}

impl Folder {
    /// Opens the cache in an existing folder. The folder is not created, because an unmounted share must not fill the
    /// local disk.
    ///
    /// # Errors
    /// Fails if the path does not exist or is not a folder.
    pub fn open(root: &Path) -> Result<Self, RemoteError> {
        let found = fs::metadata(root).and_then(|metadata| {
            if metadata.is_dir() {
                Ok(metadata.permissions())
            } else {
                Err(io::Error::other("it is not a folder"))
            }
        });
        let permissions = found.map_err(|source| failed(root, source))?;
        Ok(Self { root: root.to_path_buf(), permissions, clearing: Once::new() })
    }

    /// Opens the root, which may have been unmounted. No link below it is followed.
    fn root(&self) -> Result<Directory, RemoteError> {
        Directory::open(&self.root).map_err(|source| failed(&self.root, source))
    }

    /// Maps a missing file or folder to `None`.
    fn there<T>(&self, path: &Path, found: io::Result<T>) -> Result<Option<T>, RemoteError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.root.join(path), error)),
        }
    }

    /// Creates a folder below the root, including its parents, with the root's permissions.
    fn make(&self, root: &Directory, folder: &Path) -> io::Result<Directory> {
        match root.folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut part = PathBuf::new();
        for name in folder {
            part.push(name);
            match root.create_new_folder(&part) {
                // On a file system without permissions this fails, which is harmless.
                Ok(()) => drop(root.folder(&part)?.file()?.set_permissions(self.permissions.clone())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        root.folder(folder)
    }

    fn put(&self, path: &Path, bytes: &[u8], sent: &dyn Fn(usize)) -> Result<(), RemoteError> {
        let root = self.root()?;
        self.write_in(&root, path, bytes, sent).map_err(|source| failed(&self.root.join(path), source))
    }

    fn write_in(&self, root: &Directory, path: &Path, bytes: &[u8], sent: &dyn Fn(usize)) -> io::Result<()> {
        self.make(root, path.parent().unwrap_or(path))?;
        let unfinished = self.make(root, Path::new(UNFINISHED))?;
        let name = PathBuf::from(uuid());
        let mut file = unfinished.create_file(&name, 0o600)?;
        self.clearing.call_once(|| clear(&unfinished, &file));
        let mut write = || {
            for (index, piece) in bytes.chunks(PIECE).enumerate() {
                file.write_all(piece)?;
                sent(index * PIECE + piece.len());
            }
            file.set_permissions(of_file(&self.permissions))?;
            file.sync_all()?;
            unfinished.rename(&name, root, path)
        };
        // A partial file is useless.
        write().inspect_err(|_| drop(unfinished.remove_file(&name)))
    }
}

/// Removes temporary files of killed processes. Files that this user cannot remove are left for their owner.
///
/// * `new`: a file just created in that folder. Its time is the folder's own clock, which may differ from this
///   machine's and must not make the files of others look old
fn clear(unfinished: &Directory, new: &File) {
    let modified = |metadata: fs::Metadata| mc_files::status::Status::of(&metadata).modified_ns;
    let Ok(now) = new.metadata().map(modified) else { return };
    for entry in unfinished.entries().unwrap_or_default().iter().filter(|entry| entry.kind == Kind::File) {
        let name = Path::new(&entry.name);
        let is_abandoned = |modified_ns: i128| now - modified_ns > ABANDONED.as_nanos() as i128;
        if unfinished.status_of(name).is_ok_and(|status| is_abandoned(status.modified_ns)) {
            drop(unfinished.remove_file(name));
        }
    }
}

/// The path of an object below the root.
fn place(kind: &str, digest: &BlobDigest) -> PathBuf {
    let name = digest.hash.to_string();
    Path::new("blake3").join(kind).join(&name[..2]).join(name)
}

/// Permissions of a file in a folder with these permissions: the same readers, and the owner may also update its time.
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
        let path = place("ac", key);
        match self.root()?.read(&path, MAX_RESULT) {
            // The entry is not a regular file, so another user planted it; other results are unaffected.
            Err(error) if PathError::of(&error).is_some() => {
                Err(RemoteError::NoResult { server: self.name(), reason: error.to_string() })
            }
            found => self.there(&path, found),
        }
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], _named: &[BlobDigest]) -> Result<(), RemoteError> {
        self.put(&place("ac", key), result, &|_| {})
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        let root = self.root()?;
        let mut missing = Vec::new();
        for blob in blobs {
            let path = place("cas", blob);
            let status = self.there(&path, root.status_of(&path))?;
            if status.is_none_or(|status| status.kind != Kind::File || status.n_bytes != blob.n_bytes) {
                missing.push(*blob);
            }
        }
        Ok(missing)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let path = place("cas", blob);
        let opened = match self.root()?.open_file(&path) {
            Err(error) if PathError::of(&error).is_some() => {
                let (server, expected) = (self.name(), format!("blob {blob}"));
                return Err(RemoteError::InvalidResponse { server, expected, found: error.to_string() });
            }
            opened => self.there(&path, opened)?,
        };
        let Some(mut file) = opened else { return Ok(None) };
        // Cleanup goes by age. On a read-only folder this fails, which is harmless.
        drop(touch(&file));
        file.seek(SeekFrom::Start(first)).map_err(|source| failed(&self.root.join(path), source))?;
        Ok(Some(Box::new(file)))
    }

    fn write_with_progress(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        self.put(&place("cas", blob), bytes, sent)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn stored_objects_are_found_and_abandoned_files_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let blob = BlobDigest::of(b"abc");
        assert_eq!(folder.missing(&[blob]).unwrap(), [blob]);
        folder.write(&blob, b"abc").unwrap();
        assert!(folder.missing(&[blob]).unwrap().is_empty());
        let mut bytes = String::new();
        folder.read(&blob, 1).unwrap().unwrap().read_to_string(&mut bytes).unwrap();
        assert_eq!(bytes, "bc");

        let unfinished = root.path().join(UNFINISHED);
        assert_eq!(fs::read_dir(&unfinished).unwrap().count(), 0);
        let (old, new) = (unfinished.join("old"), unfinished.join("new"));
        fs::write(&new, "half").unwrap();
        fs::write(&old, "half").unwrap();
        let long_ago = SystemTime::now() - 2 * ABANDONED;
        File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
        // A reader removes nothing.
        let folder = Folder::open(root.path()).unwrap();
        assert!(folder.missing(&[blob]).unwrap().is_empty() && old.exists());
        folder.write(&blob, b"abc").unwrap();
        assert_eq!((old.exists(), new.exists()), (false, true));
        assert!(Folder::open(&new).is_err());
    }

    #[test]
    fn a_missing_root_is_reported_and_not_created() {
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

    #[test]
    fn new_files_have_the_access_rights_of_the_root() {
        use std::os::unix::fs::PermissionsExt as _;

        let root = tempfile::tempdir().unwrap();
        // No common umask keeps all bits of the first mode or produces the second.
        for (mode, of_file) in [(0o2777, 0o644), (0o2770, 0o640)] {
            let root = root.path().join(format!("{mode:o}"));
            fs::create_dir(&root).unwrap();
            fs::set_permissions(&root, Permissions::from_mode(mode)).unwrap();
            let folder = Folder::open(&root).unwrap();
            let blob = BlobDigest::of(b"abc");
            folder.write(&blob, b"abc").unwrap();
            let path = root.join(place("cas", &blob));
            let found = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found(&path), of_file);
            let made = path.ancestors().skip(1).take_while(|above| *above != root);
            for made in made.chain([root.join(UNFINISHED).as_path()]) {
                assert_eq!(found(made), mode, "{}", made.display());
            }
        }
    }
}
