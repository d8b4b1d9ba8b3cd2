//! The executor, combined with the store and the remote cache.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use mc_digest::digest::Digest;
use mc_digest::hasher::Hasher;
use mc_execute::build::build;
use mc_execute::built::Built;
use mc_execute::event::{Event as BuildEvent, Origin};
use mc_execute::fetch::output_content;
use mc_execute::options::Options;
use mc_execute::remote::RemoteResults;
use mc_execute::services::Services;
use mc_execute::suspect_results::SuspectResults;
use mc_ir::action::{Artifact, Content, Piece};
use mc_ir::graph::ActionGraph;
use mc_ir::output::Output;
use mc_remote::lazy::LazyStore;
use mc_rules::evaluate::verdict::Verdict;
use mc_store::attester::Trust;
use mc_store::local::store::LocalStore;
use mc_store::traits::BlobStore;

use crate::build::error::EngineError;
use crate::build::failure::BuildFailure;
use crate::build::tally::Tally;
use crate::event::{Event, EventSink};
use crate::forecast::Forecast;
use crate::garbage::keep_within;
use crate::interrupt::Interrupt;
use crate::remote_cache::cache::{MAX_TRIES, RemoteCache, Traffic};
use crate::remote_cache::trust::{signatures, trust};
use crate::settings::build::BuildSettings;
use crate::settings::store_limit::StoreLimit;
use crate::store::Store;
use crate::warning::Warning;

/// The store, the remote cache, and the build settings.
pub struct Engine<'a> {
    /// Blobs and results of this machine.
    pub store: Arc<LocalStore>,
    options: Options,
    remote_cache: Option<RemoteCache>,
    /// The attesters whose results count.
    trust: Trust,
    /// Results and blobs found to be wrong in the builds so far.
    suspects: SuspectResults,
    interrupt: Arc<Interrupt>,
    store_limit: Option<StoreLimit>,
    pub(crate) events: &'a dyn EventSink,
}

/// One build of some artifacts.
pub(crate) struct Pass {
    /// The actions.
    pub(crate) graph: ActionGraph,
    /// Their results.
    pub(crate) built: Built,
}

impl Pass {
    /// The output of an artifact; `None` if its action failed or was not reached.
    pub(crate) fn output(&self, artifact: &Artifact) -> Option<&Output> {
        self.built.output(&self.graph, artifact)
    }
}

impl<'a> Engine<'a> {
    /// Opens the store, and the remote cache that the settings name.
    ///
    /// # Errors
    /// If one of them cannot be used. A remote cache that is not required is skipped instead, with a warning.
    pub fn open(
        store: &Store,
        settings: &BuildSettings,
        interrupt: &Arc<Interrupt>,
        events: &'a dyn EventSink,
    ) -> Result<Self, EngineError> {
        let store = store.open()?;
        let remote_cache = RemoteCache::open(&settings.cache, &store, interrupt, events)?;
        let trust = match &remote_cache {
            Some(remote_cache) => remote_cache.trust().clone(),
            None => trust(&signatures(&settings.cache.keys, false)?, None),
        };
        let BuildSettings { n_jobs, on_failure, on_miss, .. } = *settings;
        let options = Options { n_jobs, on_failure, on_miss };
        let (suspects, interrupt) = (SuspectResults::default(), Arc::clone(interrupt));
        let store_limit = settings.store_limit.clone();
        Ok(Self { store, options, remote_cache, trust, suspects, interrupt, store_limit, events })
    }

    /// Shrinks the store to its limit, if there is one and the command was not interrupted.
    pub(crate) fn trim_store(&self) {
        let Some(limit) = self.store_limit.as_ref().filter(|_| !self.is_interrupted()) else { return };
        keep_within(&self.store, limit, self.events);
    }

    /// Ends the use of the remote cache: waits for uploads. Harmless problems are reported as events and returned.
    ///
    /// * `failures`: the failures of the command so far. If the command fails because of the cache, that failure is
    ///   added, once and last.
    pub(crate) fn finish_remote_cache(&mut self, failures: &mut Vec<BuildFailure>) -> Vec<Warning> {
        let Some(remote_cache) = &mut self.remote_cache else { return Vec::new() };
        let ended = remote_cache.finish(self.events);
        ended.warnings.iter().for_each(|warning| self.events.event(Event::Warning(warning)));
        if let Some(failure) = ended.failure {
            let is_reported = |failure: &BuildFailure| match failure {
                BuildFailure::Action { error, .. } => remote_cache.is_blamed_for(error),
                BuildFailure::Publish { .. } | BuildFailure::RemoteCache(_) => false,
            };
            failures.retain(|failure| !is_reported(failure));
            failures.push(BuildFailure::RemoteCache(failure));
        }
        ended.warnings
    }

    /// Builds the artifacts; an interrupt stops it between two actions. A build that failed because of a cache is
    /// retried and makes the unusable results here: a promised blob that is missing, a stored blob that was missing or
    /// wrong when it was read, and a foreign result that its reader rejected.
    ///
    /// * `read`: the artifacts whose bytes are needed here; the others may stay in the remote cache
    pub(crate) fn build(
        &self,
        artifacts: &[Artifact],
        read: &[Artifact],
        tally: &Mutex<Tally>,
    ) -> Result<Pass, EngineError> {
        let graph = ActionGraph::new(artifacts);
        let (mut n_tries, mut n_ran) = (0, 0);
        loop {
            let n_lost = self.remote_cache.as_ref().map_or(0, |cache| cache.remote.n_lost());
            let n_reasons = self.suspects.n_reasons();
            let mut built = self.build_once(&graph, tally)?;
            n_tries += 1;
            // After an interrupt, the user does not wait for downloads.
            if !built.is_interrupted {
                self.bring(&graph, &built, read)?;
                self.with_services(|services| {
                    read.iter().for_each(|artifact| built.judge(&graph, artifact, services));
                });
            }
            if !built.is_interrupted && self.is_worth_another_try(n_lost, n_reasons, n_tries) {
                // The retry may take long, and the user may only want to know the reason.
                self.warn_of_suspects();
                n_ran += built.n_ran;
                continue;
            }
            // Actions that ran in earlier attempts are hits in the last one.
            built.n_ran += n_ran;
            built.n_hits = built.n_hits.saturating_sub(n_ran);
            return Ok(Pass { graph, built });
        }
    }

    /// Returns true if the build should be retried.
    ///
    /// * `n_lost`, `n_reasons`: number of lost blobs and of reasons to build again, before the build
    /// * `n_tries`: number of builds so far
    fn is_worth_another_try(&self, n_lost: usize, n_reasons: usize, n_tries: usize) -> bool {
        let cache = self.remote_cache.as_ref();
        let has_lost = cache.is_some_and(|cache| cache.is_worth_another_try(n_lost, n_tries));
        let is_over = cache.is_some_and(RemoteResults::is_over);
        has_lost || !is_over && n_tries < MAX_TRIES && self.suspects.n_reasons() > n_reasons
    }

    fn build_once(&self, graph: &ActionGraph, tally: &Mutex<Tally>) -> Result<Built, EngineError> {
        self.with_services(|services| {
            let durations = self.store.durations();
            let forecast = Forecast::new(graph, durations);
            self.events.event(Event::Forecast(&forecast));
            let building = self.interrupt.building();
            let built = build(graph, services, self.options, &|event| {
                if let BuildEvent::Finished { node, origin: Origin::Ran, elapsed, .. } = &event {
                    forecast.record(durations, node, *elapsed);
                }
                // Counting cannot leave a tally half-changed, so one behind a panic may be used.
                tally.lock().unwrap_or_else(PoisonError::into_inner).event(&event);
                self.events.event(Event::Build(event));
            });
            drop(building);
            durations.save();
            Ok(built?)
        })
    }

    fn with_services<T>(&self, work: impl FnOnce(&Services<'_>) -> T) -> T {
        let lazy =
            self.remote_cache.as_ref().map(|cache| LazyStore { local: &*self.store, remote: &cache.remote });
        work(&Services {
            store: lazy.as_ref().map_or(&*self.store, |lazy| lazy as &dyn BlobStore),
            actions: &*self.store,
            trust: &self.trust,
            suspects: &self.suspects,
            memo: self.store.input_memo(),
            remote: self.remote_cache.as_ref().map(|cache| cache as &dyn RemoteResults),
            cancelled: self.interrupt.flag(),
        })
    }

    /// Downloads the outputs of artifacts that are not in the local store.
    fn bring(&self, graph: &ActionGraph, built: &Built, artifacts: &[Artifact]) -> Result<(), EngineError> {
        let Some(cache) = &self.remote_cache else { return Ok(()) };
        let wanted: Vec<Output> =
            artifacts.iter().filter_map(|artifact| built.output(graph, artifact).cloned()).collect();
        cache.bring(&wanted).map_err(EngineError::BringOutput)
    }

    /// Number of bytes of blobs uploaded to and downloaded from the remote cache; `None` without a cache.
    pub fn traffic(&self) -> Option<Traffic> {
        self.remote_cache.as_ref().map(RemoteCache::traffic)
    }

    /// Returns true if a requested output stays in the remote cache.
    ///
    /// * `path`: its path below `mc-out/` if it were downloaded
    pub(crate) fn leaves(&self, path: &str) -> bool {
        self.remote_cache.as_ref().is_some_and(|cache| cache.leaves(path))
    }

    /// The bytes of an output; downloads them from the remote cache if necessary.
    ///
    /// # Errors
    /// If they cannot be read or downloaded.
    pub fn content(&self, output: &Output) -> Result<Content, EngineError> {
        let lazy =
            self.remote_cache.as_ref().map(|cache| LazyStore { local: &*self.store, remote: &cache.remote });
        let store = lazy.as_ref().map_or(&*self.store as &dyn BlobStore, |lazy| lazy);
        output_content(store, output).map_err(EngineError::ReadOutput)
    }

    /// The verdict in an output.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn verdict(&self, output: &Output) -> Result<Verdict, EngineError> {
        let content = self.content(output)?;
        Verdict::from_json(&content.to_contiguous()).map_err(|error| EngineError::Verdict(error.to_string()))
    }

    /// The digest of an output's bytes as one file.
    ///
    /// # Errors
    /// If they cannot be read or downloaded.
    pub fn digest(&self, output: &Output) -> Result<Digest, EngineError> {
        if let Output::File(blob) = output {
            return Ok(blob.hash);
        }
        let mut hasher = Hasher::new();
        for part in &self.content(output)?.parts {
            hasher.write_all(Piece::as_slice(part)).expect("hashing writes nothing that could fail");
        }
        Ok(hasher.finish().hash)
    }

    /// The remote cache in use.
    pub fn remote_cache(&self) -> Option<&RemoteCache> {
        self.remote_cache.as_ref()
    }

    /// Returns true if the command was interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.is_wanted()
    }

    /// Warns once about all damage found in the store, and about unusable results.
    pub fn warn_of_damage(&self) {
        warn_of_damage(&self.store, self.events);
        self.warn_of_suspects();
    }

    fn warn_of_suspects(&self) {
        for doubt in self.suspects.take_warnings() {
            self.events.event(Event::Warning(&Warning::Doubted(doubt)));
        }
    }
}

/// Warns once about all damage found in a store.
pub fn warn_of_damage(store: &LocalStore, events: &dyn EventSink) {
    for corruption in store.take_corruptions() {
        events.event(Event::Warning(&Warning::Damaged(corruption)));
    }
}
