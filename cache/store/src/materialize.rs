//! Brings outputs from a store into a folder of the user, as ordinary files.
//!
//! The folder appears whole or not at all: it is made aside and put in place by one rename. Files are clones where
//! the file system can do that and copies elsewhere, never links, so that nothing the user does to them reaches the
//! store. A folder that is as it was left is not written again; a record in the store says how it was left.
//!
//! Files are made while others make theirs; only the change of names, which must see what others put there, is one
//! process's at a time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::HashingWriter;

use crate::error::StoreError;
use crate::folder_lock::lock_folder;
use crate::local::layout::sharded;
use crate::local::store::LocalStore;
use crate::publish::{READ_ONLY, create_parent, publish};
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::session::Session;
use crate::stamp::FileStamp;

const KIND: Kind = *b"out1";

/// The folder beside the user's, for when the store is on another disk.
const UNFINISHED: &str = ".unfinished";

/// How much of a blob is copied at once.
const COPY_BYTES: usize = 1 << 20;

/// A file to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where, relative to the folder, with `/`.
    pub path: String,
    /// The blobs whose bytes follow each other in it.
    pub parts: Vec<BlobDigest>,
}

/// What became of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Materialized {
    /// It was as it should be.
    Unchanged,
    /// It was made.
    Written,
}

impl LocalStore {
    /// Makes `folder` hold exactly these files. `root` is a folder above it, in which unfinished files may be kept
    /// when the store is on another file system.
    ///
    /// What other targets have put below `folder` stays.
    ///
    /// # Errors
    /// If a blob is missing or a file cannot be written; then the folder is as it was.
    pub fn materialize(
        &self,
        root: &Path,
        folder: &Path,
        files: &[TreeFile],
    ) -> Result<Materialized, StoreError> {
        check_paths(files)?;
        let record_path = self.record_path(folder);
        if is_unchanged(folder, files, &Self::read_record(&record_path)) {
            return Ok(Materialized::Unchanged);
        }
        create_parent(folder)?;
        // A rename needs both ends on one file system.
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
        let parent = folder.parent().unwrap_or(root);
        let beside = if device(parent) == device(self.session.dir()) {
            None
        } else {
            Some(Session::start(&root.join(UNFINISHED))?)
        };
        let session = beside.as_ref().unwrap_or(&self.session);
        let made = session.folder()?;
        let target = made.path().join("target");
        create_dir(&target)?;
        for file in files {
            self.write_file(&target.join(&file.path), file)?;
        }
        let _lock = lock_folder(root)?;
        // Another process may have put the same target in place since.
        let before = Self::read_record(&record_path);
        create_parent(folder)?;
        keep_foreign(folder, &target, &before)?;
        replace(&target, folder, &made.path().join("old"))?;
        let mut left = Vec::with_capacity(files.len());
        for file in files {
            let path = folder.join(&file.path);
            let metadata = fs::metadata(&path).map_err(|source| StoreError::io("examine", &path, source))?;
            left.push((file.clone(), FileStamp::of(&metadata)));
        }
        // Without a record the next build writes the folder again, which costs time and no more.
        drop(publish(&self.session, &record_path, &encode(&left)));
        Ok(Materialized::Written)
    }

    fn record_path(&self, folder: &Path) -> PathBuf {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        sharded(self.layout.outputs(), &Digest::of(absolute.as_os_str().as_encoded_bytes()))
    }

    /// How the folder was left; nothing if that is not known.
    fn read_record(path: &Path) -> Vec<(TreeFile, FileStamp)> {
        fs::read(path).ok().and_then(|sealed| decode(&sealed)).unwrap_or_default()
    }

    fn write_file(&self, path: &Path, file: &TreeFile) -> Result<(), StoreError> {
        let n_bytes = file.parts.iter().map(|part| part.n_bytes).sum();
        let failed = |source| StoreError::io_needing("write", path, n_bytes, source);
        create_parent(path)?;
        let missing = |digest| StoreError::MissingBlob { digest, path: path.to_owned() };
        if let [only] = file.parts.as_slice() {
            let (_, blob) = self.open_intact(only)?.ok_or_else(|| missing(*only))?;
            if reflink_copy::reflink(&blob, path).is_ok() {
                let clone = File::open(path).map_err(failed)?;
                return clone.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed);
            }
            // A clone that failed may have left its beginning.
            drop(fs::remove_file(path));
        }
        let mut output = File::create_new(path).map_err(failed)?;
        // Read and not mapped: the pages of a mapping would count as this process's until the whole blob is copied.
        let mut buffer = vec![0; COPY_BYTES];
        for part in &file.parts {
            let (mut blob, blob_path) = self.open_intact(part)?.ok_or_else(|| missing(*part))?;
            let mut writer = HashingWriter::new(&mut output);
            loop {
                let n_read = match blob.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map_err(|source| StoreError::io("read", &blob_path, source))?,
                };
                if n_read == 0 {
                    break;
                }
                writer.write_all(&buffer[..n_read]).map_err(failed)?;
            }
            let found = writer.into_parts().1;
            if found != *part {
                return Err(StoreError::CorruptBlob { expected: *part, found, path: path.to_owned() });
            }
        }
        output.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
        output.sync_all().map_err(failed)
    }
}

/// Whether each file is as the record says it was left, and made of the blobs that are wanted now.
fn is_unchanged(folder: &Path, files: &[TreeFile], before: &[(TreeFile, FileStamp)]) -> bool {
    let is_left = |(file, stamp): &(TreeFile, FileStamp)| {
        fs::symlink_metadata(folder.join(&file.path)).is_ok_and(|metadata| FileStamp::of(&metadata) == *stamp)
    };
    !files.is_empty()
        && files.len() == before.len()
        && files.iter().zip(before).all(|(file, (left, _))| file == left)
        && before.iter().all(is_left)
}

/// Moves what this target did not put into the old folder over to the new one: the folders of targets whose package
/// bears this target's name.
fn keep_foreign(old: &Path, new: &Path, before: &[(TreeFile, FileStamp)]) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("read", old, source);
    let entries = match fs::read_dir(old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let own: BTreeSet<&str> = before.iter().filter_map(|(file, _)| file.path.split('/').next()).collect();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let is_own = name.to_str().is_some_and(|name| own.contains(name));
        let from = old.join(&name);
        // A stray file is somebody's edit of an output folder, which the manual says is replaced.
        if is_own || !from.is_dir() || new.join(&name).exists() {
            continue;
        }
        fs::rename(&from, new.join(&name)).map_err(|source| StoreError::io("move", &from, source))?;
    }
    Ok(())
}

/// Puts the new folder where the old one is; `aside` takes the old one.
fn replace(new: &Path, old: &Path, aside: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("replace", old, source);
    if old.symlink_metadata().is_ok() {
        match exchange(new, old) {
            Ok(()) => return Ok(()),
            // A file system that cannot swap: for a moment there is no folder.
            Err(_) => fs::rename(old, aside).map_err(failed)?,
        }
    }
    fs::rename(new, old).map_err(failed)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn create_dir(path: &Path) -> Result<(), StoreError> {
    fs::create_dir(path).map_err(|source| StoreError::io("create", path, source))
}

/// Refuses names that leave the folder or stand for two files.
fn check_paths(files: &[TreeFile]) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for file in files {
        let path = Path::new(&file.path);
        let is_plain = path.components().all(|component| matches!(component, Component::Normal(_)));
        let problem = match () {
            () if file.path.is_empty() => "empty",
            () if !is_plain => "not below its folder",
            () if !seen.insert(path) => "used twice",
            () => continue,
        };
        return Err(StoreError::InvalidOutputPath { path: path.to_owned(), problem });
    }
    Ok(())
}

fn encode(files: &[(TreeFile, FileStamp)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u64(files.len() as u64);
    for (file, stamp) in files {
        writer.sized(file.path.as_bytes()).u64(file.parts.len() as u64);
        for part in &file.parts {
            writer.blob_digest(part);
        }
        stamp.encode(&mut writer);
    }
    seal(KIND, &writer.into_bytes())
}

fn decode(sealed: &[u8]) -> Option<Vec<(TreeFile, FileStamp)>> {
    let mut reader = Reader::new(unseal(KIND, sealed)?);
    let mut files = Vec::new();
    for _ in 0..reader.count(FileStamp::N_BYTES)? {
        let path = String::from_utf8(reader.sized()?.to_vec()).ok()?;
        let n_parts = reader.count(40)?;
        let parts = (0..n_parts).map(|_| reader.blob_digest()).collect::<Option<Vec<_>>>()?;
        files.push((TreeFile { path, parts }, FileStamp::decode(&mut reader)?));
    }
    reader.end()?;
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traits::BlobStore;

    struct Fixture {
        dir: tempfile::TempDir,
        store: LocalStore,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = LocalStore::open(&dir.path().join("cache")).unwrap();
            Self { dir, store }
        }

        fn folder(&self) -> PathBuf {
            self.dir.path().join("mc-out/models/app")
        }

        fn file(&self, path: &str, parts: &[&[u8]]) -> TreeFile {
            let parts = parts.iter().map(|part| self.store.put_bytes(part).unwrap()).collect();
            TreeFile { path: path.to_owned(), parts }
        }

        fn make(&self, files: &[TreeFile]) -> Result<Materialized, StoreError> {
            self.store.materialize(&self.dir.path().join("mc-out"), &self.folder(), files)
        }

        fn names(&self) -> Vec<String> {
            let mut names = Vec::new();
            crate::local::stats::for_each_file(&self.folder(), &mut |path| {
                names.push(path.strip_prefix(self.folder()).unwrap().display().to_string());
                Ok(())
            })
            .unwrap();
            names
        }
    }

    #[test]
    fn a_tree_is_written_once_and_then_left_alone() {
        let fixture = Fixture::new();
        let files = [fixture.file("a.gguf", &[b"head", b"tensor"]), fixture.file("licences/b", &[b"text"])];
        assert_eq!(fixture.make(&files).unwrap(), Materialized::Written);
        assert_eq!(fs::read(fixture.folder().join("a.gguf")).unwrap(), b"headtensor");
        assert_eq!(fixture.names(), ["a.gguf", "licences/b"]);
        let mode = fs::metadata(fixture.folder().join("a.gguf")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        assert_eq!(fixture.make(&files).unwrap(), Materialized::Unchanged);
    }

    #[test]
    fn what_is_edited_added_or_removed_is_put_right() {
        let fixture = Fixture::new();
        let files = [fixture.file("a", &[b"one"]), fixture.file("b", &[b"two"])];
        fixture.make(&files).unwrap();
        fs::remove_file(fixture.folder().join("a")).unwrap();
        fs::write(fixture.folder().join("a"), b"three").unwrap();
        assert_eq!(fixture.make(&files).unwrap(), Materialized::Written);
        assert_eq!(fs::read(fixture.folder().join("a")).unwrap(), b"one");
        assert_eq!(fixture.make(&files[..1]).unwrap(), Materialized::Written);
        assert_eq!(fixture.names(), ["a"]);
    }

    #[test]
    fn the_folder_of_another_target_stays() {
        let fixture = Fixture::new();
        fixture.make(&[fixture.file("a", &[b"one"])]).unwrap();
        fs::create_dir_all(fixture.folder().join("deep/other")).unwrap();
        fs::write(fixture.folder().join("deep/other/file"), b"x").unwrap();
        fixture.make(&[fixture.file("a", &[b"two"])]).unwrap();
        assert_eq!(fixture.names(), ["a", "deep/other/file"]);
    }

    #[test]
    fn many_processes_put_one_target_in_place_at_once() {
        for _ in 0..20 {
            let fixture = Fixture::new();
            let files = [fixture.file("a", &[b"one"]), fixture.file("licences/b", &[b"two"])];
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| fixture.make(&files).unwrap());
                }
            });
            assert_eq!(fixture.names(), ["a", "licences/b"]);
            assert_eq!(fixture.make(&files).unwrap(), Materialized::Unchanged);
        }
    }

    #[test]
    fn an_edit_of_an_output_does_not_reach_the_store() {
        let fixture = Fixture::new();
        let file = fixture.file("a", &[b"one"]);
        fixture.make(std::slice::from_ref(&file)).unwrap();
        let path = fixture.folder().join("a");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"changed").unwrap();
        assert_eq!(&fixture.store.open(&file.parts[0]).unwrap().unwrap()[..], b"one");
    }

    #[test]
    fn a_missing_blob_leaves_the_old_folder_and_nothing_unfinished() {
        let fixture = Fixture::new();
        let good = fixture.file("a", &[b"one"]);
        fixture.make(std::slice::from_ref(&good)).unwrap();
        let lost = TreeFile { path: "b".to_owned(), parts: vec![BlobDigest::of(b"never stored")] };
        let error = fixture.make(&[good, lost]).unwrap_err().to_string();
        assert!(error.contains("is not in the store"), "{error}");
        assert_eq!(fixture.names(), ["a"]);
        let unfinished: Vec<_> = fs::read_dir(fixture.store.session.dir()).unwrap().collect();
        assert!(unfinished.is_empty());
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let fixture = Fixture::new();
        for (path, problem) in
            [("../a", "not below"), ("/a", "not below"), ("", "empty"), ("b/../a", "not below")]
        {
            let file = TreeFile { path: path.to_owned(), parts: Vec::new() };
            let error = fixture.make(&[file]).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let twice = fixture.file("a", &[b"one"]);
        assert!(fixture.make(&[twice.clone(), twice]).unwrap_err().to_string().contains("used twice"));
    }
}
