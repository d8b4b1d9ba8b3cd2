//! Action results as small files, each a [`crate::record`] that also names its action.

use crate::error::StoreError;
use crate::local::corruption::Corruption;
use crate::local::store::LocalStore;
use crate::publish::publish;
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::traits::ActionCache;
use mc_digest::digest::{ActionDigest, BlobDigest};
use std::fs;
use std::io;

const KIND: Kind = *b"act1";

impl ActionCache for LocalStore {
    fn get(&self, digest: &ActionDigest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.layout.action(&digest.hash);
        let sealed = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| StoreError::io("read", &path, source))?,
        };
        if let Some((found, result)) = decode(&sealed) {
            // A hash with another size than its action's is a wrong digest, not a damaged entry.
            if found.hash == digest.hash {
                return Ok((found == *digest).then_some(result));
            }
        }
        remove(&path)?;
        self.report(Corruption::Action { action: digest.hash, path });
        Ok(None)
    }

    fn put(&self, digest: &ActionDigest, result: &[u8]) -> Result<(), StoreError> {
        publish(&self.session, &self.layout.action(&digest.hash), &encode(digest, result))
    }
}

fn encode(digest: &ActionDigest, result: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.blob_digest(&BlobDigest::new(digest.hash, digest.n_bytes)).sized(result);
    seal(KIND, &writer.into_bytes())
}

/// The action that an intact entry belongs to, and its result.
pub(crate) fn decode(sealed: &[u8]) -> Option<(ActionDigest, Vec<u8>)> {
    let mut reader = Reader::new(unseal(KIND, sealed)?);
    let BlobDigest { hash, n_bytes } = reader.blob_digest()?;
    let result = reader.sized()?.to_vec();
    reader.end()?;
    Some((ActionDigest::new(hash, n_bytes), result))
}

/// Removes a damaged entry. Another process may have been faster, or have put an intact one in its place
/// since; the latter is then lost and made anew, which costs time and no more.
pub(crate) fn remove(path: &std::path::Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path, error)),
        _ => Ok(()),
    }
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
