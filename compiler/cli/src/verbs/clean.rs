//! `mc clean`: removes outputs, and with `--cache --yes` the store.

use std::path::PathBuf;

use clap::Args;
use mc_driver::clean::Removal;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::path::shown;
use crate::report::Report;
use crate::verb::Run;

/// Remove mc-out, and with --cache the local store
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc clean                     remove the outputs of the workspace\n  mc clean --cache --dry-run   list what --cache would remove"
)]
pub(crate) struct Clean {
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Also remove the local store, which other workspaces may share; needs --yes
    #[arg(long)]
    cache: bool,

    /// Confirm that the store may be removed
    #[arg(long, requires = "cache")]
    yes: bool,
}

impl Run for Clean {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        if self.cache && !self.yes && !self.dry_run {
            let report = Report::usage("`--cache` removes the cached results of all your workspaces");
            return Err(report.hint("Add `--yes` to remove it, or `--dry-run` to list its contents").into());
        }
        let mut removal = Removal::default();
        match invocation.options.find_workspace() {
            Ok(workspace) => removal.add_outputs(&workspace)?,
            // Removing the store needs no workspace.
            Err(_) if self.cache => {}
            Err(failure) => return Err(failure),
        }
        if self.cache {
            removal.add_store(invocation.options.store().dir()?)?;
        }
        let paths = removal.paths();
        if !self.dry_run {
            removal.run()?;
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
