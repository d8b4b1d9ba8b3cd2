//! Where the files of declared origins are, and how they come here before the analysis reads them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use mc_fetch::area::{Area, Presence};
use mc_fetch::client::Client;
use mc_fetch::error::FetchError;
use mc_fetch::fetcher::Fetcher;
use mc_fetch::lock_file::{LOCK_FILE, LockFile, LockedFile, MAX_LOCK};
use mc_fetch::origins::hugging_face;
use mc_fetch::patience::Patience;
use mc_fetch::url::Url;
use mc_files::folder::Folder;
use mc_files::regular::read_text;
use mc_ir::origin::Origin;
use mc_store::local::store::LocalStore;

use crate::invocation::Invocation;
use crate::options::GlobalOptions;
use crate::render::fetching::FetchProgress;
use crate::render::summary::plural;
use crate::report::Report;
use crate::wire::credentials::{credentials, proxies, variable};
use crate::wire::engine::store_report;
use crate::workspace::{Workspace, cache_dir};

/// What was done for some origins.
#[derive(Default)]
pub(crate) struct Brought {
    /// Origins whose files were here, with their folders.
    pub(crate) present: Vec<(Origin, PathBuf)>,
    /// Origins whose files came now, with their folders.
    pub(crate) fetched: Vec<(Origin, PathBuf)>,
}

/// Reads `mc.lock`; a workspace without one has pinned nothing.
pub(crate) fn read_lock(workspace: &Workspace) -> Result<LockFile, Report> {
    let path = workspace.root.join(LOCK_FILE);
    let failed = |because: String| {
        Report::usage(format!("Cannot use `{LOCK_FILE}`")).at(path.display()).because(because)
    };
    let text = match read_text(&path, MAX_LOCK) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(LockFile::default()),
        text => text.map_err(|error| failed(error.to_string()))?,
    };
    LockFile::parse(&text).map_err(|error| failed(error.to_string()))
}

/// Writes `mc.lock`, whole or not at all.
pub(crate) fn write_lock(workspace: &Workspace, lock: &LockFile) -> Result<(), Report> {
    let path = workspace.root.join(LOCK_FILE);
    let write = || {
        // A link in its place is replaced, and none is followed.
        let root = Folder::open(&workspace.root)?;
        let name = format!(".{LOCK_FILE}.{}", std::process::id());
        let unfinished = Path::new(&name);
        root.remove_file(unfinished)?;
        let written = root.create_file(unfinished, 0o666).and_then(|mut file| {
            file.write_all(lock.text().as_bytes())?;
            file.sync_all()?;
            root.rename(unfinished, &root, Path::new(LOCK_FILE))
        });
        written.inspect_err(|_| drop(root.remove_file(unfinished)))
    };
    write().map_err(|error: std::io::Error| {
        Report::failed(format!("Cannot write `{}`", path.display())).because(error)
    })
}

/// Says in which folder the fetched files of an origin are, or why they are in none; fetches nothing.
pub(crate) fn folders(
    options: &GlobalOptions,
    workspace: &Workspace,
) -> impl Fn(&Origin) -> Result<PathBuf, String> + Send + Sync + 'static {
    let (store, workspace) = (cache_dir(options), workspace.clone());
    move |origin| {
        let store = store.as_ref().map_err(|report| report.what.clone())?;
        let lock = read_lock(&workspace).map_err(|report| report.because.unwrap_or(report.what))?;
        let Some(files) = lock.entries.get(origin) else {
            return Err(format!("{origin} is not in `{LOCK_FILE}`; run `mc lock`"));
        };
        match Area::new(store).presence(origin, files).map_err(|error| error.to_string())? {
            Presence::Whole(folder) => Ok(folder),
            Presence::Missing => Err(format!("{origin} is not fetched; run `mc fetch`")),
            Presence::Damaged(names) => {
                Err(format!("{origin} was changed in the store (`{}`); run `mc fetch`", names.join("`, `")))
            }
        }
    }
}

/// What asks servers, with the user's store under it.
pub(crate) fn fetcher(invocation: &Invocation) -> Result<Fetcher, Report> {
    let options = &invocation.options;
    let dir = cache_dir(options)?;
    // Makes the folder a store, so that whatever is in it is known as ours.
    LocalStore::open(&dir).map_err(|error| store_report(&error))?;
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| hugging_face::ENDPOINT.to_owned());
    let endpoint =
        Url::parse(&endpoint).map_err(|error| Report::usage("Cannot use `HF_ENDPOINT`").because(error))?;
    let idle = options.fetch_timeout();
    let patience = Patience { connect: idle, idle, ..Patience::default() };
    let client = Client::new(credentials(options, &endpoint), patience, &proxies())
        .map_err(|error| fetch_report("Cannot use the proxy", &error))?;
    Ok(Fetcher { client, area: Area::new(&dir), endpoint })
}

/// Brings the pinned files of the origins here. What is not pinned is left out: the analysis reports it with its place.
pub(crate) fn bring(
    invocation: &Invocation,
    workspace: &Workspace,
    origins: &[Origin],
) -> Result<Brought, Report> {
    let mut brought = Brought::default();
    if origins.is_empty() {
        return Ok(brought);
    }
    let lock = read_lock(workspace)?;
    let area = Area::new(&cache_dir(&invocation.options)?);
    let mut missing: Vec<(&Origin, &[LockedFile])> = Vec::new();
    for origin in origins {
        let Some(files) = lock.entries.get(origin) else { continue };
        let presence = area.presence(origin, files);
        match presence.map_err(|error| fetch_report("Cannot read what was fetched", &error))? {
            Presence::Whole(folder) => brought.present.push((origin.clone(), folder)),
            Presence::Missing | Presence::Damaged(_) => missing.push((origin, files)),
        }
    }
    if missing.is_empty() {
        return Ok(brought);
    }
    if invocation.options.offline {
        return Err(offline(&missing));
    }
    let fetcher = fetcher(invocation)?;
    let progress = FetchProgress::new(&invocation.streams);
    for (origin, files) in missing {
        let fetched = fetcher.fetch(origin, files, &|event| progress.event(event));
        let folder = fetched.map_err(|error| {
            progress.finish();
            fetch_report(&format!("Cannot fetch {origin}"), &error)
        })?;
        brought.fetched.push((origin.clone(), folder));
    }
    progress.finish();
    Ok(brought)
}

/// A failure to fetch as a report.
pub(crate) fn fetch_report(what: &str, error: &FetchError) -> Report {
    let report = Report::failed(what).because(error);
    match error.help() {
        Some(help) => report.hint(help),
        None => report,
    }
}

fn offline(missing: &[(&Origin, &[LockedFile])]) -> Report {
    const MAX_SHOWN: usize = 20;
    let name = |(origin, file): (&Origin, &LockedFile)| format!("{}  of {origin}", file.name);
    let pairs = missing.iter().flat_map(|(origin, files)| files.iter().map(|file| (*origin, file)));
    let names: Vec<String> = pairs.map(name).collect();
    let n_files = names.len();
    let mut shown = names;
    if n_files > MAX_SHOWN {
        shown.truncate(MAX_SHOWN);
        shown.push(format!("and {} more", n_files - MAX_SHOWN));
    }
    let are = if n_files == 1 { "is" } else { "are" };
    Report::failed(format!(
        "{n_files} file{} {are} not here, and `--offline` lets nobody fetch them",
        plural(n_files)
    ))
    .because(shown.join("\n"))
    .hint("Run `mc fetch` while there is a network")
}

/// The path of a folder, as JSON and people see it.
pub(crate) fn shown(folder: &Path) -> String {
    folder.display().to_string()
}
