//! Records of the last state of output folders, so that unchanged ones are not written again.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use mc_digest::digest::Digest;
use mc_files::folder::Folder;

use crate::error::StoreError;
use crate::local::stats::for_each_file;
use crate::local::store::LocalStore;
use crate::materialize::tree::{Tree, TreeFile};
use crate::publish::{publish, read_note};
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::sharded::sharded;
use crate::stamp::FileStamp;

const KIND: Kind = *b"out2";

/// A file, and its stamp when it was moved into place.
pub(crate) type Left = (TreeFile, FileStamp);

/// Last state of a folder.
#[derive(Debug, Default)]
pub(crate) struct LeftFolder {
    folder: PathBuf,
    /// The results behind its files, direct or not.
    pub(crate) results: Vec<Digest>,
    pub(crate) files: Vec<Left>,
}

/// The blobs and results behind all outputs in place.
#[derive(Debug, Default)]
pub(crate) struct InPlace {
    pub(crate) blobs: BTreeSet<Digest>,
    pub(crate) results: BTreeSet<Digest>,
}

impl LocalStore {
    /// The path of the record of a folder.
    ///
    /// * `root`: the folder of all outputs
    pub(crate) fn record_path(&self, root: &Folder, folder: &Path) -> PathBuf {
        let absolute = absolute(root, folder);
        sharded(self.layout.outputs(), &Digest::of(absolute.as_os_str().as_encoded_bytes()))
    }

    /// The blobs and the results behind outputs in place: those of each folder that still exists, even if it was
    /// changed.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub(crate) fn in_place(&self) -> Result<InPlace, StoreError> {
        let mut in_place = InPlace::default();
        for_each_file(self.layout.folder(), self.layout.outputs(), &mut |path, _| {
            let sealed = read_note(self.layout.folder(), path)?;
            let record = sealed.as_deref().and_then(decode);
            if let Some(LeftFolder { results, files, .. }) = record.filter(|left| left.folder.is_dir()) {
                let parts = files.iter().flat_map(|(file, _)| &file.parts);
                in_place.blobs.extend(parts.map(|part| part.hash));
                in_place.results.extend(results);
            }
            Ok(())
        })?;
        Ok(in_place)
    }

    /// The last state of the folder; `None` if unknown.
    pub(crate) fn read_record(&self, path: &Path) -> LeftFolder {
        let sealed = read_note(self.layout.folder(), path).ok().flatten();
        sealed.and_then(|sealed| decode(&sealed)).unwrap_or_default()
    }

    /// Records the state of a folder. Without a record the next build writes the folder again, which only costs time.
    ///
    /// * `root`: the folder of all outputs
    pub(crate) fn write_record(&self, path: &Path, root: &Folder, tree: &Tree<'_>, files: &[Left]) {
        let session = self.session.get();
        let record = encode(&absolute(root, tree.folder), tree.results, files);
        drop(session.and_then(|session| publish(session, self.layout.folder(), path, &record)));
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

fn absolute(root: &Folder, folder: &Path) -> PathBuf {
    let folder = root.at(folder);
    std::path::absolute(&folder).unwrap_or(folder)
}

fn encode(folder: &Path, results: &[Digest], files: &[Left]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.sized(folder.as_os_str().as_bytes()).u64(results.len() as u64);
    for result in results {
        writer.bytes(result.as_bytes());
    }
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

fn decode(sealed: &[u8]) -> Option<LeftFolder> {
    let mut reader = Reader::new(unseal(KIND, sealed)?);
    let folder = PathBuf::from(OsString::from_vec(reader.sized()?.to_vec()));
    let n_results = reader.count(32)?;
    let results = (0..n_results).map(|_| reader.array().map(Digest::from_bytes)).collect::<Option<_>>()?;
    let mut files = Vec::new();
    for _ in 0..reader.count(FileStamp::N_BYTES)? {
        let path = String::from_utf8(reader.sized()?.to_vec()).ok()?;
        let n_parts = reader.count(40)?;
        let parts = (0..n_parts).map(|_| reader.blob_digest()).collect::<Option<Vec<_>>>()?;
        files.push((TreeFile { path, parts }, FileStamp::decode(&mut reader)?));
    }
    reader.end()?;
    Some(LeftFolder { folder, results, files })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mc_digest::digest::{ActionDigest, BlobDigest};

    use super::*;
    use crate::local::collect::{Collection, ReadBlob};
    use crate::materialize::tree::Destination;
    use crate::traits::{ActionCache as _, BlobStore as _};

    /// Results of this test are consecutive hashes.
    fn blobs_of(result: &[u8], _: &mut ReadBlob<'_>) -> Option<Vec<Digest>> {
        Some(result.as_chunks::<32>().0.iter().map(|hash| Digest::from_bytes(*hash)).collect())
    }

    /// Collects everything that is not in use, and returns the number of bytes left.
    fn collect(dir: &Path) -> u64 {
        let store = LocalStore::open(&dir.join("store")).unwrap();
        let (others, is_dry) = (Vec::new(), false);
        store
            .collect(&Collection { max_bytes: 0, blobs_of: &blobs_of, others, is_dry })
            .unwrap()
            .n_bytes_after
    }

    fn record(store: &LocalStore, name: &str, blob: &BlobDigest) -> ActionDigest {
        let digest = ActionDigest::of(name.as_bytes());
        store.put(&digest, blob.hash.as_bytes(), None).unwrap();
        digest
    }

    #[test]
    fn results_behind_outputs_in_place_are_not_collected() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("workspace");
        fs::create_dir(&base).unwrap();
        let store = LocalStore::open(&dir.path().join("store")).unwrap();
        let blobs = [1, 2, 3].map(|number| store.put_bytes(&[number; 1000]).unwrap());
        let names = ["bundle", "imatrix", "other"];
        let results = [0, 1, 2].map(|index| record(&store, names[index], &blobs[index]));
        let files = [TreeFile { path: "model.gguf".to_owned(), parts: vec![blobs[0]] }];
        let tree = Tree { folder: Path::new("models/app"), files: &files, results: &[] };
        let destination = Destination { base: &base, root: Path::new("mc-out") };
        assert!(store.materialize(destination, &[tree]).remove(0).is_ok());
        // The results behind the files are recorded although no file has to be written.
        let tree = Tree { results: &[results[1].hash], ..tree };
        assert!(store.materialize(destination, &[tree]).remove(0).is_ok());
        drop(store);
        assert!(collect(dir.path()) > 2000);
        let store = LocalStore::open(&dir.path().join("store")).unwrap();
        let here = |result: &ActionDigest| store.get(result).unwrap().is_some();
        assert_eq!(results.each_ref().map(here), [true, true, false]);
        assert_eq!(blobs.map(|blob| store.contains(&blob).unwrap()), [true, true, false]);
        drop(store);
        fs::remove_dir_all(&base).unwrap();
        assert_eq!(collect(dir.path()), 0);
    }
}
