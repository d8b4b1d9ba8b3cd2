//! Action results as small files, each a [`crate::record`] that also names its action.

use std::io;
use std::path::Path;

use mc_digest::digest::{ActionDigest, BlobDigest, Digest};

use crate::error::StoreError;
use crate::local::corruption::Corruption;
use crate::local::store::LocalStore;
use crate::publish::{MAX_NOTE, is_in_place_of, publish};
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::traits::ActionCache;

const KIND: Kind = *b"act1";

impl ActionCache for LocalStore {
    fn get(&self, digest: &ActionDigest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.layout.action(&digest.hash);
        let Some((found, result)) = self.read_action(&digest.hash, &path)? else { return Ok(None) };
        // A hash with another size than its action's is a wrong digest, not a damaged entry.
        Ok((found == *digest).then_some(result))
    }

    fn put(&self, digest: &ActionDigest, result: &[u8]) -> Result<(), StoreError> {
        let path = self.layout.action(&digest.hash);
        publish(self.session.get()?, self.layout.folder(), &path, &encode(digest, result))
    }
}

impl LocalStore {
    /// The action of an intact entry, and its result. A damaged entry, or something else in its place, is removed and
    /// reported.
    ///
    /// # Errors
    /// If the entry cannot be read, or a damaged one cannot be removed.
    pub(crate) fn read_action(
        &self,
        hash: &Digest,
        path: &Path,
    ) -> Result<Option<(ActionDigest, Vec<u8>)>, StoreError> {
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
        // Another process may have been faster, or have put an intact one in its place since; the latter is then lost
        // and made anew, which costs time and no more.
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

fn encode(digest: &ActionDigest, result: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.blob_digest(&BlobDigest::new(digest.hash, digest.n_bytes)).sized(result);
    seal(KIND, &writer.into_bytes())
}

/// The action that an intact entry belongs to, and its result.
fn decode(sealed: &[u8]) -> Option<(ActionDigest, Vec<u8>)> {
    let mut reader = Reader::new(unseal(KIND, sealed)?);
    let BlobDigest { hash, n_bytes } = reader.blob_digest()?;
    let result = reader.sized()?.to_vec();
    reader.end()?;
    Some((ActionDigest::new(hash, n_bytes), result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(action: Vec<u8>, result: Vec<u8>) {
            let digest = ActionDigest::of(&action);
            prop_assert_eq!(decode(&encode(&digest, &result)), Some((digest, result)));
        }
    }
}
