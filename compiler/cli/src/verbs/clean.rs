//! `mc clean`: removes outputs, and the store when told so twice.
//!
//! Only what `mc` made is removed: the folder `mc-out` of the workspace, and the known entries of a folder that
//! carries a store's `VERSION` file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::report::Report;
use crate::verbs::Run;
use crate::workspace::{Workspace, cache_dir};

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
        let mut paths = Vec::new();
        match Workspace::find(&invocation.options) {
            Ok(workspace) => paths.push(workspace.out()),
            // The store needs no workspace.
            Err(_) if self.cache => {}
            Err(report) => return Err(report.into()),
        }
        if self.cache {
            paths.extend(store_entries(&cache_dir(&invocation.options)?)?);
        }
        paths.retain(|path| path.symlink_metadata().is_ok());
        if !self.dry_run {
            for path in &paths {
                remove(path).map_err(|error| {
                    Report::failed(format!("Cannot remove `{}`", path.display())).because(error)
                })?;
            }
        }
        self.tell(invocation, &paths);
        Ok(Exit::Done)
    }
}

impl Clean {
    fn tell(&self, invocation: &Invocation, paths: &[PathBuf]) {
        if invocation.is_json() {
            invocation.json(&json!({ "dry_run": self.dry_run, "removed": paths }));
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

fn store_entries(dir: &Path) -> Result<Vec<PathBuf>, Report> {
    if dir.exists() && !is_store(dir) {
        return Err(Report::usage(format!("`{}` is not a store of mc", dir.display()))
            .because("Expected a file `VERSION` that begins with `mc-store`; nothing was removed")
            .hint("Name the store's folder with `--cache-dir DIR`"));
    }
    Ok(STORE.iter().map(|name| dir.join(name)).collect())
}

fn is_store(dir: &Path) -> bool {
    fs::read_to_string(dir.join("VERSION")).is_ok_and(|version| version.starts_with("mc-store"))
}

/// Removes a file, or a folder with all that is in it; a link is removed and not followed.
fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                make_writable(path)?;
                fs::remove_dir_all(path)
            }
            other => other,
        }
    } else {
        fs::remove_file(path)
    }
}

/// Gives the folders their write permission back: a read-only folder keeps its entries.
fn make_writable(folder: &Path) -> io::Result<()> {
    let mut permissions = folder.symlink_metadata()?.permissions();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        permissions.set_mode(permissions.mode() | 0o700);
    }
    #[cfg(not(unix))]
    permissions.set_readonly(false);
    fs::set_permissions(folder, permissions)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
