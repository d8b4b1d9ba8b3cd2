//! Small records in files: kind, length, body, checksum.
//!
//! The store's own files (action results, memos, records of outputs) have this form, so that a truncated, overwritten
//! or foreign file is recognized and treated as absent. Blobs are not records.
//!
//! Layout: kind (4 bytes), body length (`u32`), body, the first 16 bytes of the BLAKE3 hash of all preceding bytes.
//! Numbers are little-endian. A change of a body's layout requires a new kind.

use mc_digest::digest::{BlobDigest, Digest};

const CHECKSUM: usize = 16;

/// Identifier of a record's layout.
pub type Kind = [u8; 4];

/// Seals a body, which is limited to 4 GiB.
///
/// # Panics
/// Panics if the body has 4 GiB or more.
pub fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a record is smaller than 4 GiB");
    let mut sealed = Vec::with_capacity(kind.len() + 4 + body.len() + CHECKSUM);
    sealed.extend_from_slice(&kind);
    sealed.extend_from_slice(&len.to_le_bytes());
    sealed.extend_from_slice(body);
    let checksum = Digest::of(&sealed);
    sealed.extend_from_slice(&checksum.as_bytes()[..CHECKSUM]);
    sealed
}

/// The body of a file that consists of exactly one intact record of this kind.
pub fn unseal(kind: Kind, sealed: &[u8]) -> Option<&[u8]> {
    match unseal_first(kind, sealed)? {
        (body, []) => Some(body),
        _ => None,
    }
}

/// The body of the record at the start of `sealed`, and the rest.
pub fn unseal_first(kind: Kind, sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = sealed.strip_prefix(&kind)?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    let (body, rest) = rest.split_at_checked(len)?;
    let (checksum, rest) = rest.split_first_chunk::<CHECKSUM>()?;
    let expected = Digest::of(&sealed[..kind.len() + 4 + len]);
    (expected.as_bytes()[..CHECKSUM] == checksum[..]).then_some((body, rest))
}

/// Builds a body field by field.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends a number.
    pub fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Appends bytes of a fixed length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends bytes after their length.
    pub fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64).bytes(bytes)
    }

    /// Appends a digest with its size.
    pub fn blob_digest(&mut self, digest: &BlobDigest) -> &mut Self {
        self.bytes(digest.hash.as_bytes()).u64(digest.n_bytes)
    }

    /// The body.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Parses a body field by field; `None` from any of its methods means that the body does not have this layout.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader at the start of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    /// The next number.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next bytes, with the length in front of them.
    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next digest.
    pub fn blob_digest(&mut self) -> Option<BlobDigest> {
        Some(BlobDigest::new(Digest::from_bytes(self.array()?), self.u64()?))
    }

    /// A number of items of at least `item` bytes each, limited by the remaining bytes, so that it is safe for an
    /// allocation.
    pub fn count(&mut self, item: usize) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count.checked_mul(item)? <= self.0.len()).then_some(count)
    }

    /// Succeeds if everything was read.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: Kind = *b"test";

    #[test]
    fn every_flipped_bit_and_every_truncation_is_detected() {
        let sealed = seal(KIND, b"the body of a record");
        for byte_idx in 0..sealed.len() {
            assert_eq!(unseal(KIND, &sealed[..byte_idx]), None, "cut at {byte_idx}");
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[byte_idx] ^= 1 << bit;
                assert_eq!(unseal(KIND, &damaged), None, "bit {bit} of byte {byte_idx}");
            }
        }
        assert_eq!(unseal(*b"tent", &sealed), None);
        assert_eq!(unseal(KIND, &[&sealed[..], b"x"].concat()), None);
    }

    #[test]
    fn a_count_never_exceeds_the_remaining_bytes() {
        let mut writer = Writer::default();
        writer.u64(3).bytes(&[0; 24]);
        let body = writer.into_bytes();
        assert_eq!(Reader::new(&body).count(8), Some(3));
        assert_eq!(Reader::new(&body).count(9), None);
        assert_eq!(Reader::new(&u64::MAX.to_le_bytes()).count(8), None);
    }

    proptest! {
        #[test]
        fn sealing_and_unsealing_are_inverse(body: Vec<u8>, more: Vec<u8>) {
            let mut sealed = seal(KIND, &body);
            prop_assert_eq!(unseal(KIND, &sealed), Some(&body[..]));
            sealed.extend_from_slice(&more);
            prop_assert_eq!(unseal_first(KIND, &sealed), Some((&body[..], &more[..])));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let mut prefixed = KIND.to_vec();
            prefixed.extend_from_slice(&bytes);
            prop_assert_eq!(unseal_first(KIND, &prefixed), None);
            let mut reader = Reader::new(&bytes);
            while reader.sized().is_some() {}
        }

        #[test]
        fn fields_survive_a_round_trip(number: u64, text: Vec<u8>, hash: [u8; 32]) {
            let digest = BlobDigest::new(Digest::from_bytes(hash), number);
            let mut writer = Writer::default();
            writer.u64(number).sized(&text).blob_digest(&digest);
            let body = writer.into_bytes();
            let mut reader = Reader::new(&body);
            prop_assert_eq!(reader.u64(), Some(number));
            prop_assert_eq!(reader.sized(), Some(&text[..]));
            prop_assert_eq!(reader.blob_digest(), Some(digest));
            prop_assert_eq!(reader.end(), Some(()));
        }
    }
}
