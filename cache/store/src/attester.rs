//! Attesters of action results, and the trust in them.
//!
//! A result is right if its maker ran the action on the bytes that its key names. A store cannot verify that, so each
//! record names its attesters. If signatures are required, a record without a trusted attester is a miss, so a result
//! from an unsigned cache is never passed on as the user's own.

use std::collections::BTreeSet;

use mc_digest::digest::Digest;

use crate::record::{Reader, Writer};

/// An attester of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attester {
    /// This machine, which ran the action itself and compared the bytes that it read with the key.
    Here,
    /// The owner of a signing key, by the digest of the public key.
    Key(Digest),
    /// The workers of a remote executor, by the digest of its address.
    Workers(Digest),
}

/// The attesters of a result. A result from an unsigned cache has none.
pub type Attesters = BTreeSet<Attester>;

/// The trusted attesters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Everyone, including results without an attester.
    #[default]
    Anyone,
    /// This machine and the given attesters.
    Only(Attesters),
}

impl Trust {
    /// Returns true if a result with these attesters counts.
    pub fn accepts<'a>(&self, attesters: impl IntoIterator<Item = &'a Attester>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only(trusted) => attesters
                .into_iter()
                .any(|attester| matches!(attester, Attester::Here) || trusted.contains(attester)),
        }
    }
}

/// Encoded size of an attester: its kind, and a digest, which is zero for [`Attester::Here`].
const N_BYTES: usize = 8 + 32;

pub(crate) fn encode(attesters: &Attesters, writer: &mut Writer) {
    writer.u64(attesters.len() as u64);
    for attester in attesters {
        let (kind, digest) = match attester {
            Attester::Here => (0, &[0; 32]),
            Attester::Key(key) => (1, key.as_bytes()),
            Attester::Workers(address) => (2, address.as_bytes()),
        };
        writer.u64(kind).bytes(digest);
    }
}

pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Attesters> {
    let mut attesters = Attesters::new();
    for _ in 0..reader.count(N_BYTES)? {
        let (kind, digest) = (reader.u64()?, Digest::from_bytes(reader.array()?));
        attesters.insert(match kind {
            0 => Attester::Here,
            1 => Attester::Key(digest),
            2 => Attester::Workers(digest),
            _ => return None,
        });
    }
    Some(attesters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_counts_with_a_trusted_attester() {
        let (ours, theirs) = (Attester::Key(Digest::of(b"ours")), Attester::Key(Digest::of(b"theirs")));
        // An address is not a key, even with an equal digest.
        let workers = Attester::Workers(Digest::of(b"ours"));
        let only = Trust::Only(Attesters::from([ours]));
        assert!(Trust::Anyone.accepts([]) && Trust::default().accepts([&theirs]));
        assert!(only.accepts([&Attester::Here]) && only.accepts([&theirs, &ours]));
        for refused in [&[][..], &[theirs], &[workers], &[theirs, workers]] {
            assert!(!only.accepts(refused), "{refused:?}");
        }
        assert!(Trust::Only(Attesters::new()).accepts([&Attester::Here]));
    }
}
