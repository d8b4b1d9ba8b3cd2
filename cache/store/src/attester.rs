//! Attesters for results of actions, and the trust in them.
//!
//! A result is right if its maker ran the action on the bytes that its key names. A store cannot see that, so each
//! record notes who answers for it. If results have to be signed, a record without a trusted voucher is a miss, so a
//! result that came from an unsigned cache is never passed on as the user's own.

use std::collections::BTreeSet;

use mc_digest::digest::Digest;

use crate::record::{Reader, Writer};

/// Somebody who answers for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attester {
    /// This machine, which ran the action itself and compared what it read with the key.
    Here,
    /// The owner of a signing key, by the digest of the public key.
    Key(Digest),
    /// The workers of a remote executor, by the digest of its address.
    Workers(Digest),
}

/// Everybody who answers for a result. Nobody answers for one that came from an unsigned cache.
pub type Attesters = BTreeSet<Attester>;

/// Attesters that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// All, and results without a voucher.
    #[default]
    Anyone,
    /// Those of this machine, and the named ones.
    Only(Attesters),
}

impl Trust {
    /// Tells whether a result with these vouchers counts.
    pub fn accepts<'a>(&self, attesters: impl IntoIterator<Item = &'a Attester>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only(trusted) => attesters
                .into_iter()
                .any(|attester| matches!(attester, Attester::Here) || trusted.contains(attester)),
        }
    }
}

/// Encoded size of a voucher: its kind, and a digest, which is zero for [`Attester::Here`].
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
    fn a_result_counts_when_somebody_who_is_trusted_answers_for_it() {
        let (ours, theirs) = (Attester::Key(Digest::of(b"ours")), Attester::Key(Digest::of(b"theirs")));
        // An address is no key, whatever its digest.
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
