//! `mc cache`: counts the objects in the store, verifies them, and limits their size.

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use mc_analysis::quantity;
use mc_driver::declarations::Declarations;
use mc_driver::garbage::collect;
use mc_driver::settings::store_limit::StoreLimit;
use mc_driver::store::Store;
use mc_driver::store_contents::{count, verify};
use mc_store::local::collect::Collected;
use mc_store::local::stats::{Count, Stats};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::path::shown;
use crate::render::size::size;
use crate::render::table::{Align, table};
use crate::report::Report;
use crate::verb::Run;

/// Manage the local store
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc cache stats    count blobs and results\n  mc cache verify   compare every blob with its digest"
)]
pub(crate) struct Cache {
    #[command(subcommand)]
    what: CacheCommand,
}

#[derive(Subcommand)]
enum CacheCommand {
    /// Count the objects in the store
    Stats,
    /// Compare every object with its digest; exit code 1 means that something was damaged
    Verify,
    /// Remove what was used least recently, until the store is within its limit
    Gc(Gc),
}

/// Bring the store within its limit.
#[derive(Args)]
struct Gc {
    /// Size that the store may have, such as `50GB` [default: that of `cache { disk max-size=… }` in workspace.kdl]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_size: Option<u64>,

    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Run for Cache {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let store = invocation.options.store();
        match &self.what {
            CacheCommand::Stats => {
                let contents = count(&store)?;
                let rows = [("fetched", contents.fetched), ("on their way", contents.unfinished)];
                tell(invocation, store.dir()?, &contents.stats, &rows, &[]);
                Ok(Exit::Done)
            }
            CacheCommand::Verify => {
                let verified = verify(&store)?;
                for text in &verified.damaged {
                    invocation.warn(text);
                }
                let rows = [("fetched", verified.fetched)];
                tell(invocation, store.dir()?, &verified.stats, &rows, &verified.damaged);
                Ok(if verified.damaged.is_empty() { Exit::Done } else { Exit::Failed })
            }
            CacheCommand::Gc(gc) => {
                let limit = gc.limit(invocation, &store)?;
                let collected = collect(&store, &limit, gc.dry_run)?;
                gc.tell(invocation, store.dir()?, &limit, &collected);
                Ok(Exit::Done)
            }
        }
    }
}

impl Gc {
    /// The limit of the command line or the workspace. Files that the workspace pins are never removed.
    fn limit(&self, invocation: &Invocation, store: &Arc<Store>) -> Result<StoreLimit, Failure> {
        let workspace = invocation.options.find_workspace().ok();
        let declared = || Declarations::open(workspace.as_ref()?, store).store_limit();
        let max_bytes = self.max_size.or_else(|| declared().map(|limit| limit.max_bytes));
        let max_bytes = max_bytes.ok_or_else(|| {
            Report::usage("The store has no limit").hint(
                "Name one with `--max-size 50GB`, or in workspace.kdl: cache { disk max-size=\"50GB\" }",
            )
        })?;
        Ok(StoreLimit { max_bytes, workspace })
    }

    fn tell(&self, invocation: &Invocation, store: &Path, limit: &StoreLimit, collected: &Collected) {
        let Collected { n_bytes_before, n_bytes_after, results, blobs, quarantine, others } = *collected;
        let rows =
            [("action results", results), ("blobs", blobs), ("quarantine", quarantine), ("fetched", others)];
        if invocation.is_json() {
            let removed: serde_json::Map<String, Value> =
                rows.iter().map(|(name, count)| (name.replace(' ', "_"), json_count(*count))).collect();
            invocation.json(&json!({
                "store": shown(store),
                "dry_run": self.dry_run,
                "max_bytes": limit.max_bytes,
                "bytes_before": n_bytes_before,
                "bytes_after": n_bytes_after,
                "removed": removed,
            }));
            return;
        }
        let removed = rows.iter().filter(|(_, count)| count.n_files > 0);
        let removed: Vec<Vec<String>> = removed
            .map(|(name, count)| vec![(*name).to_owned(), count.n_files.to_string(), size(count.n_bytes)])
            .collect();
        let text = match (removed.is_empty(), self.dry_run) {
            (true, _) => "nothing to remove\n".to_owned(),
            (false, true) => "would remove\n".to_owned(),
            (false, false) => "removed\n".to_owned(),
        };
        let table = table(&[Align::Left, Align::Right, Align::Right], &removed);
        let indented: String = table.lines().map(|line| format!("  {line}\n")).collect();
        let word = if self.dry_run { "would have" } else { "has" };
        let (after, max) = (size(n_bytes_after), size(limit.max_bytes));
        let kept = if n_bytes_after > limit.max_bytes { "; the rest is in use" } else { "" };
        let total = format!("{} {word} {after} of at most {max}{kept}\n", store.display());
        invocation.streams.result(&format!("{text}{indented}{total}"));
    }
}

fn tell(invocation: &Invocation, store: &Path, stats: &Stats, fetched: &[(&str, Count)], damaged: &[String]) {
    let mut rows =
        vec![("blobs", stats.blobs), ("action results", stats.actions), ("quarantine", stats.quarantine)];
    rows.extend(fetched);
    if invocation.is_json() {
        let mut object = serde_json::Map::from_iter([("store".to_owned(), json!(shown(store)))]);
        object.extend(rows.iter().map(|(name, count)| (name.replace(' ', "_"), json_count(*count))));
        object.insert("damaged".to_owned(), json!(damaged));
        invocation.json(&object);
        return;
    }
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, count)| vec![(*name).to_owned(), count.n_files.to_string(), size(count.n_bytes)])
        .collect();
    invocation.streams.result(&format!("{}\n", store.display()));
    invocation.streams.result(&table(&[Align::Left, Align::Right, Align::Right], &rows));
    if !damaged.is_empty() {
        invocation.streams.result(&format!("{} damaged\n", damaged.len()));
    }
}

fn json_count(count: Count) -> Value {
    json!({ "files": count.n_files, "bytes": count.n_bytes })
}
