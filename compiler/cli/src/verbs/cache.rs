//! `mc cache`: what is in the store, and whether it is intact.

use clap::{Args, Subcommand};
use mc_fetch::area::Area;
use mc_fetch::inventory::Held;
use mc_store::local::stats::{Count, Stats};
use mc_store::local::store::LocalStore;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::size::size;
use crate::render::table::{Align, table};
use crate::verbs::Run;
use crate::wire::engine::store_report;
use crate::wire::fetching::{fetch_report, shown};
use crate::workspace::cache_dir;

const CANNOT_READ: &str = "Cannot read what was fetched";

/// Look after the store
#[derive(Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Count what is in the store
    Stats,
    /// Read everything and compare it with its digests; exit code 1 when something was damaged
    Verify,
}

impl Run for Cache {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let dir = cache_dir(&invocation.options)?;
        let store = LocalStore::open(&dir).map_err(|error| store_report(&error))?;
        let area = Area::new(&dir);
        match self.what {
            What::Stats => {
                let stats = store.stats().map_err(|error| store_report(&error))?;
                let inventory = area.inventory().map_err(|error| fetch_report(CANNOT_READ, &error))?;
                let rows = [("fetched", inventory.whole), ("on their way", inventory.unfinished)];
                tell(invocation, &store, &stats, &rows, &[]);
                Ok(Exit::Done)
            }
            What::Verify => {
                let stats = store.verify().map_err(|error| store_report(&error))?;
                let mut damaged: Vec<String> =
                    store.take_corruptions().iter().map(ToString::to_string).collect();
                let fetched = area.verify().map_err(|error| fetch_report(CANNOT_READ, &error))?;
                damaged.extend(fetched.damaged);
                for text in &damaged {
                    invocation.warn(text);
                }
                tell(invocation, &store, &stats, &[("fetched", fetched.intact)], &damaged);
                Ok(if damaged.is_empty() { Exit::Done } else { Exit::Failed })
            }
        }
    }
}

fn tell(
    invocation: &Invocation,
    store: &LocalStore,
    stats: &Stats,
    fetched: &[(&str, Held)],
    damaged: &[String],
) {
    let mut rows =
        vec![("blobs", stats.blobs), ("action results", stats.actions), ("quarantine", stats.quarantine)];
    let count = |held: Held| Count { n_files: held.n_files, n_bytes: held.n_bytes };
    rows.extend(fetched.iter().map(|(name, held)| (*name, count(*held))));
    if invocation.is_json() {
        let mut object = serde_json::Map::from_iter([("store".to_owned(), json!(shown(store.root())))]);
        object.extend(rows.iter().map(|(name, count)| (name.replace(' ', "_"), json_count(*count))));
        object.insert("damaged".to_owned(), json!(damaged));
        invocation.json(&object);
        return;
    }
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, count)| vec![(*name).to_owned(), count.n_files.to_string(), size(count.n_bytes)])
        .collect();
    invocation.streams.result(&format!("{}\n", store.root().display()));
    invocation.streams.result(&table(&[Align::Left, Align::Right, Align::Right], &rows));
    if !damaged.is_empty() {
        invocation.streams.result(&format!("{} damaged\n", damaged.len()));
    }
}

fn json_count(count: Count) -> Value {
    json!({ "files": count.n_files, "bytes": count.n_bytes })
}
