//! Log of executed queries by name, for tests of incrementality.
//!
//! A query whose cached answer was still valid is not in the log. One that ran is, even if its answer was equal to the
//! old one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use salsa::EventKind;
use salsa::plumbing::{DatabaseKeyIndex, FromId};

use crate::db::Db;
use crate::keys::{PackageKey, TargetKey};
use crate::source_file::SourceFile;

/// The queries that ran since the log was last taken. Clones share it.
#[derive(Clone, Default)]
pub struct ExecutionLog {
    executed: Arc<Mutex<Vec<DatabaseKeyIndex>>>,
}

impl ExecutionLog {
    /// Storage for a database that writes this log.
    pub(crate) fn storage<D: salsa::Database>(&self) -> salsa::Storage<D> {
        let log = self.clone();
        salsa::Storage::new(Some(Box::new(move |event| {
            if let EventKind::WillExecute { database_key } = event.kind {
                log.executed().push(database_key);
            }
        })))
    }

    /// Returns the queries that ran, such as `parse(models/package.kdl)` or `analyze_target(//models:tone)`, in the
    /// order in which they began. Empties the log.
    pub fn take(&self, db: &dyn Db) -> Vec<String> {
        let executed = std::mem::take(&mut *self.executed());
        executed.into_iter().map(|key| name(db, key)).collect()
    }

    // A push either completed or did not happen, so a panic of another thread that held the lock leaves the log
    // consistent.
    fn executed(&self) -> MutexGuard<'_, Vec<DatabaseKeyIndex>> {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(db: &dyn Db, key: DatabaseKeyIndex) -> String {
    let query = db.ingredient_debug_name(key.ingredient_index());
    let id = key.key_index();
    match &*query {
        "parse" => format!("{query}({})", SourceFile::from_id(id).request(db).file().unwrap_or_default()),
        "lower" | "package" | "spans" => format!("{query}({})", PackageKey::from_id(id).id(db)),
        "resolve" | "analyze_target" => format!("{query}({})", TargetKey::from_id(id).label(db)),
        _ => query.into_owned(),
    }
}
