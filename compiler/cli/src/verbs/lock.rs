//! `mc lock`: pins every file of every declared origin by its digest.

use clap::Args;
use mc_fetch::lock_file::{LOCK_FILE, LockFile, LockedFile};
use mc_ir::origin::Origin;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::fetching::FetchProgress;
use crate::render::size::size;
use crate::render::summary::plural;
use crate::report::Report;
use crate::verbs::Run;
use crate::wire::declarations::Declarations;
use crate::wire::fetching::{fetch_report, fetcher, read_lock, write_lock};
use crate::workspace::Workspace;

/// Pin the files of hf, http and oci by digest in mc.lock
///
/// A digest needs the bytes, so the files are downloaded; a build after it finds them here.
#[derive(Args)]
pub(crate) struct Lock {
    /// Labels and patterns of targets
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,

    /// Pin anew what is pinned already
    #[arg(long)]
    update: bool,
}

/// What became of an origin.
struct Row {
    word: &'static str,
    origin: Origin,
    n_files: usize,
    n_bytes: u64,
}

impl Run for Lock {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let workspace = Workspace::find(&invocation.options)?;
        let declarations = Declarations::open(invocation, &workspace);
        let origins = declarations.origins(invocation, &self.patterns)?;
        let before = if self.update && self.is_everything() {
            // Whatever is wrong with the old file, nothing of it is needed.
            read_lock(&workspace).unwrap_or_default()
        } else {
            read_lock(&workspace)?
        };
        let is_wanted = |origin: &&Origin| self.update || !before.entries.contains_key(*origin);
        let wanted: Vec<&Origin> = origins.iter().filter(is_wanted).collect();
        if !wanted.is_empty() && invocation.options.offline {
            let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            let report = Report::usage("`--offline` lets nobody ask what is to be pinned");
            return Err(report.because(names.join("\n")).into());
        }
        let mut lock = before.clone();
        let mut rows = Vec::new();
        if self.is_everything() {
            lock.entries.retain(|origin, _| origins.contains(origin));
        }
        let removed = before.entries.iter().filter(|(origin, _)| !lock.entries.contains_key(*origin));
        rows.extend(removed.map(|(origin, files)| Row::new("removed", origin, files)));
        let kept =
            lock.entries.iter().filter(|(origin, _)| origins.contains(origin) && !wanted.contains(origin));
        rows.extend(kept.map(|(origin, files)| Row::new("kept", origin, files)));
        let failure =
            if wanted.is_empty() { None } else { pin(invocation, &wanted, &mut lock, &mut rows).err() };
        // What was pinned before a failure stays pinned: its files are here.
        if lock != before || (!lock.entries.is_empty() && !workspace.root.join(LOCK_FILE).exists()) {
            write_lock(&workspace, &lock)?;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        tell(invocation, &rows);
        Ok(Exit::Done)
    }
}

impl Lock {
    /// Whether origins that nobody declares any more may go.
    fn is_everything(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern == "//...")
    }
}

impl Row {
    fn new(word: &'static str, origin: &Origin, files: &[LockedFile]) -> Self {
        let n_bytes = files.iter().map(|file| file.digest.n_bytes).sum();
        Self { word, origin: origin.clone(), n_files: files.len(), n_bytes }
    }
}

fn pin(
    invocation: &Invocation,
    wanted: &[&Origin],
    lock: &mut LockFile,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    let fetcher = fetcher(invocation)?;
    for origin in wanted {
        let Err(error) = origin.check() else { continue };
        let report = Report::usage(error.message).at(origin);
        if !error.moves {
            return Err(report.into());
        }
        let now =
            fetcher.pin(origin).map_err(|error| fetch_report(&format!("Cannot pin {origin}"), &error))?;
        return Err(report.hint(format!("Write `{now}`, which is where it is now")).into());
    }
    let progress = FetchProgress::new(&invocation.streams);
    for origin in wanted {
        let before = lock.entries.get(*origin).map(Vec::as_slice);
        let locked = fetcher.lock(origin, before, &|event| progress.event(event));
        let files = locked.map_err(|error| {
            progress.finish();
            fetch_report(&format!("Cannot pin {origin}"), &error)
        })?;
        rows.push(Row::new("pinned", origin, &files));
        lock.entries.insert((*origin).clone(), files);
    }
    progress.finish();
    Ok(())
}

fn tell(invocation: &Invocation, rows: &[Row]) {
    if invocation.is_json() {
        let origins: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "origin": row.origin.to_string(),
                    "status": row.word,
                    "files": row.n_files,
                    "bytes": row.n_bytes,
                })
            })
            .collect();
        invocation.json(&json!({ "status": Exit::Done.word(), "origins": origins }));
        return;
    }
    for Row { word, origin, n_files, n_bytes } in rows {
        let (files, bytes) = (plural(*n_files), size(*n_bytes));
        invocation.streams.result(&format!("{word} {origin}: {n_files} file{files}, {bytes}\n"));
    }
    if rows.is_empty() {
        invocation.streams.result("nothing to pin: no target declares `hf`, `http` or `oci`\n");
    }
}
