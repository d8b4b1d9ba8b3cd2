//! Records of the last state of output folders, so that unchanged ones are not written again.

use std::path::{Path, PathBuf};

use mc_digest::digest::Digest;
use mc_files::folder::Folder;

use crate::local::store::LocalStore;
use crate::materialize::tree::TreeFile;
use crate::publish::{publish, read_note};
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::sharded::sharded;
use crate::stamp::FileStamp;

const KIND: Kind = *b"out1";

/// A file, and its stamp when it was moved into place.
pub(crate) type Left = (TreeFile, FileStamp);

impl LocalStore {
    /// The path of the record of a folder.
    ///
    /// * `root`: the folder of all outputs
    pub(crate) fn record_path(&self, root: &Folder, folder: &Path) -> PathBuf {
        let folder = root.at(folder);
        let absolute = std::path::absolute(&folder).unwrap_or(folder);
        sharded(self.layout.outputs(), &Digest::of(absolute.as_os_str().as_encoded_bytes()))
    }

    /// Reads the recorded state of a folder; empty if unknown.
    pub(crate) fn read_record(&self, path: &Path) -> Vec<Left> {
        let sealed = read_note(self.layout.folder(), path).ok().flatten();
        sealed.and_then(|sealed| decode(&sealed)).unwrap_or_default()
    }

    /// Records the state of a folder. Without a record the next build writes the folder again: slower, but correct.
    pub(crate) fn write_record(&self, path: &Path, left: &[Left]) {
        let session = self.session.get();
        drop(session.and_then(|session| publish(session, self.layout.folder(), path, &encode(left))));
    }
}

/// Returns true if each file has its recorded state and consists of the requested blobs.
pub(crate) fn is_unchanged(root: &Folder, folder: &Path, files: &[TreeFile], before: &[Left]) -> bool {
    let is_left = |(file, stamp): &Left| {
        root.status_of(&folder.join(&file.path)).is_ok_and(|status| FileStamp::from(status) == *stamp)
    };
    !files.is_empty()
        && files.len() == before.len()
        && files.iter().zip(before).all(|(file, (left, _))| file == left)
        && before.iter().all(is_left)
}

fn encode(files: &[Left]) -> Vec<u8> {
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

fn decode(sealed: &[u8]) -> Option<Vec<Left>> {
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
