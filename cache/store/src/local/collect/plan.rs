//! Decides what a collection removes; does not access the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use mc_digest::digest::Digest;

use crate::local::collect::other::Other;

/// The contents of a store.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Blobs, and their bytes.
    pub(crate) blobs: BTreeMap<Digest, u64>,
    pub(crate) results: Vec<HeldResult>,
    /// Damaged blobs, and their bytes.
    pub(crate) quarantine: Vec<(PathBuf, u64)>,
    pub(crate) others: Vec<Other>,
    /// Blobs that stay.
    pub(crate) pinned: BTreeSet<Digest>,
}

/// A result.
#[derive(Debug)]
pub(crate) struct HeldResult {
    pub(crate) path: PathBuf,
    pub(crate) last_used_ns: i128,
    pub(crate) modified_ns: i128,
    pub(crate) n_bytes: u64,
    /// The blobs that it names, possibly with duplicates.
    pub(crate) blobs: Vec<Digest>,
}

/// The parts of a store to remove; numbers are indices into [`Held`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) quarantine: Vec<usize>,
    pub(crate) results: Vec<usize>,
    pub(crate) blobs: Vec<Digest>,
    pub(crate) others: Vec<usize>,
}

impl Held {
    pub(crate) fn n_bytes(&self) -> u64 {
        let blobs: u64 = self.blobs.values().sum();
        let results: u64 = self.results.iter().map(|result| result.n_bytes).sum();
        let quarantine: u64 = self.quarantine.iter().map(|(_, n_bytes)| n_bytes).sum();
        let others: u64 = self.others.iter().map(|other| other.n_bytes).sum();
        blobs + results + quarantine + others
    }

    /// Returns true if a result names only blobs that stay.
    fn is_pinned(&self, result: &HeldResult) -> bool {
        !result.blobs.is_empty() && result.blobs.iter().all(|blob| self.pinned.contains(blob))
    }

    /// Results and other contents that may be removed, most recently used last.
    fn by_last_use(&self) -> Vec<Candidate> {
        let results = (0..).zip(&self.results).filter(|(_, result)| !self.is_pinned(result));
        let results = results.map(|(index, result)| (result.last_used_ns, Candidate::Result(index)));
        let others = (0..).zip(&self.others).filter(|(_, other)| !other.is_kept);
        let others = others.map(|(index, other)| {
            let since = other.last_used.duration_since(UNIX_EPOCH).unwrap_or_default();
            (since.as_nanos() as i128, Candidate::Other(index))
        });
        let mut candidates: Vec<(i128, Candidate)> = results.chain(others).collect();
        candidates.sort();
        candidates.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Candidate {
    Result(usize),
    Other(usize),
}

/// The parts to remove so that at most `max_bytes` are left. More is left if too much is in use.
pub(crate) fn plan(held: &Held, max_bytes: u64) -> Plan {
    let (mut plan, mut n_bytes) = (Plan::default(), held.n_bytes());
    for (index, (_, freed)) in held.quarantine.iter().enumerate() {
        if n_bytes <= max_bytes {
            return plan;
        }
        plan.quarantine.push(index);
        n_bytes -= freed;
    }
    let mut n_names: BTreeMap<Digest, usize> = BTreeMap::new();
    for blob in held.results.iter().flat_map(|result| &result.blobs) {
        *n_names.entry(*blob).or_default() += 1;
    }
    for (blob, freed) in &held.blobs {
        if n_bytes <= max_bytes {
            return plan;
        }
        if !n_names.contains_key(blob) && !held.pinned.contains(blob) {
            plan.blobs.push(*blob);
            n_bytes -= freed;
        }
    }
    for candidate in held.by_last_use() {
        if n_bytes <= max_bytes {
            break;
        }
        match candidate {
            Candidate::Other(index) => {
                plan.others.push(index);
                n_bytes -= held.others[index].n_bytes;
            }
            Candidate::Result(index) => {
                plan.results.push(index);
                let result = &held.results[index];
                n_bytes -= result.n_bytes;
                for blob in &result.blobs {
                    let n_left = n_names.get_mut(blob).expect("every blob of a result is counted above");
                    *n_left -= 1;
                    if *n_left == 0
                        && !held.pinned.contains(blob)
                        && let Some(freed) = held.blobs.get(blob)
                    {
                        plan.blobs.push(*blob);
                        n_bytes -= freed;
                    }
                }
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const N_BLOBS: u8 = 12;

    fn blob(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn held() -> impl Strategy<Value = Held> {
        let numbers = proptest::collection::vec(0..N_BLOBS, 0..5);
        let results = proptest::collection::vec((0..100_i128, 0..50_u64, numbers), 0..12);
        let blobs = proptest::collection::btree_map(0..N_BLOBS, 0..1000_u64, 0..12);
        let others = proptest::collection::vec((0..100_u64, 0..1000_u64, any::<bool>()), 0..3);
        let pinned = proptest::collection::btree_set(0..N_BLOBS, 0..6);
        let quarantine = proptest::collection::vec(0..100_u64, 0..3);
        (results, blobs, others, pinned, quarantine).prop_map(
            |(results, blobs, others, pinned, quarantine)| Held {
                blobs: blobs.into_iter().map(|(number, n_bytes)| (blob(number), n_bytes)).collect(),
                results: results
                    .into_iter()
                    .map(|(last_used_ns, n_bytes, blobs)| HeldResult {
                        path: PathBuf::new(),
                        last_used_ns,
                        modified_ns: last_used_ns,
                        n_bytes,
                        blobs: blobs.into_iter().map(blob).collect(),
                    })
                    .collect(),
                quarantine: quarantine.into_iter().map(|n_bytes| (PathBuf::new(), n_bytes)).collect(),
                others: others
                    .into_iter()
                    .map(|(last_used, n_bytes, is_kept)| Other {
                        paths: Vec::new(),
                        n_bytes,
                        last_used: UNIX_EPOCH + Duration::from_nanos(last_used),
                        is_kept,
                    })
                    .collect(),
                pinned: pinned.into_iter().map(blob).collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn the_limit_is_met_and_the_oldest_are_removed_first(held in held(), max_bytes in 0..6000_u64) {
            let plan = plan(&held, max_bytes);
            let gone: BTreeSet<Digest> = plan.blobs.iter().copied().collect();
            prop_assert_eq!(gone.len(), plan.blobs.len(), "each blob goes once");
            let results: BTreeSet<usize> = plan.results.iter().copied().collect();
            let freed = plan.blobs.iter().map(|blob| held.blobs[blob]).sum::<u64>()
                + results.iter().map(|&index| held.results[index].n_bytes).sum::<u64>()
                + plan.quarantine.iter().map(|&index| held.quarantine[index].1).sum::<u64>()
                + plan.others.iter().map(|&index| held.others[index].n_bytes).sum::<u64>();
            let left = held.n_bytes() - freed;
            prop_assert!(gone.is_disjoint(&held.pinned));
            // Nothing is removed if the store is within the limit.
            prop_assert!(held.n_bytes() > max_bytes || plan == Plan::default());
            for (index, result) in held.results.iter().enumerate().filter(|(index, _)| !results.contains(index)) {
                prop_assert!(result.blobs.iter().all(|blob| !gone.contains(blob)), "a result that stays is whole");
                let is_older = |other: &usize| held.results[*other].last_used_ns > result.last_used_ns;
                prop_assert!(held.is_pinned(result) || !results.iter().any(is_older), "{index} was used before");
                if left > max_bytes {
                    prop_assert!(held.is_pinned(result));
                }
            }
            if left > max_bytes {
                prop_assert!(held.others.iter().enumerate().all(|(index, other)| other.is_kept || plan.others.contains(&index)));
                let is_named = |blob: &Digest| held.results.iter().any(|result| held.is_pinned(result) && result.blobs.contains(blob));
                for blob in held.blobs.keys() {
                    prop_assert!(gone.contains(blob) || held.pinned.contains(blob) || is_named(blob));
                }
            }
            prop_assert!(plan.others.iter().all(|&index| !held.others[index].is_kept));
        }
    }
}
