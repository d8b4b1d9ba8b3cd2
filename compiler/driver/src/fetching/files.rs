//! Files of declared origins: finds and downloads them.

use std::path::PathBuf;
use std::sync::Arc;

use mc_analysis::disk::NotFetched;
use mc_fetch::area::{Area, Presence};
use mc_fetch::client::Client;
use mc_fetch::fetcher::Fetcher;
use mc_fetch::lock_file::{LOCK_FILE, LockedFile};
use mc_fetch::stall_limit::StallLimit;
use mc_ir::origin::Origin;

use crate::credentials::credentials;
use crate::event::{Event, EventSink};
use crate::fetching::error::{FetchingError, Task};
use crate::fetching::lock_file::read_lock;
use crate::settings::fetch::FetchSettings;
use crate::store::Store;
use crate::workspace::Workspace;

/// The fetched files of some origins.
#[derive(Debug, Default)]
pub struct FetchedFiles {
    /// Origins whose files were present, with their folders.
    pub present: Vec<(Origin, PathBuf)>,
    /// Origins whose files were downloaded now, with their folders.
    pub fetched: Vec<(Origin, PathBuf)>,
}

/// Finds the folder with the fetched files of an origin, or returns the reason for which there is none. Downloads
/// nothing.
pub(crate) fn folders(
    store: Arc<Store>,
    workspace: &Workspace,
) -> impl Fn(&Origin) -> Result<PathBuf, NotFetched> + Send + Sync + 'static {
    let workspace = workspace.clone();
    let wrong = |message: String| NotFetched { message, is_pinned: false };
    move |origin| {
        let dir = store.dir().map_err(|error| wrong(error.to_string()))?;
        let lock = read_lock(&workspace).map_err(|error| match error {
            FetchingError::LockFile { reason, .. } => wrong(reason),
            other => wrong(other.to_string()),
        })?;
        let Some(files) = lock.entries.get(origin) else {
            return Err(wrong(format!("{origin} is not in `{LOCK_FILE}`; run `mc lock`")));
        };
        // Keeps other processes from removing fetched files while this one runs.
        store.announce();
        let pinned = |message: String| NotFetched { message, is_pinned: true };
        match Area::new(dir).presence(origin, files).map_err(|error| wrong(error.to_string()))? {
            Presence::Whole(folder) => Ok(folder),
            Presence::Missing => Err(pinned(format!("{origin} is not fetched; run `mc fetch`"))),
            Presence::Damaged(names) => Err(pinned(format!(
                "{origin} was changed in the store (`{}`); run `mc fetch`",
                names.join("`, `")
            ))),
        }
    }
}

/// The download client, which writes to the store.
pub(crate) fn fetcher(store: &Store, settings: &FetchSettings) -> Result<Fetcher, FetchingError> {
    // Makes the folder a store, so that whatever is in it is known as ours.
    let opened = store.open()?;
    opened.announce();
    let area = Area::new(opened.root());
    let endpoint = settings.hugging_face.clone().map_err(FetchingError::HuggingFace)?;
    let stall_limit = StallLimit { connect: settings.idle, idle: settings.idle, ..StallLimit::default() };
    let access = &settings.access;
    let client = Client::new(credentials(access, &endpoint), stall_limit, &access.proxies)
        .map_err(|error| Task::Proxy.failed(error))?;
    Ok(Fetcher { client, area, endpoint })
}

/// Downloads the pinned files of all these origins.
///
/// # Errors
/// If an origin is not pinned, or its files cannot be fetched.
pub fn fetch(
    workspace: &Workspace,
    store: &Store,
    origins: &[Origin],
    settings: &FetchSettings,
    events: &dyn EventSink,
) -> Result<FetchedFiles, FetchingError> {
    let lock = read_lock(workspace)?;
    let unpinned = origins.iter().filter(|origin| !lock.entries.contains_key(*origin));
    let unpinned: Vec<Origin> = unpinned.cloned().collect();
    if !unpinned.is_empty() {
        return Err(FetchingError::Unpinned { origins: unpinned });
    }
    bring(workspace, store, origins, settings, events)
}

/// Downloads the pinned files of the origins. Skips origins without a pin; the analysis reports those with their
/// locations.
pub(crate) fn bring(
    workspace: &Workspace,
    store: &Store,
    origins: &[Origin],
    settings: &FetchSettings,
    events: &dyn EventSink,
) -> Result<FetchedFiles, FetchingError> {
    let mut files = FetchedFiles::default();
    if origins.is_empty() {
        return Ok(files);
    }
    let lock = read_lock(workspace)?;
    store.announce();
    let area = Area::new(store.dir()?);
    let mut missing: Vec<(&Origin, &[LockedFile])> = Vec::new();
    for origin in origins {
        let Some(locked) = lock.entries.get(origin) else { continue };
        match area.presence(origin, locked).map_err(|error| Task::Read.failed(error))? {
            Presence::Whole(folder) => files.present.push((origin.clone(), folder)),
            Presence::Missing | Presence::Damaged(_) => missing.push((origin, locked)),
        }
    }
    if missing.is_empty() {
        return Ok(files);
    }
    if settings.offline {
        let names = missing.iter().flat_map(|(origin, files)| files.iter().map(|file| (*origin, file)));
        let missing = names.map(|(origin, file)| (origin.clone(), file.name.clone())).collect();
        return Err(FetchingError::OfflineMissing { missing });
    }
    let fetcher = fetcher(store, settings)?;
    let fetched = fetch_missing(&fetcher, &missing, events);
    events.event(Event::FetchEnded);
    files.fetched = fetched?;
    Ok(files)
}

fn fetch_missing(
    fetcher: &Fetcher,
    missing: &[(&Origin, &[LockedFile])],
    events: &dyn EventSink,
) -> Result<Vec<(Origin, PathBuf)>, FetchingError> {
    let fetch = |(origin, files): &(&Origin, &[LockedFile])| {
        let fetched = fetcher.fetch(origin, files, &|event| events.event(Event::Fetch(event)));
        let folder = fetched.map_err(|error| Task::Fetch((*origin).clone()).failed(error))?;
        Ok(((*origin).clone(), folder))
    };
    missing.iter().map(fetch).collect()
}
