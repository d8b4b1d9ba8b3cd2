//! Remembers the durations of actions, for estimates of when a build will end.
//!
//! Durations are recorded for each class of work and each size in powers of two, because a small tensor may take longer
//! per byte than a large one. Each new duration weighs as much as all earlier ones together, so that estimates adapt to
//! the current machine. No key, result or output depends on these notes; losing them only costs an estimate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mc_files::folder::Folder;

use crate::publish::{publish, read_note};
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::session::LazySession;

const KIND: Kind = *b"dur1";

/// Encoded size of an entry with a class of no bytes.
const MIN_ENTRY_BYTES: usize = 8 + 8 + 8;

/// Maximum number of entries; a workspace has a few dozen.
const MAX_ENTRIES: usize = 10_000;

/// Maximum bytes of a class name.
const MAX_CLASS_BYTES: usize = 200;

/// Maximum duration returned: about thirty years.
const MAX_SECONDS: f64 = 1e9;

/// A class of work, and the logarithm of its size.
type Key = (String, u32);

/// The recorded durations of actions.
#[derive(Debug)]
pub struct DurationNotes {
    base: Arc<Folder>,
    path: PathBuf,
    session: Arc<LazySession>,
    /// Seconds per unit of work, from earlier processes.
    before: OnceLock<BTreeMap<Key, f64>>,
    /// Seconds per unit of work, from this process.
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    rates: BTreeMap<Key, f64>,
    /// Entries that are not yet written to the file.
    unsaved: BTreeSet<Key>,
}

impl DurationNotes {
    /// Notes in the file `path` below `base`, read on demand.
    pub fn new(base: Arc<Folder>, path: &Path, session: Arc<LazySession>) -> Self {
        let (before, learned) = (OnceLock::new(), Mutex::default());
        Self { base, path: path.to_owned(), session, before, learned }
    }

    /// Records the duration of work of a class.
    pub fn record(&self, class: &str, n_units: u64, elapsed: Duration) {
        let key = key(class, n_units);
        let rate = elapsed.as_secs_f64() / n_units.max(1) as f64;
        let mut learned = self.lock();
        let known = learned.rates.get(&key).or_else(|| self.before().get(&key)).copied();
        let rate = known.map_or(rate, |known| (known + rate) / 2.0);
        learned.rates.insert(key.clone(), rate);
        learned.unsaved.insert(key);
    }

    /// Expected duration of work of a class, from the notes of the same or the nearest size; `None` without any notes.
    pub fn expected(&self, class: &str, n_units: u64) -> Option<Duration> {
        let (class, size) = key(class, n_units);
        let learned = self.lock();
        let of_class = |rates: &BTreeMap<Key, f64>| -> Vec<(u32, f64)> {
            let range = rates.range((class.clone(), 0)..=(class.clone(), u32::MAX));
            range.map(|((_, size), rate)| (*size, *rate)).collect()
        };
        // Of two equally near sizes, prefer that of this process.
        let known = of_class(&learned.rates).into_iter().chain(of_class(self.before()));
        let (_, rate) = known.min_by_key(|(known, _)| known.abs_diff(size))?;
        Some(Duration::from_secs_f64((rate * n_units.max(1) as f64).clamp(0.0, MAX_SECONDS)))
    }

    /// Writes new durations for the next process. Dropping the notes does this, too.
    pub fn save(&self) {
        let mut learned = self.lock();
        if learned.unsaved.is_empty() {
            return;
        }
        // Keep what other processes recorded meanwhile.
        let mut rates = self.read();
        for key in std::mem::take(&mut learned.unsaved) {
            if let Some(rate) = learned.rates.get(&key)
                && (rates.len() < MAX_ENTRIES || rates.contains_key(&key))
            {
                rates.insert(key, *rate);
            }
        }
        // On a full or read-only disk only an estimate is lost.
        drop(
            self.session.get().and_then(|session| publish(session, &self.base, &self.path, &encode(&rates))),
        );
    }

    fn before(&self) -> &BTreeMap<Key, f64> {
        self.before.get_or_init(|| self.read())
    }

    fn read(&self) -> BTreeMap<Key, f64> {
        let sealed = read_note(&self.base, &self.path).ok().flatten();
        sealed.and_then(|sealed| decode(&sealed)).unwrap_or_default()
    }

    // Each change of the map is complete before the lock is released.
    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DurationNotes {
    fn drop(&mut self) {
        self.save();
    }
}

fn key(class: &str, n_units: u64) -> Key {
    let end = class.floor_char_boundary(MAX_CLASS_BYTES);
    (class[..end].to_owned(), n_units.max(1).ilog2())
}

fn encode(rates: &BTreeMap<Key, f64>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u64(rates.len() as u64);
    for ((class, size), rate) in rates {
        writer.sized(class.as_bytes()).u64((*size).into()).u64(rate.to_bits());
    }
    seal(KIND, &writer.into_bytes())
}

fn decode(sealed: &[u8]) -> Option<BTreeMap<Key, f64>> {
    let mut reader = Reader::new(unseal(KIND, sealed)?);
    let mut rates = BTreeMap::new();
    for _ in 0..reader.count(MIN_ENTRY_BYTES)? {
        let class = String::from_utf8(reader.sized()?.to_vec()).ok()?;
        let size = u32::try_from(reader.u64()?).ok()?;
        let rate = f64::from_bits(reader.u64()?);
        if !(rate.is_finite() && rate >= 0.0) {
            return None;
        }
        rates.insert((class, size), rate);
    }
    reader.end()?;
    Some(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(dir: &Path) -> DurationNotes {
        let base = Arc::new(Folder::open(dir).unwrap());
        let session = Arc::new(LazySession::new(Arc::clone(&base), Path::new("tmp")));
        DurationNotes::new(base, Path::new("durations"), session)
    }

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn expected_durations_come_from_the_nearest_size() {
        let dir = tempfile::tempdir().unwrap();
        let notes = notes(dir.path());
        assert_eq!(notes.expected("tensor Q4_K", 1024), None);
        notes.record("tensor Q4_K", 1024, seconds(2));
        notes.record("tensor Q4_K", 1 << 20, seconds(1024));
        assert_eq!(notes.expected("tensor Q4_K", 2048), Some(seconds(4)));
        assert_eq!(notes.expected("tensor Q4_K", 1 << 21), Some(seconds(2048)));
        assert_eq!(notes.expected("tensor Q4_", 1024), None);
        notes.record("tensor Q4_K", 1024, seconds(4));
        assert_eq!(notes.expected("tensor Q4_K", 1024), Some(seconds(3)));
        assert_eq!(notes.expected("tensor Q4_K", u64::MAX), Some(seconds(1_000_000_000)));
    }

    #[test]
    fn the_next_process_has_the_notes_of_all_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = [notes(dir.path()), notes(dir.path())];
        first.record("a", 1, seconds(1));
        second.record("b", 1, seconds(2));
        drop(first);
        drop(second);
        let next = notes(dir.path());
        assert_eq!(["a", "b"].map(|class| next.expected(class, 1)), [Some(seconds(1)), Some(seconds(2))]);
        next.record("a", 1, seconds(3));
        drop(next);
        assert_eq!(notes(dir.path()).expected("a", 1), Some(seconds(2)));
    }

    #[test]
    fn damaged_notes_are_ignored_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], b"dur1", &seal(KIND, &[255; 40]), &encode(&[(key("a", 1), f64::NAN)].into())]
        {
            std::fs::write(dir.path().join("durations"), bytes).unwrap();
            let notes = notes(dir.path());
            assert_eq!(notes.expected("a", 1), None);
            notes.record("a", 1, seconds(1));
            drop(notes);
            assert_eq!(self::notes(dir.path()).expected("a", 1), Some(seconds(1)));
            std::fs::remove_file(dir.path().join("durations")).unwrap();
        }
    }
}
