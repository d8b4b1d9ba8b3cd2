//! `mc lock`: pins every file of every declared origin by its digest.

use clap::Args;
use mc_driver::fetching::lock::{Change, Locked, Scope, lock};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::plural::plural;
use crate::render::progress::Progress;
use crate::render::size::size;
use crate::verb::Run;

/// Pin the files of `hf`, `http` and `oci` by digest in mc.lock
///
/// A digest needs the bytes, so the files are downloaded; a later build finds them in the store.
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc lock            pin what is not pinned yet\n  mc lock --update   pin everything again"
)]
pub(crate) struct Lock {
    /// Targets: labels and patterns (see `mc help labels`)
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,

    /// Pin again what is already pinned
    #[arg(long)]
    update: bool,
}

impl Run for Lock {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let progress = Progress::of(invocation);
        let (declarations, store) = invocation.declarations()?;
        let origins = declarations.origins(&self.patterns)?;
        let scope = Scope {
            updates: self.update,
            is_everything: self.patterns.iter().any(|pattern| pattern == "//..."),
        };
        let settings = invocation.options.fetch.settings();
        let locked = lock(declarations.workspace(), &store, &origins, scope, &settings, &progress)?;
        tell(invocation, &locked);
        invocation.keep_within_limit(&declarations, &store, &progress)?;
        Ok(Exit::Done)
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Removed => "removed",
        Change::Kept => "kept",
        Change::Pinned => "pinned",
    }
}

fn tell(invocation: &Invocation, rows: &[Locked]) {
    if invocation.is_json() {
        let origins: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "origin": row.origin.to_string(),
                    "status": word(row.change),
                    "files": row.n_files,
                    "bytes": row.n_bytes,
                })
            })
            .collect();
        invocation.json(&json!({ "status": Exit::Done.word(), "origins": origins }));
        return;
    }
    for Locked { change, origin, n_files, n_bytes } in rows {
        let (files, bytes) = (plural(*n_files), size(*n_bytes));
        invocation.streams.result(&format!("{} {origin}: {n_files} file{files}, {bytes}\n", word(*change)));
    }
    if rows.is_empty() {
        invocation.streams.result("nothing to pin: no target declares `hf`, `http` or `oci`\n");
    }
}
