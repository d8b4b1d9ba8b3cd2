//! Vouchers for results of actions, and the trust in them.
//!
//! A result is right if its maker ran the action on the bytes that its key names. A store cannot see that, so each
//! record notes who answers for it. If results have to be signed, a record without a trusted voucher is a miss, so a
//! result that came from an unsigned cache is never passed on as the user's own.

use std::collections::BTreeSet;

use mc_digest::digest::Digest;

use crate::record::{Reader, Writer};

/// Somebody who answers for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voucher {
    /// This machine, which ran the action itself and compared what it read with the key.
    Here,
    /// The owner of a signing key, by the digest of the public key.
    Key(Digest),
    /// The workers of a remote executor, by the digest of its address.
    Workers(Digest),
}

/// Everybody who answers for a result. Nobody answers for one that came from an unsigned cache.
pub type Vouchers = BTreeSet<Voucher>;

/// Vouchers that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// All, and results without a voucher.
    #[default]
    Anyone,
    /// Those of this machine, and the named ones.
    Only(Vouchers),
}

impl Trust {
    /// Tells whether a result with these vouchers counts.
    pub fn accepts<'a>(&self, vouchers: impl IntoIterator<Item = &'a Voucher>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only(trusted) => vouchers
                .into_iter()
                .any(|voucher| matches!(voucher, Voucher::Here) || trusted.contains(voucher)),
        }
    }
}

/// Encoded size of a voucher: its kind, and a digest, which is zero for [`Voucher::Here`].
const N_BYTES: usize = 8 + 32;

pub(crate) fn encode(vouchers: &Vouchers, writer: &mut Writer) {
    writer.u64(vouchers.len() as u64);
    for voucher in vouchers {
        let (kind, digest) = match voucher {
            Voucher::Here => (0, &[0; 32]),
            Voucher::Key(key) => (1, key.as_bytes()),
            Voucher::Workers(address) => (2, address.as_bytes()),
        };
        writer.u64(kind).bytes(digest);
    }
}

pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Vouchers> {
    let mut vouchers = Vouchers::new();
    for _ in 0..reader.count(N_BYTES)? {
        let (kind, digest) = (reader.u64()?, Digest::from_bytes(reader.array()?));
        vouchers.insert(match kind {
            0 => Voucher::Here,
            1 => Voucher::Key(digest),
            2 => Voucher::Workers(digest),
            _ => return None,
        });
    }
    Some(vouchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_counts_when_somebody_who_is_trusted_answers_for_it() {
        let (ours, theirs) = (Voucher::Key(Digest::of(b"ours")), Voucher::Key(Digest::of(b"theirs")));
        // An address is no key, whatever its digest.
        let workers = Voucher::Workers(Digest::of(b"ours"));
        let only = Trust::Only(Vouchers::from([ours]));
        assert!(Trust::Anyone.accepts([]) && Trust::default().accepts([&theirs]));
        assert!(only.accepts([&Voucher::Here]) && only.accepts([&theirs, &ours]));
        for refused in [&[][..], &[theirs], &[workers], &[theirs, workers]] {
            assert!(!only.accepts(refused), "{refused:?}");
        }
        assert!(Trust::Only(Vouchers::new()).accepts([&Voucher::Here]));
    }
}
