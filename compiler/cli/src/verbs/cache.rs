//! `mc cache`: what is in the store, and whether it is intact.

use std::path::Path;

use clap::{Args, Subcommand};
use mc_driver::store_contents::{count, verify};
use mc_store::local::stats::{Count, Stats};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::path::shown;
use crate::render::size::size;
use crate::render::table::{Align, table};
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
}

impl Run for Cache {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let store = invocation.options.store();
        match self.what {
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
        }
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
