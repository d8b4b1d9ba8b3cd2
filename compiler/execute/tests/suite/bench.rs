//! Test environment for builds: a folder for sources, a store, and a log of events.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use mc_execute::build::build;
use mc_execute::built::Built;
use mc_execute::event::{Event, Origin};
use mc_execute::fetch::output_content;
use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_execute::remote::RemoteResults;
use mc_execute::services::Services;
use mc_execute::suspect_results::SuspectResults;
use mc_files::folder::Folder;
use mc_ir::action::{ActionNode, Input};
use mc_ir::graph::ActionGraph;
use mc_ir::output::Output;
use mc_store::attester::{Attester, Trust};
use mc_store::input_memo::InputMemo;
use mc_store::local::store::LocalStore;
use mc_store::memory::MemoryStore;
use mc_store::session::LazySession;
use mc_store::traits::{ActionCache, BlobStore};

use crate::glue::file;

/// A blob store that is also an action cache.
pub(crate) trait Store {
    fn faces(&self) -> (&dyn BlobStore, &dyn ActionCache);
}

impl<T: BlobStore + ActionCache> Store for T {
    fn faces(&self) -> (&dyn BlobStore, &dyn ActionCache) {
        (self, self)
    }
}

/// A folder, a store, and build options.
pub(crate) struct Bench<S: Store + ?Sized> {
    pub(crate) cancelled: Arc<AtomicBool>,
    /// The attesters whose results count.
    trust: Mutex<Trust>,
    /// Results and blobs found to be wrong in any of its builds.
    pub(crate) suspects: SuspectResults,
    folder: tempfile::TempDir,
    memo: InputMemo,
    pub(crate) store: S,
}

/// Result of one build.
pub(crate) struct Outcome {
    pub(crate) built: Built,
    graph: ActionGraph,
    /// `run a`, `hit b`, `fail c: why`: by target, sorted, because several jobs finish in any order.
    pub(crate) log: Vec<String>,
    /// The same, in the order of completion.
    pub(crate) order: Vec<String>,
}

/// Runs a test over every kind of store.
pub(crate) fn over_stores(test: impl Fn(&Bench<dyn Store>)) {
    test(&Bench::memory());
    test(&Bench::local());
}

impl Bench<LocalStore> {
    /// A store on disk.
    pub(crate) fn local() -> Self {
        Self::over(|path| LocalStore::open(&path).unwrap())
    }
}

impl Bench<LocalStore> {
    /// Reopens the store, as the next process would.
    pub(crate) fn reopen(&mut self) {
        self.store = LocalStore::open(&self.path("store")).unwrap();
    }
}

impl Bench<MemoryStore> {
    /// A store in memory.
    pub(crate) fn memory() -> Self {
        Self::over(|_| MemoryStore::new())
    }
}

impl<S: Store> Bench<S> {
    fn over(store: impl FnOnce(PathBuf) -> S) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path().join("store"));
        let base = Arc::new(Folder::open(folder.path()).unwrap());
        let session = LazySession::new(Arc::clone(&base), Path::new("session"));
        let memo = InputMemo::new(base, Path::new("memo"), Arc::new(session));
        Self {
            cancelled: Arc::default(),
            trust: Mutex::default(),
            suspects: SuspectResults::default(),
            folder,
            memo,
            store,
        }
    }
}

impl<S: Store + ?Sized> Bench<S> {
    /// Path of the source with this name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a source.
    pub(crate) fn source(&self, name: &str, text: &str) -> Input {
        fs::write(self.path(name), text).unwrap();
        file(self.path(name), None)
    }

    /// From now on, only results of these attesters and of this machine count.
    pub(crate) fn trusts(&self, attesters: &[Attester]) {
        *self.trust.lock().unwrap() = Trust::Only(attesters.iter().copied().collect());
    }

    /// From now on, every result counts.
    pub(crate) fn trusts_anyone(&self) {
        *self.trust.lock().unwrap() = Trust::Anyone;
    }

    /// Builds the actions and all their dependencies.
    pub(crate) fn build(&self, nodes: &[&Arc<ActionNode>]) -> Outcome {
        self.build_with(nodes, Options { n_jobs: 2, on_failure: OnFailure::Stop, on_miss: OnMiss::Run })
    }

    pub(crate) fn build_with(&self, nodes: &[&Arc<ActionNode>], options: Options) -> Outcome {
        self.build_for(nodes, options, None)
    }

    /// Same as [`Self::build_with`], with results of other machines.
    pub(crate) fn build_for(
        &self,
        nodes: &[&Arc<ActionNode>],
        options: Options,
        remote: Option<&dyn RemoteResults>,
    ) -> Outcome {
        let artifacts: Vec<_> =
            nodes.iter().map(|node| node.artifact(&node.action.outputs().remove(0))).collect();
        let graph = ActionGraph::new(&artifacts);
        let (store, actions) = self.store.faces();
        let Self { memo, suspects, cancelled, .. } = self;
        let trust = &self.trust.lock().unwrap().clone();
        let services = Services { store, actions, trust, suspects, memo, remote, cancelled };
        let order = Mutex::new(Vec::new());
        let built = build(&graph, &services, options, &|event| order.lock().unwrap().extend(line(&event)));
        let order = order.into_inner().unwrap();
        let mut log = order.clone();
        log.sort();
        Outcome { built: built.unwrap(), graph, log, order }
    }

    /// The text that an action produced.
    pub(crate) fn text(&self, outcome: &Outcome, node: &Arc<ActionNode>) -> String {
        let content = output_content(self.store.faces().0, outcome.output(node)).unwrap();
        String::from_utf8(content.to_contiguous().into_owned()).unwrap()
    }
}

impl Outcome {
    /// The output of an action.
    pub(crate) fn output(&self, node: &Arc<ActionNode>) -> &Output {
        self.get(node).expect("the step was done")
    }

    /// The output of an action, if it produced one.
    pub(crate) fn get(&self, node: &Arc<ActionNode>) -> Option<&Output> {
        self.built.output(&self.graph, &node.artifact(&node.action.outputs().remove(0)))
    }
}

fn line(event: &Event) -> Option<String> {
    match event {
        Event::Planned { .. } | Event::Queued { .. } | Event::Started { .. } | Event::Progressed { .. } => {
            None
        }
        Event::Finished { node, origin: Origin::Hit, .. } => Some(format!("hit {}", node.label.name)),
        Event::Finished { node, origin: Origin::Fetched, .. } => Some(format!("fetch {}", node.label.name)),
        Event::Finished { node, origin: Origin::RanRemotely, .. } => {
            Some(format!("send {}", node.label.name))
        }
        Event::Finished { node, origin: Origin::Ran, .. } => Some(format!("run {}", node.label.name)),
        Event::Failed { node, message, .. } => Some(format!("fail {}: {message}", node.label.name)),
    }
}
