//! Writes the files of a folder of outputs into a temporary folder.
//!
//! The bytes are verified while they are copied or cloned, because corruption would otherwise be passed on.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mc_digest::digest::BlobDigest;
use mc_digest::hasher::HashingWriter;
use mc_files::folder::Folder;

use crate::error::StoreError;
use crate::local::store::LocalStore;
use crate::materialize::tree::TreeFile;
use crate::publish::{READ_ONLY, create_parent};
use crate::reading::hash_range;

/// A written file that is not durable yet.
#[derive(Debug)]
pub(crate) struct Unsynced {
    pub(crate) file: File,
    /// Its path, for messages.
    pub(crate) path: PathBuf,
    pub(crate) n_bytes: u64,
}

/// Bytes of a blob copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// Permissions of a file while it is written.
const UNFINISHED_MODE: u32 = 0o600;

impl LocalStore {
    /// Writes a file at a path below `folder`, without syncing it.
    ///
    /// # Errors
    /// Fails if a blob is missing or damaged, or the file cannot be written. A damaged blob is set aside.
    pub(crate) fn write_file(
        &self,
        folder: &Folder,
        path: &Path,
        file: &TreeFile,
    ) -> Result<Unsynced, StoreError> {
        let n_bytes = file.parts.iter().map(|part| part.n_bytes).sum();
        let absolute = folder.at(path);
        let failed = |source| StoreError::io_needing("write", &absolute, n_bytes, source);
        create_parent(folder, path)?;
        if let [only] = file.parts.as_slice()
            && let Some(file) = self.clone_blob(folder, path, only, &absolute)?
        {
            return Ok(Unsynced { file, path: absolute, n_bytes });
        }
        let mut output = folder.create_file(path, UNFINISHED_MODE).map_err(failed)?;
        // Read rather than mapped: mapped pages would count as this process's memory until the whole blob is copied.
        let mut buffer = vec![0; COPY_BYTES];
        for part in &file.parts {
            let (mut blob, blob_path) = self.open_part(part, &absolute)?;
            let mut writer = HashingWriter::new(&mut output);
            loop {
                let n_read = match blob.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(source) => {
                        self.suspect_part(part)?;
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
        Ok(Unsynced { file: output, path: absolute, n_bytes })
    }

    /// Creates a file that shares the storage of a blob; `None` if the file system does not support that.
    fn clone_blob(
        &self,
        folder: &Folder,
        path: &Path,
        blob: &BlobDigest,
        absolute: &Path,
    ) -> Result<Option<File>, StoreError> {
        let failed = |source| StoreError::io_needing("write", absolute, blob.n_bytes, source);
        let (file, _) = self.open_part(blob, absolute)?;
        let Ok(clone) = folder.clone_file(&file, path, UNFINISHED_MODE) else {
            // A failed clone may have left a partial file.
            folder.remove_file(path).map_err(failed)?;
            return Ok(None);
        };
        let found = hash_range(&clone, 0, u64::MAX).map_err(failed)?;
        self.check_part(blob, found, absolute)?;
        clone.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
        Ok(Some(clone))
    }

    fn open_part(&self, part: &BlobDigest, path: &Path) -> Result<(File, PathBuf), StoreError> {
        let missing = || StoreError::MissingBlob { digest: *part, path: path.to_owned() };
        self.open_intact(part)?.ok_or_else(missing)
    }

    /// Sets aside a blob whose bytes were found to be wrong during the copy.
    fn check_part(&self, part: &BlobDigest, found: BlobDigest, path: &Path) -> Result<(), StoreError> {
        if found == *part {
            return Ok(());
        }
        self.suspect_part(part)?;
        Err(StoreError::CorruptBlob { expected: *part, found, path: path.to_owned() })
    }

    fn suspect_part(&self, part: &BlobDigest) -> Result<(), StoreError> {
        crate::traits::BlobStore::doubt(self, part)
    }
}
