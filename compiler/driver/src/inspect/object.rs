//! Objects of the store, by hash or by the first digits of a hash.

use std::sync::Arc;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::action::{Content, Piece};
use mc_store::local::store::LocalStore;
use mc_store::traits::BlobStore;

use crate::inspect::error::InspectError;

/// Digits from which on a text is taken for the beginning of a hash. With fewer, it is more likely a name.
const MIN_DIGITS: usize = 4;

/// Digits of a whole hash.
const N_DIGITS: usize = 64;

/// The digits in `HASH`, in `HASH/SIZE`, or in the first digits of a hash; `None` for everything else.
pub fn digits(text: &str) -> Option<&str> {
    let (digits, size) = text.split_once('/').map_or((text, None), |(digits, size)| (digits, Some(size)));
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hash = (MIN_DIGITS..=N_DIGITS).contains(&digits.len()) && digits.bytes().all(is_digit);
    (is_hash && size.is_none_or(|size| size.parse::<u64>().is_ok())).then_some(digits)
}

/// The hash of the one object that begins with these digits.
///
/// # Errors
/// If there is none, or there are several.
pub fn resolve(store: &LocalStore, digits: &str) -> Result<Digest, InspectError> {
    if let Ok(hash) = digits.parse() {
        return Ok(hash);
    }
    let found = store.blobs_beginning_with(digits);
    match found.map_err(|error| InspectError::Store(Box::new(error)))?.as_slice() {
        [hash] => Ok(*hash),
        [] => Err(InspectError::NoObject { hash: digits.to_owned(), store: store.root().to_owned() }),
        several => {
            Err(InspectError::AmbiguousHash { digits: digits.to_owned(), candidates: several.to_vec() })
        }
    }
}

/// The bytes of the object that begins with these digits, checked.
///
/// # Errors
/// If there is no such object, there are several, or it is damaged.
pub fn content(store: &LocalStore, digits: &str) -> Result<Content, InspectError> {
    let hash = resolve(store, digits)?;
    let layout = store.layout();
    let missing = |_| InspectError::NoObject { hash: hash.to_string(), store: store.root().to_owned() };
    let n_bytes = layout.folder().status_of(&layout.blob(&hash)).map_err(missing)?.n_bytes;
    let blob = store.open(&BlobDigest::new(hash, n_bytes));
    let blob = blob.map_err(|error| InspectError::Store(Box::new(error)))?;
    let blob = blob.ok_or(InspectError::DamagedObject { hash })?;
    Ok(Content { parts: vec![Piece::whole(Arc::new(blob))] })
}

/// Hashes of objects that begin with some digits, sorted; at most `n_max`.
///
/// * `digits`: two hexadecimal digits or more, in lower case
pub fn hashes_from(store: &LocalStore, digits: &str, n_max: usize) -> Vec<String> {
    let found = store.blobs_beginning_with(digits).unwrap_or_default();
    found.iter().take(n_max).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_their_beginnings_are_distinguished_from_names() {
        let blob = BlobDigest::of(b"a");
        let hash = blob.hash.to_string();
        assert_eq!(digits(&blob.to_string()), Some(&*hash));
        assert_eq!(digits(&hash), Some(&*hash));
        assert_eq!(digits(&hash[..4]), Some(&hash[..4]));
        for text in ["model.gguf", "abc", "ABCD", "abcd/x", "abcd/1/2", &format!("{hash}0")] {
            assert_eq!(digits(text), None, "{text}");
        }
    }

    #[test]
    fn a_beginning_of_several_hashes_lists_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store")).unwrap();
        let hashes: Vec<Digest> = (0..70_000_u32).map(|number| Digest::of(&number.to_le_bytes())).collect();
        let mut beginnings = std::collections::BTreeMap::<String, Vec<u32>>::new();
        for (number, hash) in (0..).zip(&hashes) {
            beginnings.entry(hash.to_string()[..4].to_owned()).or_default().push(number);
        }
        let (digits, numbers) = beginnings.iter().find(|(_, numbers)| numbers.len() > 1).unwrap();
        let mut stored: Vec<Digest> =
            numbers.iter().map(|number| store.put_bytes(&number.to_le_bytes()).unwrap().hash).collect();
        stored.sort();
        let error = resolve(&store, digits).unwrap_err();
        assert!(matches!(error, InspectError::AmbiguousHash { candidates, .. } if candidates == stored));
        let longer = &stored[0].to_string()[..12];
        assert_eq!(resolve(&store, longer).unwrap(), stored[0]);
    }
}
