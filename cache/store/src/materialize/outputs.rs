//! Materializes folders of outputs in groups.
//!
//! Each folder is first written in a temporary folder. Once a group of them is written, all its files are synced
//! together, the folders are moved into place, and their parent folders are synced; only then are the previous folders
//! removed and the new states recorded. At every moment, also after a power loss, a folder is therefore either complete
//! or in its previous state, and a record about a file never outlives the file's bytes.
//!
//! Files are written in parallel; only the renames, which depend on what other processes put there, are serialized
//! across processes.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mc_files::folder::Folder;

use crate::error::StoreError;
use crate::folder_lock::{LockedFolder, lock_folder};
use crate::local::store::LocalStore;
use crate::materialize::aside::Unsynced;
use crate::materialize::left::{Left, is_unchanged};
use crate::materialize::place::{TARGET, keep_foreign, refuse_link, replace};
use crate::materialize::tree::{Destination, Materialized, Tree, check_paths};
use crate::publish::create_parent;
use crate::session::{Session, UnfinishedFolder};
use crate::stamp::FileStamp;

/// The temporary folder next to the user's, for a store on another disk.
const UNFINISHED: &str = ".unfinished";

/// Limit on the files written before a sync. Each is open until then.
const GROUP_FILES: usize = 32;

/// Limit on the bytes of such files.
const GROUP_BYTES: u64 = 64 << 20;

impl LocalStore {
    /// Makes each folder hold exactly its files. The results are in the order of the trees.
    ///
    /// Files that other targets put below a folder stay.
    ///
    /// # Errors
    /// Fails if a blob is missing or damaged, a file cannot be written, or a part of the path is a link; that folder
    /// then keeps its previous state, and the others are still made. A damaged blob is set aside.
    pub fn materialize(
        &self,
        destination: Destination<'_>,
        trees: &[Tree<'_>],
    ) -> Vec<Result<Materialized, StoreError>> {
        let mut results = Vec::with_capacity(trees.len());
        while results.len() < trees.len() {
            results.extend(Group::new(self, destination).make(&trees[results.len()..]));
        }
        results
    }
}

/// Trees that are moved into place together.
struct Group<'a> {
    store: &'a LocalStore,
    destination: Destination<'a>,
    outputs: OnceCell<Outputs>,
    /// A session next to the outputs, if they need one.
    beside: OnceCell<Option<Session>>,
}

/// The folder of all outputs, open.
struct Outputs {
    base: Folder,
    root: Arc<Folder>,
}

/// A tree in its temporary folder.
struct StagedTree<'a> {
    tree: Tree<'a>,
    made: UnfinishedFolder<'a>,
    unsynced: Vec<Unsynced>,
}

/// A tree in place, and the record to write about it.
struct Placed<'a> {
    record_path: PathBuf,
    tree: Tree<'a>,
    left: Vec<Left>,
}

impl<'a> Group<'a> {
    fn new(store: &'a LocalStore, destination: Destination<'a>) -> Self {
        Self { store, destination, outputs: OnceCell::new(), beside: OnceCell::new() }
    }

    /// Makes the first group of the trees. Returns one result for each of them.
    fn make(&'a self, trees: &[Tree<'a>]) -> Vec<Result<Materialized, StoreError>> {
        let (mut n_files, mut n_bytes) = (0, 0);
        let mut written = Vec::new();
        for tree in trees {
            let aside = self.write(*tree);
            if let Ok(Some(aside)) = &aside {
                // A tree without files counts as one, because its folder is open.
                n_files += aside.unsynced.len().max(1);
                n_bytes += aside.unsynced.iter().map(|file| file.n_bytes).sum::<u64>();
            }
            written.push(aside);
            if n_files >= GROUP_FILES || n_bytes >= GROUP_BYTES {
                break;
            }
        }
        self.sync(&mut written);
        self.place(written)
    }

    /// Writes a tree into a temporary folder; `None` if the tree in place is already up to date.
    fn write(&'a self, tree: Tree<'a>) -> Result<Option<StagedTree<'a>>, StoreError> {
        check_paths(tree.files)?;
        let Outputs { root, .. } = self.outputs()?;
        refuse_link(root, tree.folder)?;
        let record_path = self.store.record_path(root, tree.folder);
        let before = self.store.read_record(&record_path);
        if is_unchanged(root, tree.folder, tree.files, &before.files) {
            if before.results != tree.results {
                self.store.write_record(&record_path, root, &tree, &before.files);
            }
            return Ok(None);
        }
        create_parent(root, tree.folder)?;
        let made = self.session()?.new_folder()?;
        let target = Path::new(TARGET);
        made.folder
            .create_new_folder(target)
            .map_err(|source| StoreError::io("create", &made.folder.at(target), source))?;
        let mut aside = StagedTree { tree, made, unsynced: Vec::new() };
        for file in tree.files {
            let path = target.join(&file.path);
            aside.unsynced.push(self.store.write_file(&aside.made.folder, &path, file)?);
            if aside.unsynced.len() >= GROUP_FILES {
                aside.sync()?;
            }
        }
        Ok(Some(aside))
    }

    /// Syncs all written files. If one cannot be synced, the result of its tree becomes an error.
    fn sync(&self, written: &mut [Result<Option<StagedTree<'a>>, StoreError>]) {
        let asides = || written.iter().flatten().flatten();
        let files: Vec<&File> = asides().flat_map(|aside| &aside.unsynced).map(|file| &file.file).collect();
        let folders: Vec<File> = asides().flat_map(StagedTree::folders).collect();
        let all: Vec<&File> = files.iter().copied().chain(&folders).collect();
        let mut results = self.store.layout.folder().sync(&all).into_iter();
        for slot in written {
            let Ok(Some(aside)) = slot else { continue };
            let n_files = aside.unsynced.len();
            let failures: Vec<StoreError> = aside
                .unsynced
                .drain(..)
                .zip(results.by_ref().take(n_files))
                .filter_map(|(file, result)| result.err().map(|error| file.failed(error)))
                .collect();
            if let Some(failure) = failures.into_iter().next() {
                *slot = Err(failure);
            }
        }
    }

    /// Moves trees into place, and records their state.
    fn place(
        &self,
        written: Vec<Result<Option<StagedTree<'a>>, StoreError>>,
    ) -> Vec<Result<Materialized, StoreError>> {
        let mut lock = None;
        let mut results = Vec::with_capacity(written.len());
        let (mut placed, mut replaced) = (Vec::new(), Vec::new());
        for aside in written {
            results.push(match aside {
                Err(error) => Err(error),
                Ok(None) => Ok(Materialized::Unchanged),
                Ok(Some(aside)) => self.place_one(&mut lock, &aside).map(|done| {
                    placed.push(done);
                    replaced.push(aside);
                    Materialized::Written
                }),
            });
        }
        if let Some(LockedFolder { folder: root, .. }) = &lock {
            self.sync_names(root, &replaced);
            for Placed { record_path, tree, left } in placed {
                self.store.write_record(&record_path, root, &tree, &left);
            }
        }
        drop(lock);
        // The previous folders are removed last, when a power loss can no longer restore parts of them.
        drop(replaced);
        results
    }

    fn place_one(
        &self,
        lock: &mut Option<LockedFolder>,
        aside: &StagedTree<'a>,
    ) -> Result<Placed<'a>, StoreError> {
        let LockedFolder { folder: root, .. } = match lock {
            Some(locked) => locked,
            None => lock.insert(lock_folder(&self.outputs()?.base, self.destination.root)?),
        };
        let Tree { folder, files, .. } = aside.tree;
        // Another process may have put the same tree in place since it was looked at.
        let record_path = self.store.record_path(root, folder);
        let before = self.store.read_record(&record_path);
        create_parent(root, folder)?;
        refuse_link(root, folder)?;
        keep_foreign(root, folder, &aside.made.folder, &before.files)?;
        replace(&aside.made.folder, root, folder)?;
        let mut left = Vec::with_capacity(files.len());
        for file in files {
            let path = folder.join(&file.path);
            let status =
                root.status_of(&path).map_err(|source| StoreError::io("examine", &root.at(&path), source))?;
            left.push((file.clone(), FileStamp::from(status)));
        }
        Ok(Placed { record_path, tree: aside.tree, left })
    }

    /// Syncs the names of trees and of their parent folders.
    fn sync_names(&self, root: &Folder, asides: &[StagedTree<'a>]) {
        let above = |aside: &StagedTree<'a>| aside.tree.folder.ancestors().skip(1).map(Path::to_owned);
        let paths: BTreeSet<PathBuf> = asides.iter().flat_map(above).collect();
        let below = paths.iter().filter(|path| !path.as_os_str().is_empty());
        let mut folders: Vec<File> =
            below.filter_map(|path| root.folder(path).and_then(|folder| folder.file()).ok()).collect();
        folders.extend(root.file());
        folders.extend(self.outputs().ok().and_then(|outputs| outputs.base.file().ok()));
        // Some file systems do not sync folders, and there is no remedy.
        drop(root.sync(&folders.iter().collect::<Vec<_>>()));
    }

    fn outputs(&self) -> Result<&Outputs, StoreError> {
        if let Some(outputs) = self.outputs.get() {
            return Ok(outputs);
        }
        let Destination { base, root } = self.destination;
        let opened = Folder::open(base).map_err(|source| StoreError::io("open", base, source))?;
        let base = opened.watched_by(self.store.layout.folder().observer());
        let root =
            base.create_folder(root).map_err(|source| StoreError::io("create", &base.at(root), source))?;
        Ok(self.outputs.get_or_init(|| Outputs { base, root: Arc::new(root) }))
    }

    /// The session for unfinished folders: the store's own, or one next to the outputs if that does not work. A rename
    /// needs both ends on one file system, and a read-only store has no unfinished files.
    fn session(&self) -> Result<&Session, StoreError> {
        let root = &self.outputs()?.root;
        let beside = match self.beside.get() {
            Some(beside) => beside,
            None => {
                let is_near = self.is_near(root)?;
                let made = if is_near { None } else { Some(Session::start(root, Path::new(UNFINISHED))?) };
                self.beside.get_or_init(|| made)
            }
        };
        beside.as_ref().map_or_else(|| self.store.session.get(), Ok)
    }

    fn is_near(&self, root: &Folder) -> Result<bool, StoreError> {
        let device = |folder: &Folder| folder.status().map(|status| status.device).ok();
        match self.store.session.get() {
            Ok(session) => Ok(device(root) == device(session.folder())),
            Err(error) if error.is_read_only() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl StagedTree<'_> {
    /// Syncs the files written so far.
    fn sync(&mut self) -> Result<(), StoreError> {
        let files: Vec<&File> = self.unsynced.iter().map(|file| &file.file).collect();
        let results = self.made.folder.sync(&files);
        let mut results = self.unsynced.drain(..).zip(results);
        results.try_for_each(|(file, result)| result.map_err(|error| file.failed(error)))
    }

    /// The new folder and its subfolders, whose names must be durable before it is moved into place.
    fn folders(&self) -> Vec<File> {
        let target = Path::new(TARGET);
        let below = self.tree.files.iter().flat_map(|file| Path::new(&file.path).ancestors().skip(1));
        let paths: BTreeSet<PathBuf> = below.map(|path| target.join(path)).collect();
        let open = |path: &PathBuf| self.made.folder.folder(path).and_then(|folder| folder.file()).ok();
        paths.iter().filter_map(open).collect()
    }
}

impl Unsynced {
    fn failed(&self, error: std::io::Error) -> StoreError {
        StoreError::io_needing("write", &self.path, self.n_bytes, error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use mc_digest::digest::BlobDigest;
    use mc_files::status::Kind;

    use super::*;
    use crate::materialize::tree::TreeFile;
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

        /// The names of the session's files: its notes about uses, and unfinished files.
        fn unfinished(&self) -> Vec<std::ffi::OsString> {
            let entries = self.store.session.get().unwrap().folder().entries().unwrap();
            entries.into_iter().map(|entry| entry.name).collect()
        }

        fn folder(&self) -> PathBuf {
            self.dir.path().join("workspace/mc-out/models/app")
        }

        fn file(&self, path: &str, parts: &[&[u8]]) -> TreeFile {
            let parts = parts.iter().map(|part| self.store.put_bytes(part).unwrap()).collect();
            TreeFile { path: path.to_owned(), parts }
        }

        fn make(&self, files: &[TreeFile]) -> Result<Materialized, StoreError> {
            self.make_all(&[("models/app", files)]).remove(0)
        }

        fn make_all(&self, trees: &[(&str, &[TreeFile])]) -> Vec<Result<Materialized, StoreError>> {
            let destination =
                Destination { base: &self.dir.path().join("workspace"), root: Path::new("mc-out") };
            let tree = |&(folder, files): &(_, _)| Tree { folder: Path::new(folder), files, results: &[] };
            let trees: Vec<Tree<'_>> = trees.iter().map(tree).collect();
            self.store.materialize(destination, &trees)
        }

        fn names(&self) -> Vec<String> {
            let mut names = Vec::new();
            let base = Folder::open(&self.folder()).unwrap();
            for entry in base.entries().unwrap() {
                let name = PathBuf::from(entry.name);
                if entry.kind != Kind::Folder {
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
        let files = [fixture.file("a.gguf", &[b"head", b"tensor"]), fixture.file("licenses/b", &[b"text"])];
        assert_eq!(fixture.make(&files).unwrap(), Materialized::Written);
        assert_eq!(fs::read(fixture.folder().join("a.gguf")).unwrap(), b"headtensor");
        assert_eq!(fixture.names(), ["a.gguf", "licenses/b"]);
        let mode = fs::metadata(fixture.folder().join("a.gguf")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        assert_eq!(fixture.make(&files).unwrap(), Materialized::Unchanged);
    }

    #[test]
    fn edits_additions_and_removals_are_undone() {
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
    fn each_of_many_trees_has_its_own_result() {
        let fixture = Fixture::new();
        let names: Vec<String> = (0..3 * GROUP_FILES).map(|index| format!("app/{index}")).collect();
        let files: Vec<TreeFile> =
            names.iter().map(|name| fixture.file("deep/file", &[name.as_bytes(), b"text"])).collect();
        let lost = TreeFile { path: "b".to_owned(), parts: vec![BlobDigest::of(b"never stored")] };
        // A target and a package of this name share one folder.
        let mut trees: Vec<(&str, &[TreeFile])> =
            vec![("app", &files[..1]), ("lost", std::slice::from_ref(&lost))];
        trees.extend(names.iter().zip(&files).map(|(name, file)| (&**name, std::slice::from_ref(file))));
        for expected in [Materialized::Written, Materialized::Unchanged] {
            let results = fixture.make_all(&trees);
            assert_eq!(results.len(), trees.len());
            for ((folder, _), result) in trees.iter().zip(results) {
                match result {
                    Ok(made) => assert_eq!(made, expected, "{folder}"),
                    Err(error) => assert!(*folder == "lost" && error.is_lost_blob(), "{error}"),
                }
            }
            let out = fixture.dir.path().join("workspace/mc-out");
            assert_eq!(fs::read_to_string(out.join("app/deep/file")).unwrap(), "app/0text");
            for name in &names {
                assert_eq!(
                    fs::read_to_string(out.join(name).join("deep/file")).unwrap(),
                    format!("{name}text")
                );
            }
            assert!(!out.join("lost").exists());
        }
        assert_eq!(fixture.unfinished(), ["uses"]);
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
    fn many_processes_materialize_one_target_concurrently() {
        for _ in 0..20 {
            let fixture = Fixture::new();
            let files = [fixture.file("a", &[b"one"]), fixture.file("licenses/b", &[b"two"])];
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| fixture.make(&files).unwrap());
                }
            });
            assert_eq!(fixture.names(), ["a", "licenses/b"]);
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
        assert_eq!(fixture.unfinished(), ["uses"]);
    }

    #[test]
    fn a_link_in_an_output_path_is_rejected_and_its_target_is_untouched() {
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
    fn a_link_in_an_output_folder_is_replaced_and_its_target_is_untouched() {
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
    fn a_silently_corrupted_blob_is_set_aside_during_the_copy() {
        let fixture = Fixture::new();
        let file = fixture.file("a", &[b"one", b"two"]);
        let layout = fixture.store.layout();
        let blob = layout.at(&layout.blob(&file.parts[1].hash));
        fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&blob, b"ten").unwrap();
        // Simulates silent corruption: the memo trusts the file's current stamp.
        let stamp = FileStamp::of(&fs::metadata(&blob).unwrap());
        fixture.store.verified.believe(file.parts[1].hash, stamp);
        let error = fixture.make(std::slice::from_ref(&file)).unwrap_err();
        assert!(matches!(error, StoreError::CorruptBlob { .. }), "{error}");
        assert_eq!(fixture.store.take_corruptions().len(), 1);
        assert!(!fixture.store.contains(&file.parts[1]).unwrap());
        fixture.store.put_bytes(b"two").unwrap();
        assert_eq!(fixture.make(&[file]).unwrap(), Materialized::Written);
        assert_eq!(fs::read(fixture.folder().join("a")).unwrap(), b"onetwo");
    }

    #[test]
    fn names_that_leave_the_folder_are_rejected() {
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
