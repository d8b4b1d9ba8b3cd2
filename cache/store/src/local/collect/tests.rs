use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use mc_digest::digest::ActionDigest;

use super::*;
use crate::traits::{ActionCache as _, BlobStore as _};

/// Results of these tests are consecutive hashes.
fn blobs_of(result: &[u8], _: &mut ReadBlob<'_>) -> Option<Vec<Digest>> {
    let (hashes, rest) = result.as_chunks::<32>();
    rest.is_empty().then(|| hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
}

fn open(dir: &Path) -> LocalStore {
    LocalStore::open(&dir.join("store")).unwrap()
}

fn collect(dir: &Path, max_bytes: u64) -> Collected {
    open(dir)
        .collect(&Collection { max_bytes, blobs_of: &blobs_of, others: Vec::new(), is_dry: false })
        .unwrap()
}

/// Records a result that names blobs, with a last use some hours ago.
fn record(store: &LocalStore, name: &str, blobs: &[BlobDigest], n_hours: u64) -> ActionDigest {
    let digest = ActionDigest::of(name.as_bytes());
    let result: Vec<u8> = blobs.iter().flat_map(|blob| *blob.hash.as_bytes()).collect();
    store.put(&digest, &result, None).unwrap();
    // A collection may have removed it already.
    if let Ok(file) = fs::File::open(store.layout.at(&store.layout.action(&digest.hash))) {
        file.set_modified(SystemTime::now() - Duration::from_secs(n_hours * 3600)).unwrap();
    }
    digest
}

fn is_here(dir: &Path, action: &ActionDigest) -> bool {
    open(dir).layout.folder().status_of(&open(dir).layout.action(&action.hash)).is_ok()
}

fn blob(store: &LocalStore, number: u8) -> BlobDigest {
    store.put_bytes(&[number; 1000]).unwrap()
}

#[test]
fn least_recently_used_results_are_removed_first_and_shared_blobs_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let [a, b, c, orphan] = [1, 2, 3, 4].map(|number| blob(&store, number));
    let old = record(&store, "old", &[a, b], 3);
    let young = record(&store, "young", &[b, c], 1);
    drop(store);
    let within = collect(dir.path(), 100_000);
    assert_eq!((within.n_bytes_removed(), within.n_bytes_before), (0, within.n_bytes_after));
    let collected = collect(dir.path(), within.n_bytes_before - 1);
    assert_eq!((collected.blobs.n_files, collected.results.n_files), (1, 0));
    assert!(!open(dir.path()).contains(&orphan).unwrap());
    let collected = collect(dir.path(), 3000);
    assert_eq!((collected.blobs.n_files, collected.results.n_files), (1, 1));
    assert!(!is_here(dir.path(), &old) && is_here(dir.path(), &young));
    let store = open(dir.path());
    assert_eq!([a, b, c].map(|blob| store.contains(&blob).unwrap()), [false, true, true]);
    assert!(!store.layout.at(store.layout.evicted()).exists());
}

#[test]
fn a_use_renews_a_result() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (a, b) = (blob(&store, 1), blob(&store, 2));
    let old = record(&store, "old", &[a], 3);
    let young = record(&store, "young", &[b], 1);
    drop(store);
    assert!(open(dir.path()).get(&old).unwrap().is_some());
    collect(dir.path(), 1500);
    assert!(is_here(dir.path(), &old) && !is_here(dir.path(), &young));
}

#[test]
fn blobs_in_use_stay_until_the_process_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (a, b) = (blob(&store, 1), blob(&store, 2));
    let (old, young) = (record(&store, "old", &[a], 3), record(&store, "young", &[b], 1));
    drop(store);
    let living = open(dir.path());
    assert!(living.contains(&a).unwrap());
    let written = blob(&living, 3);
    assert_eq!(
        collect(dir.path(), 0).n_bytes_after,
        2000 + fs::metadata(living.layout.at(&living.layout.action(&old.hash))).unwrap().len()
    );
    assert!(!is_here(dir.path(), &young));
    assert!(living.open(&a).unwrap().is_some() && living.open(&written).unwrap().is_some());
    assert!(living.open(&b).unwrap().is_none());
    drop(living);
    assert_eq!(collect(dir.path(), 0).n_bytes_after, 0);
    assert_eq!(open(dir.path()).take_corruptions(), []);
}

#[test]
fn a_killed_collection_neither_loses_blobs_nor_leaves_garbage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (a, b) = (blob(&store, 1), blob(&store, 2));
    let result = record(&store, "result", &[a, b], 1);
    let folder = store.layout.folder();
    folder.create_folder(store.layout.evicted()).unwrap();
    for blob in [a, b] {
        folder
            .rename(&store.layout.blob(&blob.hash), folder, &store.layout.evicted_blob(&blob.hash))
            .unwrap();
    }
    drop(store);
    // A process that needs a blob moves it back.
    let living = open(dir.path());
    assert!(living.contains(&a).unwrap() && living.open(&a).unwrap().is_some());
    let collected = collect(dir.path(), 100_000);
    assert_eq!((collected.blobs.n_files, collected.results.n_files), (1, 0));
    assert!(is_here(dir.path(), &result) && living.contains(&a).unwrap() && !living.contains(&b).unwrap());
    assert_eq!(living.take_corruptions(), []);
}

#[test]
fn a_dry_run_changes_nothing_and_counts_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..5 {
        let blobs = [blob(&store, number), blob(&store, number + 1)];
        record(&store, &number.to_string(), &blobs, number.into());
    }
    drop(store);
    let dry = Collection { max_bytes: 3500, blobs_of: &blobs_of, others: Vec::new(), is_dry: true };
    let expected = open(dir.path()).collect(&dry).unwrap();
    assert_eq!(open(dir.path()).collect(&dry).unwrap(), expected);
    assert!(expected.results.n_files > 0);
    assert_eq!(collect(dir.path(), 3500), expected);
}

#[test]
fn other_contents_are_removed_by_age_and_only_if_no_process_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let other = |name: &str, n_hours: u64, is_kept| {
        let path = Path::new("fetched").join(name);
        fs::create_dir_all(store.layout.at(&path)).unwrap();
        let last_used = SystemTime::now() - Duration::from_secs(n_hours * 3600);
        Other { paths: vec![path], n_bytes: 1000, last_used, is_kept }
    };
    let others = vec![other("old", 3, false), other("kept", 4, true), other("young", 1, false)];
    let collection =
        || Collection { max_bytes: 2000, blobs_of: &blobs_of, others: others.clone(), is_dry: false };
    let there = || ["old", "kept", "young"].map(|name| dir.path().join("store/fetched").join(name).exists());
    store.announce();
    assert_eq!(open(dir.path()).collect(&collection()).unwrap().others, Count::default());
    assert_eq!(there(), [true, true, true]);
    drop(store);
    assert_eq!(open(dir.path()).collect(&collection()).unwrap().others, Count { n_files: 1, n_bytes: 1000 });
    assert_eq!(there(), [false, true, true]);
}

/// A number that differs in each call.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A build that stores, finds, records and reads, and never loses a blob after the store reported it as present.
fn run_build(dir: &Path, random: &mut Random) {
    let store = open(dir);
    let mut used: BTreeMap<Digest, (BlobDigest, u8)> = BTreeMap::new();
    for step in 0..40 {
        let number = random.below(12) as u8;
        let digest = BlobDigest::of(&[number; 1000]);
        match random.below(4) {
            0 => {
                assert_eq!(store.put_bytes(&[number; 1000]).unwrap(), digest);
                used.insert(digest.hash, (digest, number));
            }
            1 => {
                if store.contains(&digest).unwrap() {
                    used.insert(digest.hash, (digest, number));
                }
            }
            2 => {
                let named: Vec<BlobDigest> = used.values().map(|(blob, _)| *blob).take(3).collect();
                record(&store, &format!("{number}"), &named, random.below(9));
            }
            _ => drop(store.get(&ActionDigest::of(format!("{number}").as_bytes())).unwrap()),
        }
        for (digest, number) in used.values() {
            let bytes = store.open(digest).unwrap();
            let bytes = bytes.unwrap_or_else(|| panic!("blob {number} is lost after step {step}"));
            assert_eq!(&bytes[..], [*number; 1000]);
        }
    }
    assert_eq!(store.take_corruptions(), []);
}

#[test]
fn concurrent_collections_remove_no_blob_that_a_build_uses() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let builders: Vec<_> = (0..4_u64)
            .map(|seed| {
                let dir = dir.path();
                scope.spawn(move || {
                    let mut random = Random(seed + 1);
                    (0..25).for_each(|_| run_build(dir, &mut random));
                })
            })
            .collect();
        for seed in 0..2 {
            let (dir, is_over) = (dir.path(), &is_over);
            scope.spawn(move || {
                let mut random = Random(100 + seed);
                while !is_over.load(Ordering::Relaxed) {
                    collect(dir, random.below(8000));
                }
            });
        }
        let ended: Vec<_> = builders.into_iter().map(|builder| builder.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    let stats = open(dir.path()).verify().unwrap();
    assert_eq!(stats.quarantine, Count::default());
    assert_eq!(collect(dir.path(), 0).n_bytes_after, 0);
}
