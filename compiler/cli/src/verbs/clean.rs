//! `mc clean`: removes outputs, and the store when told so twice.
//!
//! Only what `mc` made is removed: the folder `mc-out` of the workspace, and the known entries of a folder that
//! carries a store's `VERSION` file. It is moved aside first, by a rename for each entry: builds that go on meanwhile make
//! their folders anew and keep putting files into those, so there is an end to it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use mc_files::folder::Folder;
use mc_files::regular;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::report::Report;
use crate::verbs::Run;
use crate::wire::fetching::shown;
use crate::workspace::{OUT, Workspace, cache_dir};

/// Remove the workspace's mc-out folder, and with --cache the store
#[derive(Args)]
pub(crate) struct Clean {
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Also remove the store, which other workspaces may share; needs --yes
    #[arg(long)]
    cache: bool,

    /// Do not ask whether the store may be removed
    #[arg(long, requires = "cache")]
    yes: bool,
}

/// The entries of a store. `VERSION` stays: a build that goes on meanwhile makes folders anew, and without it nobody
/// would know them as those of a store.
const STORE: [&str; 8] = ["ac", "cas", "fetched", "memo", "out", "quarantine", "remote", "tmp"];

impl Run for Clean {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        if self.cache && !self.yes && !self.dry_run {
            let report = Report::usage("`--cache` removes what every workspace of yours has built");
            return Err(report.hint("Add `--yes` to remove it, or `--dry-run` to see what would go").into());
        }
        let mut places = Vec::new();
        match Workspace::find(&invocation.options) {
            Ok(workspace) => places.push(Place::new(&workspace.root, &[OUT])?),
            // The store needs no workspace.
            Err(_) if self.cache => {}
            Err(report) => return Err(report.into()),
        }
        if self.cache {
            places.extend(store(&cache_dir(&invocation.options)?)?);
        }
        let paths: Vec<PathBuf> = places.iter().flat_map(Place::paths).collect();
        if !self.dry_run {
            for place in &places {
                place.remove()?;
            }
        }
        self.tell(invocation, &paths);
        Ok(Exit::Done)
    }
}

impl Clean {
    fn tell(&self, invocation: &Invocation, paths: &[PathBuf]) {
        if invocation.is_json() {
            let removed: Vec<String> = paths.iter().map(|path| shown(path)).collect();
            invocation.json(&json!({ "dry_run": self.dry_run, "removed": removed }));
            return;
        }
        let word = if self.dry_run { "would remove" } else { "removed" };
        for path in paths {
            invocation.streams.result(&format!("{word} {}\n", path.display()));
        }
        if paths.is_empty() {
            invocation.streams.result("nothing to remove\n");
        }
    }
}

/// Entries of a folder that are to be removed.
struct Place {
    folder: Folder,
    /// Those that are there.
    names: Vec<PathBuf>,
}

/// The beginning of the name of a folder that entries are moved into before they are removed. One that is left behind
/// by a process that was killed goes next time.
const ASIDE: &str = ".mc-removed-";

/// Attempts to find a free name.
const MAX_ATTEMPTS: u32 = 1000;

impl Place {
    fn new(path: &Path, names: &[&str]) -> Result<Self, Report> {
        let opened = Folder::open(path).and_then(|folder| Ok((folder.entries()?, folder)));
        let (entries, folder) = opened.map_err(|error| cannot_remove(path, &error))?;
        let is_ours = |name: &OsStr| {
            names.iter().any(|ours| name == *ours)
                || name.to_str().is_some_and(|name| name.starts_with(ASIDE))
        };
        let names = entries.into_iter().filter(|entry| is_ours(&entry.name));
        Ok(Self { names: names.map(|entry| entry.name.into()).collect(), folder })
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.names.iter().map(|name| self.folder.at(name))
    }

    /// Takes what is there now out of the way of builds that go on, and then removes it. A link is removed and not
    /// followed.
    fn remove(&self) -> Result<(), Report> {
        if self.names.is_empty() {
            return Ok(());
        }
        let failed = |name: &Path, error| cannot_remove(&self.folder.at(name), &error);
        let aside = self.aside().map_err(|error| failed(Path::new(ASIDE), error))?;
        for name in &self.names {
            match self.folder.rename(name, &self.folder, &aside.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // The place of a disk, or a folder that may not be moved: it is emptied where it is.
                Err(_) => self.folder.remove_all(name).map_err(|error| failed(name, error))?,
                Ok(()) => {}
            }
        }
        self.folder.remove_all(&aside).map_err(|error| failed(&aside, error))
    }

    /// Makes a folder of a free name.
    fn aside(&self) -> io::Result<PathBuf> {
        for attempt in 0..MAX_ATTEMPTS {
            let name = PathBuf::from(format!("{ASIDE}{}-{attempt}", std::process::id()));
            match self.folder.create_new_folder(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| name),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn cannot_remove(path: &Path, error: &io::Error) -> Report {
    Report::failed(format!("Cannot remove `{}`", path.display())).because(error)
}

/// The entries of a store that are to be removed; `None` if there is no store.
fn store(dir: &Path) -> Result<Option<Place>, Report> {
    if !dir.exists() {
        return Ok(None);
    }
    if !is_store(dir) {
        return Err(Report::usage(format!("`{}` is not a store of mc", dir.display()))
            .because("Expected a file `VERSION` that begins with `mc-store`; nothing was removed")
            .hint("Name the store's folder with `--cache-dir DIR`"));
    }
    Place::new(dir, &STORE).map(Some)
}

fn is_store(dir: &Path) -> bool {
    // The most bytes that a `VERSION` has.
    const LIMIT: u64 = 4096;
    regular::read_text(&dir.join("VERSION"), LIMIT).is_ok_and(|version| version.starts_with("mc-store"))
}
