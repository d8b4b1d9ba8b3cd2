//! A folder in which one action runs: its inputs by position, as the Remote Execution API lays them out, and then its
//! outputs by name.
//!
//! Nothing is written or removed through a link. Inputs may be links: some workers lay them out so.
//!
//! There is no store: blobs are written beside the inputs under names that no output has, and are renamed when the
//! action has finished. So an output is complete or absent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_digest::hasher::{Hasher, HashingWriter};
use mc_files::folder::Folder;
use mc_ir::action::{ActionContext, ActionError, Content, Piece};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi::position_name;
use mc_store::mapping::MappedFile;

/// A folder with the inputs of one action.
pub struct InputRoot {
    folder: Folder,
    n_written: AtomicUsize,
    /// The path of each written blob.
    blobs: Mutex<BTreeMap<BlobDigest, PathBuf>>,
}

impl InputRoot {
    /// Opens a folder that contains the inputs.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = Folder::open(folder)?;
        Ok(Self { folder, n_written: AtomicUsize::new(0), blobs: Mutex::default() })
    }

    /// Renames the blobs of a finished action to its outputs.
    ///
    /// # Errors
    /// If one cannot be renamed; then no output remains.
    pub fn place(&self, outputs: &Outputs) -> Result<(), ActionError> {
        let placed = outputs.iter().try_for_each(|(name, output)| {
            let path = Path::new(name);
            match output {
                Output::File(blob) => self.place_blob(blob, path),
                Output::Composite(parts) => {
                    self.folder.create_folder(path)?;
                    let named = parts.iter().enumerate();
                    named
                        .map(|(index, part)| (path.join(position_name(index)), part))
                        .try_for_each(|(path, part)| self.place_blob(part, &path))
                }
            }
        });
        if placed.is_err() {
            for name in outputs.keys() {
                drop(self.folder.remove_all(Path::new(name)));
            }
        }
        placed
    }

    fn place_blob(&self, blob: &BlobDigest, path: &Path) -> Result<(), ActionError> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let written = blobs.get_mut(blob).ok_or_else(|| {
            ActionError::failed(format!("Blob {blob} was not written by the action that names it"))
        })?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.folder.create_folder(parent)?;
        }
        if written.starts_with(UNNAMED) {
            self.folder.rename(written, &self.folder, path)?;
            path.clone_into(written);
        } else {
            // Two outputs with the same bytes.
            let mut copy = self.folder.create_file(path, FILE_MODE)?;
            io::copy(&mut self.folder.open_file(written)?, &mut copy)?;
        }
        Ok(())
    }

    fn is_composite(&self, index: usize) -> bool {
        self.folder.at(Path::new(&position_name(index))).is_dir()
    }

    fn files(&self, index: usize) -> Result<Vec<PathBuf>, ActionError> {
        let path = self.folder.at(Path::new(&position_name(index)));
        if !path.is_dir() {
            return Ok(vec![path]);
        }
        let n_parts = fs::read_dir(&path)?.count();
        Ok((0..n_parts).map(|part| path.join(position_name(part))).collect())
    }

    fn mapped(&self, path: &Path) -> Result<MappedFile, ActionError> {
        MappedFile::open(path).map_err(|error| {
            ActionError::failed(error)
                .with_help("The folder of an action contains its inputs, named by position")
        })
    }
}

/// Permissions of written files, before the process's umask.
const FILE_MODE: u32 = 0o666;

/// The folder of unnamed blobs.
const UNNAMED: &str = ".mc-blobs";

impl Drop for InputRoot {
    fn drop(&mut self) {
        // Remaining blobs are not outputs.
        drop(self.folder.remove_all(Path::new(UNNAMED)));
    }
}

impl ActionContext for InputRoot {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        let piece = |path: &PathBuf| Ok(Piece::whole(Arc::new(self.mapped(path)?)));
        Ok(Content::of_parts(self.files(index)?.iter().map(piece).collect::<Result<_, ActionError>>()?))
    }

    fn input_digest(&self, index: usize) -> Output {
        // A missing input is reported when it is read.
        let digest = |path: &PathBuf| match self.mapped(path) {
            Ok(bytes) => BlobDigest::of(&bytes),
            Err(_) => Hasher::new().finish(),
        };
        let is_composite = self.is_composite(index);
        let digests: Vec<BlobDigest> = self.files(index).unwrap_or_default().iter().map(digest).collect();
        match digests.as_slice() {
            [digest] if !is_composite => Output::File(*digest),
            _ => Output::Composite(digests),
        }
    }

    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        let unnamed = Path::new(UNNAMED);
        self.folder.create_folder(unnamed)?;
        let path = unnamed.join(self.n_written.fetch_add(1, Ordering::Relaxed).to_string());
        let file = self.folder.create_file(&path, FILE_MODE)?;
        let mut writer = HashingWriter::new(io::BufWriter::new(file));
        write(&mut writer)?;
        writer.flush()?;
        let (_, blob) = writer.into_parts();
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(blob, path);
        Ok(blob)
    }

    fn is_cancelled(&self) -> bool {
        // A worker cancels an action by ending its process.
        false
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::action::write_bytes;

    use super::*;

    #[test]
    fn inputs_are_files_or_folders_of_parts() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("000000"), b"one").unwrap();
        fs::create_dir(dir.path().join("000001")).unwrap();
        fs::write(dir.path().join("000001/000000"), b"tw").unwrap();
        fs::write(dir.path().join("000001/000001"), b"o").unwrap();
        let root = InputRoot::open(dir.path()).unwrap();
        assert_eq!(&*root.input(0).unwrap().to_contiguous(), b"one");
        assert_eq!(&*root.input(1).unwrap().to_contiguous(), b"two");
        assert_eq!(root.input_digest(0), Output::File(BlobDigest::of(b"one")));
        let parts = vec![BlobDigest::of(b"tw"), BlobDigest::of(b"o")];
        assert_eq!(root.input_digest(1), Output::Composite(parts));
        let error = root.input(2).err().unwrap().to_string();
        assert!(error.contains("000002"), "{error}");
    }

    #[test]
    fn outputs_appear_when_the_action_finishes_and_no_other_files_remain() {
        let dir = tempfile::tempdir().unwrap();
        let names = || {
            let mut names: Vec<String> = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let root = InputRoot::open(dir.path()).unwrap();
        let blob = write_bytes(&root, b"bytes").unwrap();
        let other = write_bytes(&root, b"others").unwrap();
        write_bytes(&root, b"of no use").unwrap();
        assert_eq!(names(), [UNNAMED]);
        let outputs = Outputs::from([
            ("a".to_owned(), Output::File(blob)),
            ("rows/b".to_owned(), Output::File(blob)),
            ("whole".to_owned(), Output::Composite(vec![other, blob])),
        ]);
        root.place(&outputs).unwrap();
        drop(root);
        assert_eq!(names(), ["a", "rows", "whole"]);
        assert_eq!(fs::read(dir.path().join("rows/b")).unwrap(), b"bytes");
        assert_eq!(fs::read(dir.path().join("whole/000000")).unwrap(), b"others");
        assert_eq!(fs::read(dir.path().join("whole/000001")).unwrap(), b"bytes");
    }

    #[test]
    fn nothing_is_written_or_removed_through_a_link() {
        for link in [UNNAMED, "out"] {
            let dir = tempfile::tempdir().unwrap();
            let home = dir.path().join("home");
            let folder = dir.path().join("folder");
            fs::create_dir_all(&home).unwrap();
            fs::create_dir_all(&folder).unwrap();
            fs::write(home.join("thesis"), "years of work").unwrap();
            std::os::unix::fs::symlink(&home, folder.join(link)).unwrap();
            let root = InputRoot::open(&folder).unwrap();
            let placed = write_bytes(&root, b"bytes")
                .and_then(|blob| root.place(&Outputs::from([("out/thesis".to_owned(), Output::File(blob))])));
            assert!(placed.unwrap_err().to_string().contains("is a symbolic link to"));
            drop(root);
            assert_eq!(fs::read_to_string(home.join("thesis")).unwrap(), "years of work");
            assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_failed_action_leaves_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = InputRoot::open(dir.path()).unwrap();
        let blob = write_bytes(&root, b"bytes").unwrap();
        let failed = root.write_blob(&mut |writer| {
            writer.write_all(b"half")?;
            Err(ActionError::Cancelled)
        });
        assert!(failed.is_err());
        let unknown = BlobDigest::of(b"never written");
        let outputs =
            Outputs::from([("a".to_owned(), Output::File(blob)), ("b".to_owned(), Output::File(unknown))]);
        assert!(root.place(&outputs).is_err());
        drop(root);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
