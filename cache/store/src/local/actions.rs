//! Action results as small files. Each is a [`crate::record`] that also names its action and the attesters of the
//! result.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mc_digest::digest::{ActionDigest, BlobDigest, Digest};

use crate::attester::{self, Attester, Attesters};
use crate::error::StoreError;
use crate::local::corruption::Corruption;
use crate::local::store::LocalStore;
use crate::local::sync_group::{Content, Written};
use crate::publish::{MAX_NOTE, is_in_place_of, publish};
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::traits::{ActionCache, Recorded};

const KIND: Kind = *b"act2";

/// Records of an older `mc` that did not record attesters; such results have none.
const WITHOUT_ATTESTERS: Kind = *b"act1";

impl ActionCache for LocalStore {
    fn get(&self, digest: &ActionDigest) -> Result<Option<Recorded>, StoreError> {
        let path = self.layout.action(&digest.hash);
        let Some((found, recorded)) = self.read_action(&digest.hash, &path)? else { return Ok(None) };
        self.touch(&path);
        // A hash with another size than its action's is a wrong digest, not a damaged entry.
        Ok((found == *digest).then_some(recorded))
    }

    fn put(
        &self,
        digest: &ActionDigest,
        result: &[u8],
        attester: Option<Attester>,
    ) -> Result<(), StoreError> {
        // Two processes that record at the same time may lose one of two attesters, which costs a fetch or a run.
        let recorded = Recorded::after(self.get(digest)?, result, attester);
        let (path, entry) = (self.layout.action(&digest.hash), encode(digest, &recorded));
        let file = publish(self.session.get()?, self.layout.folder(), &path, &entry)?;
        self.sync_later(Written { file, path, n_bytes: entry.len() as u64, content: Content::Result })
    }

    fn forget(&self, digest: &ActionDigest) -> Result<(), StoreError> {
        let path = self.layout.action(&digest.hash);
        let removed = self.layout.folder().remove_all(&path);
        removed.map_err(|source| StoreError::io("remove", &self.layout.at(&path), source))
    }
}

/// Minimum time between two recorded uses of a result.
const USE_INTERVAL: Duration = Duration::from_secs(60);

impl LocalStore {
    /// Records the use of a result in the modification time of its file. This is safe because trust in an entry does
    /// not depend on that time. Blobs have no such record: it would change the stamp that they are trusted by.
    fn touch(&self, path: &Path) {
        let folder = self.layout.folder();
        let Ok(file) = folder.open_file(path) else { return };
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > USE_INTERVAL)) {
            // If the file belongs to another user, it keeps the time of an earlier use.
            drop(file.set_modified(SystemTime::now()));
        }
    }

    /// The action of an entry, and its result; `None` if it is damaged or missing. Changes nothing.
    pub(crate) fn peek_action(&self, hash: &Digest, path: &Path) -> Option<Recorded> {
        let sealed = self.layout.folder().read(path, MAX_NOTE).ok()?;
        decode(&sealed).filter(|(found, _)| found.hash == *hash).map(|(_, recorded)| recorded)
    }

    /// The action of an intact entry, and its result. A damaged entry, or something else in its place, is removed and
    /// reported.
    ///
    /// # Errors
    /// Fails if the entry cannot be read, or a damaged one cannot be removed.
    pub(crate) fn read_action(
        &self,
        hash: &Digest,
        path: &Path,
    ) -> Result<Option<(ActionDigest, Recorded)>, StoreError> {
        let folder = self.layout.folder();
        let sealed = match folder.read(path, MAX_NOTE) {
            Ok(sealed) => Some(sealed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_in_place_of(folder, path, &error) => None,
            Err(source) => return Err(StoreError::io("read", &self.layout.at(path), source)),
        };
        if let Some(entry) =
            sealed.and_then(|sealed| decode(&sealed)).filter(|(found, _)| found.hash == *hash)
        {
            return Ok(Some(entry));
        }
        // Another process may already have removed it, or replaced it by an intact one, which is then lost and has to
        // be made again: slower, but correct.
        match folder
            .remove_all(path)
            .map_err(|source| StoreError::io("remove", &self.layout.at(path), source))
        {
            Err(error) if !error.is_read_only() => return Err(error),
            _ => self.report(Corruption::Action { action: *hash, path: self.layout.at(path) }),
        }
        Ok(None)
    }
}

fn encode(digest: &ActionDigest, recorded: &Recorded) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.blob_digest(&BlobDigest::new(digest.hash, digest.n_bytes)).sized(&recorded.result);
    attester::encode(&recorded.attesters, &mut writer);
    seal(KIND, &writer.into_bytes())
}

/// The action of an intact entry, and its result.
fn decode(sealed: &[u8]) -> Option<(ActionDigest, Recorded)> {
    let (body, has_attesters) = match unseal(KIND, sealed) {
        Some(body) => (body, true),
        None => (unseal(WITHOUT_ATTESTERS, sealed)?, false),
    };
    let mut reader = Reader::new(body);
    let BlobDigest { hash, n_bytes } = reader.blob_digest()?;
    let result = reader.sized()?.to_vec();
    let attesters = if has_attesters { attester::decode(&mut reader)? } else { Attesters::new() };
    reader.end()?;
    Some((ActionDigest::new(hash, n_bytes), Recorded { result, attesters }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_digest::digest::Digest;
    use proptest::prelude::*;

    #[test]
    fn results_recorded_by_an_older_mc_have_no_attester() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("cache")).unwrap();
        let digest = ActionDigest::of(b"action");
        let mut writer = Writer::default();
        writer.blob_digest(&BlobDigest::new(digest.hash, digest.n_bytes)).sized(b"result");
        let path = store.layout().action(&digest.hash);
        let session = store.session.get().unwrap();
        publish(session, store.layout().folder(), &path, &seal(WITHOUT_ATTESTERS, &writer.into_bytes()))
            .unwrap();
        let recorded = Recorded { result: b"result".to_vec(), attesters: Attesters::new() };
        assert_eq!(store.get(&digest).unwrap(), Some(recorded));
        assert_eq!(store.verify().unwrap().actions.n_files, 1);
        // The entry either was stored again and has an attester, or is missing; removing it twice is harmless.
        store.put(&digest, b"result", Some(Attester::Here)).unwrap();
        assert_eq!(store.get(&digest).unwrap().unwrap().attesters, Attesters::from([Attester::Here]));
        for _ in 0..2 {
            store.forget(&digest).unwrap();
            assert_eq!(store.get(&digest).unwrap(), None);
        }
        assert_eq!(store.take_corruptions(), []);
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(
            action: Vec<u8>, result: Vec<u8>, is_here: bool, keys: Vec<[u8; 32]>, workers: Vec<[u8; 32]>,
        ) {
            let digest = ActionDigest::of(&action);
            let keys = keys.into_iter().map(|key| Attester::Key(Digest::from_bytes(key)));
            let workers = workers.into_iter().map(|address| Attester::Workers(Digest::from_bytes(address)));
            let attesters = is_here.then_some(Attester::Here).into_iter().chain(keys).chain(workers).collect();
            let recorded = Recorded { result, attesters };
            prop_assert_eq!(decode(&encode(&digest, &recorded)), Some((digest, recorded)));
        }
    }
}
