//! The database: salsa's storage, the rule table and the files.
//!
//! It does not outlive the process: queries are about declarations, which are small and quickly parsed again. Results
//! of builds are cached elsewhere, by digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use salsa::Setter;

use crate::db::{AnyRule, Db};
use crate::execution_log::ExecutionLog;
use crate::file_system::{FileSystem, Stamp};
use crate::source_file::{Request, SourceFile, load, stamp};

/// A workspace under analysis.
#[salsa::db]
#[derive(Clone)]
pub struct Database {
    storage: salsa::Storage<Self>,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    rules: &'static [&'static AnyRule],
    files: Box<dyn FileSystem>,
    asked: Mutex<BTreeMap<Request, AnsweredRequest>>,
}

/// A request with its answer.
#[derive(Clone, Copy)]
struct AnsweredRequest {
    input: SourceFile,
    stamp: Option<Stamp>,
}

impl Database {
    /// A workspace rooted at `root`, with its rule table and its file system.
    ///
    /// `root` is not read: it only becomes part of the paths of action inputs. All files come from `files`.
    pub fn new(
        root: impl Into<PathBuf>,
        rules: &'static [&'static AnyRule],
        files: impl FileSystem + 'static,
    ) -> Self {
        Self::with_storage(root.into(), rules, Box::new(files), salsa::Storage::new(None))
    }

    /// Same as [`Self::new`]; every query that runs is recorded in the log.
    pub fn with_log(
        root: impl Into<PathBuf>,
        rules: &'static [&'static AnyRule],
        files: impl FileSystem + 'static,
        log: &ExecutionLog,
    ) -> Self {
        Self::with_storage(root.into(), rules, Box::new(files), log.storage())
    }

    fn with_storage(
        root: PathBuf,
        rules: &'static [&'static AnyRule],
        files: Box<dyn FileSystem>,
        storage: salsa::Storage<Self>,
    ) -> Self {
        Self { storage, shared: Arc::new(Shared { root, rules, files, asked: Mutex::default() }) }
    }

    /// Checks all files, folders and patterns that were read, and updates those that changed. Returns the number of
    /// changes; if it is 0, all computed answers are still valid.
    ///
    /// A file with an unchanged stamp is not read. Other clones of the database must be dropped before: salsa waits for
    /// them.
    pub fn refresh(&mut self) -> usize {
        let asked: Vec<(Request, AnsweredRequest)> =
            self.shared.asked().iter().map(|(request, asked)| (request.clone(), *asked)).collect();
        let mut n_changes = 0;
        for (request, before) in asked {
            // The stamp is taken before the bytes are read, so a write in between shows up as another stamp next time.
            let stamp = stamp(&*self.shared.files, &request);
            if stamp.is_some() && stamp == before.stamp {
                continue;
            }
            let content = load(&*self.shared.files, &request);
            self.shared.asked().insert(request, AnsweredRequest { input: before.input, stamp });
            if content != *before.input.content(self) {
                // The old content is no longer needed.
                drop(before.input.set_content(self).to(content));
                n_changes += 1;
            }
        }
        n_changes
    }
}

impl Shared {
    // Entries are inserted whole, so a panic of another thread that held the lock leaves the map consistent.
    fn asked(&self) -> MutexGuard<'_, BTreeMap<Request, AnsweredRequest>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[salsa::db]
impl salsa::Database for Database {}

#[salsa::db]
impl Db for Database {
    fn rules(&self) -> &'static [&'static AnyRule] {
        self.shared.rules
    }

    fn root(&self) -> &Path {
        &self.shared.root
    }

    fn source_file(&self, request: Request) -> SourceFile {
        // Locked while the file is read, so that two threads do not create two inputs for one file.
        let mut asked = self.shared.asked();
        if let Some(asked) = asked.get(&request) {
            return asked.input;
        }
        let stamp = stamp(&*self.shared.files, &request);
        let content = load(&*self.shared.files, &request);
        let input = SourceFile::new(self, request.clone(), content);
        asked.insert(request, AnsweredRequest { input, stamp });
        input
    }
}
