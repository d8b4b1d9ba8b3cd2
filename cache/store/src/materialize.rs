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
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::HashingWriter;
use mc_files::folder::Folder;
use mc_files::refused::Refused;
use mc_files::status::Kind as FileKind;

use crate::error::StoreError;
use crate::folder_lock::lock_folder;
use crate::local::store::LocalStore;
use crate::publish::{READ_ONLY, create_parent, publish, read_note};
use crate::reading::hash_range;
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::session::Session;
use crate::sharded::sharded;
use crate::stamp::FileStamp;

const KIND: Kind = *b"out1";

/// The folder beside the user's, for when the store is on another disk.
const UNFINISHED: &str = ".unfinished";

/// How much of a blob is copied at once.
const COPY_BYTES: usize = 1 << 20;

/// Permissions of a file while it is written.
const UNFINISHED_MODE: u32 = 0o600;

/// A file to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where, relative to the folder, with `/`.
    pub path: String,
    /// The blobs whose bytes follow each other in it.
    pub parts: Vec<BlobDigest>,
}

/// A folder of the user's that outputs are brought to.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// A folder that the user named. Below it no link is followed.
    pub base: &'a Path,
    /// The folder of all outputs, relative to the base, in which unfinished files may be kept when the store is on
    /// another file system.
    pub root: &'a Path,
    /// The folder of these outputs, relative to the root.
    pub folder: &'a Path,
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
    /// Makes a folder hold exactly these files.
    ///
    /// Files that other targets have put below the folder stay.
    ///
    /// # Errors
    /// If a blob is missing or damaged, a file cannot be written, or a part of the path is a link; then the folder is as
    /// it was. A damaged blob is set aside.
    pub fn materialize(
        &self,
        destination: Destination<'_>,
        files: &[TreeFile],
    ) -> Result<Materialized, StoreError> {
        check_paths(files)?;
        let base = Folder::open(destination.base)
            .map_err(|source| StoreError::io("open", destination.base, source))?;
        let root = base
            .create_folder(destination.root)
            .map_err(|source| StoreError::io("create", &base.at(destination.root), source))?;
        let (root, folder) = (Arc::new(root), destination.folder);
        let record_path = self.record_path(&root, folder);
        refuse_link(&root, folder)?;
        if is_unchanged(&root, folder, files, &self.read_record(&record_path)) {
            return Ok(Materialized::Unchanged);
        }
        create_parent(&root, folder)?;
        let beside = self.beside(&root)?;
        let session = match &beside {
            Some(session) => session,
            None => self.session.get()?,
        };
        let made = session.new_folder()?;
        let target = Path::new(TARGET);
        made.folder
            .create_new_folder(target)
            .map_err(|source| StoreError::io("create", &made.folder.at(target), source))?;
        for file in files {
            self.write_file(&made.folder, &target.join(&file.path), file)?;
        }
        let _lock = lock_folder(&base, destination.root)?;
        // Another process may have put the same target in place since.
        let before = self.read_record(&record_path);
        create_parent(&root, folder)?;
        refuse_link(&root, folder)?;
        keep_foreign(&root, folder, &made.folder, &before)?;
        replace(&made.folder, &root, folder)?;
        let mut left = Vec::with_capacity(files.len());
        for file in files {
            let path = folder.join(&file.path);
            let status =
                root.status_of(&path).map_err(|source| StoreError::io("examine", &root.at(&path), source))?;
            left.push((file.clone(), FileStamp::from(status)));
        }
        // Without a record the next build writes the folder again, which costs time and no more.
        let recorded = self
            .session
            .get()
            .and_then(|session| publish(session, self.layout.folder(), &record_path, &encode(&left)));
        drop(recorded);
        Ok(Materialized::Written)
    }

    /// A session beside the outputs, where the store's own will not do: a rename needs both ends on one file system, and
    /// a store that is read-only has no unfinished files.
    fn beside(&self, root: &Arc<Folder>) -> Result<Option<Session>, StoreError> {
        let device = |folder: &Folder| folder.status().map(|status| status.device).ok();
        let is_near = match self.session.get() {
            Ok(session) => device(root) == device(session.folder()),
            Err(error) if error.is_read_only() => false,
            Err(error) => return Err(error),
        };
        if is_near { Ok(None) } else { Session::start(root, Path::new(UNFINISHED)).map(Some) }
    }

    fn record_path(&self, root: &Folder, folder: &Path) -> PathBuf {
        let folder = root.at(folder);
        let absolute = std::path::absolute(&folder).unwrap_or(folder);
        sharded(self.layout.outputs(), &Digest::of(absolute.as_os_str().as_encoded_bytes()))
    }

    /// How the folder was left; nothing if that is not known.
    fn read_record(&self, path: &Path) -> Vec<(TreeFile, FileStamp)> {
        let sealed = read_note(self.layout.folder(), path).ok().flatten();
        sealed.and_then(|sealed| decode(&sealed)).unwrap_or_default()
    }

    fn write_file(&self, folder: &Folder, path: &Path, file: &TreeFile) -> Result<(), StoreError> {
        let n_bytes = file.parts.iter().map(|part| part.n_bytes).sum();
        let absolute = folder.at(path);
        let failed = |source| StoreError::io_needing("write", &absolute, n_bytes, source);
        create_parent(folder, path)?;
        if let [only] = file.parts.as_slice()
            && self.clone_blob(folder, path, only, &absolute)?
        {
            return Ok(());
        }
        let mut output = folder.create_file(path, UNFINISHED_MODE).map_err(failed)?;
        // Read and not mapped: the pages of a mapping would count as this process's until the whole blob is copied.
        let mut buffer = vec![0; COPY_BYTES];
        for part in &file.parts {
            let (mut blob, blob_path) = self.open_part(part, &absolute)?;
            let mut writer = HashingWriter::new(&mut output);
            loop {
                let n_read = match blob.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(source) => {
                        self.doubt_part(part)?;
                        return Err(StoreError::io("read", &blob_path, source));
                    }
                    Ok(n_read) => n_read,
                };
                if n_read == 0 {
                    break;
                }
                writer.write_all(&buffer[..n_read]).map_err(failed)?;
            }
            self.check_part(part, writer.into_parts().1, &absolute)?;
        }
        output.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
        output.sync_all().map_err(failed)
    }

    /// Makes a file that shares the storage of a blob, where the file system can do that; tells whether it could. The
    /// clone is read once, since a blob that rotted would be cloned as it is.
    fn clone_blob(
        &self,
        folder: &Folder,
        path: &Path,
        blob: &BlobDigest,
        absolute: &Path,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::io_needing("write", absolute, blob.n_bytes, source);
        let (file, _) = self.open_part(blob, absolute)?;
        let Ok(clone) = folder.clone_file(&file, path, UNFINISHED_MODE) else {
            // A clone that failed may have left its beginning.
            folder.remove_file(path).map_err(failed)?;
            return Ok(false);
        };
        let found = hash_range(&clone, 0, u64::MAX).map_err(failed)?;
        self.check_part(blob, found, absolute)?;
        clone.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
        Ok(true)
    }

    fn open_part(&self, part: &BlobDigest, path: &Path) -> Result<(File, PathBuf), StoreError> {
        let missing = || StoreError::MissingBlob { digest: *part, path: path.to_owned() };
        self.open_intact(part)?.ok_or_else(missing)
    }

    /// Sets aside a blob whose bytes turned out to be wrong when they were copied.
    fn check_part(&self, part: &BlobDigest, found: BlobDigest, path: &Path) -> Result<(), StoreError> {
        if found == *part {
            return Ok(());
        }
        self.doubt_part(part)?;
        Err(StoreError::CorruptBlob { expected: *part, found, path: path.to_owned() })
    }

    fn doubt_part(&self, part: &BlobDigest) -> Result<(), StoreError> {
        crate::traits::BlobStore::doubt(self, part)
    }
}

/// The new folder of a target, in an unfinished folder.
const TARGET: &str = "target";

/// Takes the old folder of a target, where two folders cannot be swapped.
const OLD: &str = "old";

/// Refuses to replace a link: what it leads to is not ours.
fn refuse_link(root: &Folder, folder: &Path) -> Result<(), StoreError> {
    match root.folder(folder) {
        Err(source) if matches!(Refused::of(&source), Some(Refused::Link { .. })) => {
            Err(StoreError::io("replace", &root.at(folder), source))
        }
        // A file in its place is replaced; whatever else is wrong is told by whoever writes.
        _ => Ok(()),
    }
}

/// Whether each file is as the record says it was left, and made of the blobs that are wanted now.
fn is_unchanged(root: &Folder, folder: &Path, files: &[TreeFile], before: &[(TreeFile, FileStamp)]) -> bool {
    let is_left = |(file, stamp): &(TreeFile, FileStamp)| {
        root.status_of(&folder.join(&file.path)).is_ok_and(|status| FileStamp::from(status) == *stamp)
    };
    !files.is_empty()
        && files.len() == before.len()
        && files.iter().zip(before).all(|(file, (left, _))| file == left)
        && before.iter().all(is_left)
}

/// Moves what this target did not put into the old folder over to the new one: the folders of targets whose package
/// bears this target's name.
fn keep_foreign(
    root: &Folder,
    folder: &Path,
    made: &Folder,
    before: &[(TreeFile, FileStamp)],
) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("read", &root.at(folder), source);
    let old = match root.folder(folder) {
        // There is none, or a file is in its place.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        other => other.map_err(failed)?,
    };
    let own: BTreeSet<&str> = before.iter().filter_map(|(file, _)| file.path.split('/').next()).collect();
    for entry in old.entries().map_err(failed)? {
        let is_own = entry.name.to_str().is_some_and(|name| own.contains(name));
        let to = Path::new(TARGET).join(&entry.name);
        // A stray file or link is somebody's edit of an output folder, which the manual says is replaced.
        if is_own || entry.kind != FileKind::Folder || made.status_of(&to).is_ok() {
            continue;
        }
        let name = Path::new(&entry.name);
        old.rename(name, made, &to).map_err(|source| StoreError::io("move", &old.at(name), source))?;
    }
    Ok(())
}

/// Puts the new folder where the old one is; the old one is removed with the folder that held the new one.
fn replace(made: &Folder, root: &Folder, folder: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("replace", &root.at(folder), source);
    let target = Path::new(TARGET);
    if root.status_of(folder).is_ok() {
        match made.exchange(target, root, folder) {
            Ok(()) => return Ok(()),
            // A file system that cannot swap: for a moment there is no folder.
            Err(_) => root.rename(folder, made, Path::new(OLD)).map_err(failed)?,
        }
    }
    made.rename(target, root, folder).map_err(failed)
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
            fs::create_dir(dir.path().join("workspace")).unwrap();
            Self { dir, store }
        }

        fn folder(&self) -> PathBuf {
            self.dir.path().join("workspace/mc-out/models/app")
        }

        fn file(&self, path: &str, parts: &[&[u8]]) -> TreeFile {
            let parts = parts.iter().map(|part| self.store.put_bytes(part).unwrap()).collect();
            TreeFile { path: path.to_owned(), parts }
        }

        fn make(&self, files: &[TreeFile]) -> Result<Materialized, StoreError> {
            let destination = Destination {
                base: &self.dir.path().join("workspace"),
                root: Path::new("mc-out"),
                folder: Path::new("models/app"),
            };
            self.store.materialize(destination, files)
        }

        fn names(&self) -> Vec<String> {
            let mut names = Vec::new();
            let base = Folder::open(&self.folder()).unwrap();
            for entry in base.entries().unwrap() {
                let name = PathBuf::from(entry.name);
                if entry.kind != FileKind::Folder {
                    names.push(name.display().to_string());
                    continue;
                }
                crate::local::stats::for_each_file(&base, &name, &mut |path, _| {
                    names.push(path.display().to_string());
                    Ok(())
                })
                .unwrap();
            }
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
        assert_eq!(fixture.store.session.get().unwrap().folder().entries().unwrap(), []);
    }

    #[test]
    fn a_link_on_the_way_to_an_output_is_refused_and_what_it_leads_to_stays() {
        for link in ["mc-out", "mc-out/models", "mc-out/models/app"] {
            let fixture = Fixture::new();
            let home = fixture.dir.path().join("home");
            fs::create_dir_all(home.join("models/app")).unwrap();
            fs::write(home.join("models/app/thesis"), "years of work").unwrap();
            fs::write(home.join("thesis"), "years of work").unwrap();
            let link = fixture.dir.path().join("workspace").join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&home, &link).unwrap();
            let error = fixture.make(&[fixture.file("a", &[b"one"])]).unwrap_err().to_string();
            let expected = format!("`{}` is a symbolic link to `{}`", link.display(), home.display());
            assert!(error.contains(&expected), "{error}");
            assert_eq!(fs::read_dir(&home).unwrap().count(), 2);
            assert_eq!(fs::read_dir(home.join("models/app")).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_link_in_an_output_folder_is_replaced_and_what_it_leads_to_stays() {
        let fixture = Fixture::new();
        let files = [fixture.file("a", &[b"one"]), fixture.file("licenses/b", &[b"two"])];
        fixture.make(&files).unwrap();
        let home = fixture.dir.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join("b"), "years of work").unwrap();
        fs::remove_dir_all(fixture.folder().join("licenses")).unwrap();
        std::os::unix::fs::symlink(&home, fixture.folder().join("licenses")).unwrap();
        std::os::unix::fs::symlink(&home, fixture.folder().join("stray")).unwrap();
        assert_eq!(fixture.make(&files).unwrap(), Materialized::Written);
        assert_eq!(fixture.names(), ["a", "licenses/b"]);
        assert_eq!(fs::read(home.join("b")).unwrap(), b"years of work");
    }

    #[test]
    fn a_blob_that_rots_below_the_file_system_is_set_aside_when_it_is_copied() {
        let fixture = Fixture::new();
        let file = fixture.file("a", &[b"one", b"two"]);
        let layout = fixture.store.layout();
        let blob = layout.at(&layout.blob(&file.parts[1].hash));
        fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&blob, b"ten").unwrap();
        // As if the file system did not know: what is believed is the stamp that the file has now.
        let stamp = FileStamp::of(&fs::metadata(&blob).unwrap());
        fixture.store.verified.remember(file.parts[1].hash, stamp);
        let error = fixture.make(std::slice::from_ref(&file)).unwrap_err();
        assert!(matches!(error, StoreError::CorruptBlob { .. }), "{error}");
        assert_eq!(fixture.store.take_corruptions().len(), 1);
        assert!(!fixture.store.contains(&file.parts[1]).unwrap());
        fixture.store.put_bytes(b"two").unwrap();
        assert_eq!(fixture.make(&[file]).unwrap(), Materialized::Written);
        assert_eq!(fs::read(fixture.folder().join("a")).unwrap(), b"onetwo");
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
