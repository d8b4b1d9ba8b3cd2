//! Pins every file of declared origins by its digest. Computing a digest requires the bytes, so the files are
//! downloaded.

use mc_fetch::fetcher::Fetcher;
use mc_fetch::lock_file::{LOCK_FILE, LockFile, LockedFile};
use mc_ir::origin::Origin;

use crate::event::{Event, EventSink};
use crate::fetching::error::{FetchingError, Task};
use crate::fetching::files::fetcher;
use crate::fetching::lock_file::{read_lock, write_lock};
use crate::settings::fetch::FetchSettings;
use crate::store::Store;
use crate::workspace::Workspace;

/// The origins to pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// True if pinned origins are pinned again.
    pub updates: bool,
    /// True if the origins are all that the workspace declares: others are removed from the lock.
    pub is_everything: bool,
}

/// The change of an origin in the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is no longer declared.
    Removed,
    /// It was pinned before.
    Kept,
    /// It was pinned now.
    Pinned,
}

/// An origin with its change.
#[derive(Clone, Debug)]
pub struct Locked {
    /// The change.
    pub change: Change,
    /// The origin.
    pub origin: Origin,
    /// Number of its files.
    pub n_files: usize,
    /// Their bytes.
    pub n_bytes: u64,
}

impl Locked {
    fn new(change: Change, origin: &Origin, files: &[LockedFile]) -> Self {
        let n_bytes = files.iter().map(|file| file.digest.n_bytes).sum();
        Self { change, origin: origin.clone(), n_files: files.len(), n_bytes }
    }
}

/// Pins the files of the origins in `mc.lock`. After a failure the lock is as it was: a lock of which half is new would
/// be committed as if it were whole. Files that came stay in the store.
///
/// # Errors
/// If an origin cannot be pinned, or the lock cannot be read or written.
pub fn lock(
    workspace: &Workspace,
    store: &Store,
    origins: &[Origin],
    scope: Scope,
    settings: &FetchSettings,
    events: &dyn EventSink,
) -> Result<Vec<Locked>, FetchingError> {
    let before = if scope.updates && scope.is_everything {
        // The old file is not needed, even if it has errors.
        read_lock(workspace).unwrap_or_default()
    } else {
        read_lock(workspace)?
    };
    let is_wanted = |origin: &&Origin| scope.updates || !before.entries.contains_key(*origin);
    let wanted: Vec<&Origin> = origins.iter().filter(is_wanted).collect();
    if !wanted.is_empty() && settings.offline {
        let origins = wanted.into_iter().cloned().collect();
        return Err(FetchingError::OfflineUnpinned { origins });
    }
    let mut lock = before.clone();
    if scope.is_everything {
        lock.entries.retain(|origin, _| origins.contains(origin));
    }
    let removed = before.entries.iter().filter(|(origin, _)| !lock.entries.contains_key(*origin));
    let mut locked: Vec<Locked> =
        removed.map(|(origin, files)| Locked::new(Change::Removed, origin, files)).collect();
    let kept = lock.entries.iter().filter(|(origin, _)| origins.contains(origin) && !wanted.contains(origin));
    locked.extend(kept.map(|(origin, files)| Locked::new(Change::Kept, origin, files)));
    let pinned = match wanted.as_slice() {
        [] => Ok(()),
        wanted => {
            fetcher(store, settings).and_then(|fetcher| pin(&fetcher, wanted, &mut lock, &mut locked, events))
        }
    };
    events.event(Event::FetchEnded);
    pinned?;
    if lock != before || (!lock.entries.is_empty() && !workspace.root.join(LOCK_FILE).exists()) {
        write_lock(workspace, &lock)?;
    }
    Ok(locked)
}

fn pin(
    fetcher: &Fetcher,
    wanted: &[&Origin],
    lock: &mut LockFile,
    locked: &mut Vec<Locked>,
    events: &dyn EventSink,
) -> Result<(), FetchingError> {
    wanted.iter().try_for_each(|origin| check(fetcher, origin))?;
    for origin in wanted {
        let before = lock.entries.get(*origin).map(Vec::as_slice);
        let files = fetcher.lock(origin, before, &|event| events.event(Event::Fetch(event)));
        let files = files.map_err(|error| Task::Pin((*origin).clone()).failed(error))?;
        locked.push(Locked::new(Change::Pinned, origin, &files));
        lock.entries.insert((*origin).clone(), files);
    }
    Ok(())
}

/// Refuses an origin that cannot be pinned as declared. For a mutable one, requests its current revision from the
/// server.
fn check(fetcher: &Fetcher, origin: &Origin) -> Result<(), FetchingError> {
    let Err(error) = origin.check() else { return Ok(()) };
    let now = if error.moves {
        Some(fetcher.pin(origin).map_err(|error| Task::Pin(origin.clone()).failed(error))?)
    } else {
        None
    };
    Err(FetchingError::PathError { origin: origin.clone(), message: error.message, now })
}
