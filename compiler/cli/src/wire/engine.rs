//! The executor with the user's store under it.

use std::io::Write as _;
use std::sync::Arc;

use mc_digest::digest::Digest;
use mc_digest::hasher::Hasher;
use mc_execute::build::{BuildError, build};
use mc_execute::built::Built;
use mc_execute::doubts::Doubts;
use mc_execute::fetch::output_content;
use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_execute::remote::RemoteResults;
use mc_execute::services::Services;
use mc_ir::action::{ActionError, Artifact, Content, Piece};
use mc_ir::graph::ActionGraph;
use mc_ir::output::Output;
use mc_remote::lazy::LazyStore;
use mc_rules::evaluate::verdict::Verdict;
use mc_store::error::StoreError;
use mc_store::local::store::LocalStore;
use mc_store::traits::BlobStore;
use mc_store::voucher::Trust;

use crate::interrupt;
use crate::invocation::Invocation;
use crate::render::progress::Progress;
use crate::report::Report;
use crate::wire::team_cache::{MAX_TRIES, TeamCache};
use crate::wire::team_settings::Declared;
use crate::wire::team_trust::{Keys, trust};
use crate::workspace::cache_dir;

/// The store, and how to build with it.
pub(crate) struct Engine {
    /// Where blobs and results are.
    pub(crate) store: Arc<LocalStore>,
    options: Options,
    team: Option<TeamCache>,
    /// Whose results count.
    trust: Trust,
    /// Results and blobs that turned out to be wrong in the builds so far.
    doubts: Doubts,
}

/// What one pass over some artifacts gave.
pub(crate) struct Pass {
    /// The steps.
    pub(crate) graph: ActionGraph,
    /// What became of them.
    pub(crate) built: Built,
}

impl Pass {
    /// What an artifact became; `None` when its step failed or was not reached.
    pub(crate) fn output(&self, artifact: &Artifact) -> Option<&Output> {
        self.built.output(&self.graph, artifact)
    }
}

impl Engine {
    /// Opens the store that the options name.
    pub(crate) fn open(invocation: &Invocation) -> Result<Self, Report> {
        let options = &invocation.options;
        let dir = cache_dir(options)?;
        let store = Arc::new(LocalStore::open(&dir).map_err(|error| store_report(&error))?);
        let on_failure = if options.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop };
        let on_miss = if options.remote_require_cached == Some(true) { OnMiss::Fail } else { OnMiss::Run };
        let options = Options { n_jobs: options.n_jobs(), on_failure, on_miss };
        Ok(Self { store, options, team: None, trust: Trust::Anyone, doubts: Doubts::default() })
    }

    /// Opens the store, and the team's cache that the options or the workspace name.
    pub(crate) fn open_with_team(invocation: &Invocation, declared: &Declared) -> Result<Self, Report> {
        let engine = Self::open(invocation)?;
        let team = TeamCache::open(invocation, declared, &engine.store)?;
        let trust = match &team {
            Some(team) => team.trust().clone(),
            None => trust(&Keys::of(&invocation.options, declared)?.signatures(false)?, None),
        };
        Ok(Self { team, trust, ..engine })
    }

    /// Ends the work with the team's cache: waits for what is sent, and tells what did no harm, which is returned.
    ///
    /// * `reports`: what failed; the cache's failure, where the command fails of it, is said once and last
    pub(crate) fn finish_team(&mut self, invocation: &Invocation, reports: &mut Vec<Report>) -> Vec<String> {
        let Some(team) = &mut self.team else { return Vec::new() };
        let ended = team.finish(invocation);
        ended.warnings.iter().for_each(|warning| invocation.warn(warning));
        if let Some(failure) = ended.failure {
            reports.retain(|report| !team.is_blamed_in(report));
            reports.push(failure);
        }
        ended.warnings
    }

    /// Builds the artifacts; an interrupt stops it between two steps. A build that a cache let down is tried again, and
    /// makes here what was of no use: a blob that was promised and is gone, one of the store that was gone or wrong when it
    /// was read, and a result of others that its reader refused.
    ///
    /// * `read`: those of which the bytes are wanted here; the others may stay in the team's cache
    pub(crate) fn build(
        &self,
        artifacts: &[Artifact],
        read: &[Artifact],
        progress: &Progress<'_>,
    ) -> Result<Pass, Report> {
        let graph = ActionGraph::new(artifacts);
        let (mut n_tries, mut n_ran) = (0, 0);
        loop {
            let n_lost = self.team.as_ref().map_or(0, |team| team.remote.n_lost());
            let n_reasons = self.doubts.n_reasons();
            let mut built = self.build_once(&graph, progress)?;
            n_tries += 1;
            // Whoever interrupted it does not want to wait for what would come.
            if !built.is_interrupted {
                self.bring(&graph, &built, read)?;
                self.with_services(|services| {
                    read.iter().for_each(|artifact| built.judge(&graph, artifact, services));
                });
            }
            if !built.is_interrupted && self.is_worth_another_try(n_lost, n_reasons, n_tries) {
                // What comes now may take long, and the reason may be all that somebody wants to know.
                self.doubts.take_warnings().iter().for_each(|warning| progress.warn(warning));
                n_ran += built.n_ran;
                continue;
            }
            // What the earlier tries made is a hit of the last.
            built.n_ran += n_ran;
            built.n_hits = built.n_hits.saturating_sub(n_ran);
            return Ok(Pass { graph, built });
        }
    }

    /// Tells whether a build is to be tried again.
    ///
    /// * `n_lost`, `n_reasons`: what the team's cache had lost, and what was doubted, before the build
    /// * `n_tries`: how many builds there were
    fn is_worth_another_try(&self, n_lost: usize, n_reasons: usize, n_tries: usize) -> bool {
        let team = self.team.as_ref();
        let has_lost = team.is_some_and(|team| team.is_worth_another_try(n_lost, n_tries));
        let is_over = team.is_some_and(RemoteResults::is_over);
        has_lost || !is_over && n_tries < MAX_TRIES && self.doubts.n_reasons() > n_reasons
    }

    fn build_once(&self, graph: &ActionGraph, progress: &Progress<'_>) -> Result<Built, Report> {
        self.with_services(|services| {
            let building = interrupt::Building::begin();
            let built = build(graph, services, self.options, &|event| progress.event(&event));
            drop(building);
            built.map_err(|error| match error {
                BuildError::Threads { .. } => Report::usage("Cannot start the build").because(error),
                BuildError::Store(error) => store_report(&error),
            })
        })
    }

    fn with_services<T>(&self, work: impl FnOnce(&Services<'_>) -> T) -> T {
        let lazy = self.team.as_ref().map(|team| LazyStore { local: &*self.store, remote: &team.remote });
        work(&Services {
            store: lazy.as_ref().map_or(&*self.store, |lazy| lazy as &dyn BlobStore),
            actions: &*self.store,
            trust: &self.trust,
            doubts: &self.doubts,
            memo: self.store.input_memo(),
            remote: self.team.as_ref().map(|team| team as &dyn RemoteResults),
            cancelled: interrupt::cancelled(),
        })
    }

    /// Makes what artifacts became come, if it is not here.
    fn bring(&self, graph: &ActionGraph, built: &Built, artifacts: &[Artifact]) -> Result<(), Report> {
        let Some(team) = &self.team else { return Ok(()) };
        let wanted: Vec<Output> =
            artifacts.iter().filter_map(|artifact| built.output(graph, artifact).cloned()).collect();
        team.bring(&wanted).map_err(|error| action_report("Cannot fetch what was asked for", &error))
    }

    /// What went to the team's cache and came from there; nothing where there is none.
    pub(crate) fn traffic(&self) -> Option<serde_json::Value> {
        self.team.as_ref().map(TeamCache::traffic)
    }

    /// Whether an output that was asked for stays in the team's cache.
    ///
    /// * `path`: where it would lie below `mc-out/`
    pub(crate) fn leaves(&self, path: &str) -> bool {
        self.team.as_ref().is_some_and(|team| team.leaves(path))
    }

    /// The bytes of an output, which come from the team's cache if need be.
    pub(crate) fn content(&self, output: &Output) -> Result<Content, Report> {
        let lazy = self.team.as_ref().map(|team| LazyStore { local: &*self.store, remote: &team.remote });
        let store = lazy.as_ref().map_or(&*self.store as &dyn BlobStore, |lazy| lazy);
        output_content(store, output).map_err(|error| action_report("Cannot read an output", &error))
    }

    /// The verdict that an output holds.
    pub(crate) fn verdict(&self, output: &Output) -> Result<Verdict, Report> {
        let content = self.content(output)?;
        Verdict::from_json(&content.to_contiguous()).map_err(|error| {
            Report::failed("Cannot read a gate's verdict")
                .because(error)
                .hint("Build again with another `--cache-dir`")
        })
    }

    /// The digest of an output's bytes as one file.
    pub(crate) fn digest(&self, output: &Output) -> Result<Digest, Report> {
        if let Output::File(blob) = output {
            return Ok(blob.hash);
        }
        let mut hasher = Hasher::new();
        for part in &self.content(output)?.parts {
            hasher.write_all(Piece::as_slice(part)).expect("hashing writes nothing that could fail");
        }
        Ok(hasher.finish().hash)
    }

    /// Tells the user once about everything in the store that turned out to be damaged, and about results that were of no
    /// use.
    pub(crate) fn warn_of_damage(&self, invocation: &Invocation) {
        for corruption in self.store.take_corruptions() {
            invocation.warn(&corruption.to_string());
        }
        for warning in self.doubts.take_warnings() {
            invocation.warn(&warning);
        }
    }
}

/// The store's error as a report: a folder that is no store is a mistake on the command line.
pub(crate) fn store_report(error: &StoreError) -> Report {
    match error {
        StoreError::UnknownVersion { .. } | StoreError::NotAStore { .. } => {
            Report::usage("Cannot use the store").because(error)
        }
        _ => Report::failed("Cannot use the store").because(error),
    }
}

/// A step's error as a report.
pub(crate) fn action_report(what: &str, error: &ActionError) -> Report {
    let report = Report::failed(what).because(error);
    match error {
        ActionError::Failed { help: Some(help), .. } => report.hint(help),
        ActionError::Changed { .. } => {
            report.hint("End what writes to it, such as a program that maps it into memory, then build again")
        }
        _ => report,
    }
}
