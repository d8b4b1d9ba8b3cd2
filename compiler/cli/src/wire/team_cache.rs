//! The team's cache as the options and the workspace name it, for the executor.
//!
//! Looking up happens where an action would run; sending happens behind the build, and the command waits for it at its
//! end, unless each step is to wait for its own. A server that fails is left alone for the rest of the command, with one warning.

use std::fs;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use mc_digest::digest::BlobDigest;
use mc_execute::lookup::store_failed;
use mc_execute::remote::{Found, RemoteResults};
use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::tags::Tags;
use mc_remote::download::Fetching;
use mc_remote::error::RemoteError;
use mc_remote::made::Made;
use mc_remote::notes::Notes;
use mc_remote::notes::promised::Promised;
use mc_remote::remote::Remote;
use mc_remote::workers::Workers;
use mc_store::local::store::LocalStore;
use mc_store::voucher::{Trust, Voucher};
use regex::Regex;
use serde_json::{Value, json};

use crate::interrupt;
use crate::invocation::Invocation;
use crate::options::Download;
use crate::render::size::size;
use crate::report::Report;
use crate::wire::team_settings::{Declared, TeamSettings};
use crate::wire::team_transport;
use crate::wire::team_trust::trust;
use crate::wire::team_uploads::{Job, Uploads, Waiting};
use crate::wire::team_watch::Watch;
use crate::wire::team_workers::TeamWorkers;
use crate::workspace::cache_dir;

/// Builds in all, when blobs that were promised are gone.
pub(crate) const MAX_TRIES: usize = 5;

/// A team's cache in use.
pub(crate) struct TeamCache {
    pub(crate) remote: Arc<Remote>,
    store: Arc<LocalStore>,
    settings: TeamSettings,
    /// Whether its failures are no news.
    is_absent: bool,
    uploads: Option<Uploads>,
    workers: Option<TeamWorkers>,
    /// Workers that are not asked, because nobody signs what they make.
    unsigned_workers: Option<String>,
    trust: Trust,
    _watch: Option<Watch>,
    /// Why a step failed that could not do without it, the first time.
    step_failure: Mutex<Option<String>>,
}

/// What is to be said of the cache when all is done.
#[derive(Default)]
pub(crate) struct Ended {
    /// What went wrong and did no harm.
    pub(crate) warnings: Vec<String>,
    /// Why the command failed.
    pub(crate) failure: Option<Report>,
}

impl TeamCache {
    /// The cache that the options name, or else the workspace; none where neither does, or it cannot be used and the
    /// build may go on without.
    pub(crate) fn open(
        invocation: &Invocation,
        declared: &Declared,
        store: &Arc<LocalStore>,
    ) -> Result<Option<Self>, Report> {
        let Some(settings) = TeamSettings::of(&invocation.options, declared)? else { return Ok(None) };
        let transport = team_transport::open(invocation, &settings)?;
        let is_absent = transport.is_absent();
        let dir = cache_dir(&invocation.options)?;
        let fetching = match settings.download {
            Download::All => Fetching::AtOnce,
            Download::Minimal | Download::Toplevel => Fetching::WhenRead,
        };
        let signatures = settings.keys.signatures(settings.upload)?;
        let executor = settings.executor.as_deref();
        let trusted_workers = executor.filter(|_| invocation.options.remote_trust_executor);
        let trust = trust(&signatures, trusted_workers.map(Workers::voucher));
        let unsigned_workers = executor.filter(|address| !trust.accepts(&[Workers::voucher(address)]));
        let mut server = format!("{} {} {}", settings.address, settings.instance, signatures.whose());
        if let (Trust::Only(_), Some(workers)) = (&trust, trusted_workers) {
            // What they promise is no promise to whoever does not trust them.
            server = format!("{server} and workers of {workers}");
        }
        let notes = dir.join("remote");
        // Where they cannot be kept, they are made anew each time.
        drop(fs::create_dir_all(&notes));
        let mut notes = Notes::open(&notes, &server);
        if !settings.accept {
            // What was promised before is from there, too; what workers promise now is not.
            notes.promised = Promised::open(None);
        }
        let remote = Arc::new(Remote::new(transport, notes, fetching, signatures));
        let sends = settings.upload && !is_absent;
        let uploads = sends.then(|| Uploads::start(&remote, store, settings.n_askers));
        let has_workers = !is_absent && unsigned_workers.is_none();
        let workers = if has_workers { TeamWorkers::open(invocation, &settings)? } else { None };
        let unsigned_workers = unsigned_workers.map(str::to_owned);
        let watch = (settings.required && !is_absent).then(|| Watch::begin(&remote));
        let store = Arc::clone(store);
        let step_failure = Mutex::default();
        Ok(Some(Self {
            remote,
            store,
            settings,
            is_absent,
            uploads,
            workers,
            unsigned_workers,
            trust,
            _watch: watch,
            step_failure,
        }))
    }

    /// Whose results count, here and there.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// How this machine uses it, for people.
    pub(crate) fn use_of_it(&self) -> Vec<(&'static str, Value)> {
        let TeamSettings { accept, sends_behind, required, download, download_regex, n_askers, .. } =
            &self.settings;
        let fetched: Vec<&str> = download_regex.iter().map(Regex::as_str).collect();
        vec![
            ("results are taken", json!(accept)),
            ("results are sent", json!(self.uploads.is_some())),
            ("sending is waited for", json!(if *sends_behind { "at the end" } else { "step by step" })),
            ("outputs fetched", json!(download.to_possible_value().map(|word| word.get_name().to_owned()))),
            ("fetched in any case", json!(fetched)),
            ("required", json!(required)),
            ("signs", json!(self.settings.keys.signing.is_some())),
            (
                "signatures from",
                json!(self.settings.keys.require_signed.as_ref().map(|path| path.display().to_string())),
            ),
            ("look-ups at a time", json!(n_askers)),
        ]
    }

    /// What went over the wire, for programs.
    pub(crate) fn traffic(&self) -> Value {
        let (down, up) = self.remote.traffic();
        json!({ "bytes_down": down, "bytes_up": up })
    }

    /// Whether an output that was asked for stays where it is.
    ///
    /// * `path`: where it would lie below `mc-out/`
    pub(crate) fn leaves(&self, path: &str) -> bool {
        let TeamSettings { download, download_regex, .. } = &self.settings;
        *download == Download::Minimal && !download_regex.iter().any(|regex| regex.is_match(path))
    }

    /// Whether a build that failed is worth another try: a blob that was promised could not be had, and will be made
    /// here the next time.
    ///
    /// * `n_lost`: what [`Remote::n_lost`] said before the build
    /// * `n_tries`: how many builds there were
    pub(crate) fn is_worth_another_try(&self, n_lost: usize, n_tries: usize) -> bool {
        if self.remote.n_lost() == n_lost || self.is_over() {
            return false;
        }
        if n_tries >= MAX_TRIES {
            self.remote.give_up();
        } else {
            // The breaker remembers why it cannot be asked.
            drop(self.remote.look_for_losses(&*self.store));
        }
        n_tries <= MAX_TRIES
    }

    /// Waits for what is being sent, and gives what went wrong.
    pub(crate) fn finish(&mut self, invocation: &Invocation) -> Ended {
        let mut ended = Ended::default();
        let mut not_sent = None;
        if let Some(uploads) = self.uploads.take() {
            if !interrupt::cancelled().load(Ordering::Relaxed) {
                let (name, Waiting { n_uploads, n_bytes, n_asked }) = (self.remote.name(), uploads.waiting());
                if n_uploads > 0 {
                    let bytes = size(n_bytes);
                    invocation
                        .streams
                        .note(&format!("waiting for {n_uploads} uploads to {name}, at most {bytes}\n"));
                }
                if n_asked > 0 {
                    invocation
                        .streams
                        .note(&format!("asking {name} for {n_asked} results that were here before\n"));
                }
            }
            not_sent = uploads.finish();
        }
        let name = self.remote.name();
        let (down, up) = self.remote.traffic();
        let told = [("fetched", down), ("sent", up)].into_iter().filter(|(_, n_bytes)| *n_bytes > 0);
        let told: Vec<String> = told.map(|(word, n_bytes)| format!("{word} {}", size(n_bytes))).collect();
        if !told.is_empty() {
            invocation.streams.note(&format!("{name}: {}\n", told.join(", ")));
        }
        let not_asked = self.remote.failure().filter(|_| !self.is_absent);
        // Workers cannot do without the cache: its failure says it all.
        let not_done = self.workers.as_ref().and_then(TeamWorkers::failure);
        ended.warnings.extend(not_done.filter(|_| not_asked.is_none()));
        ended.warnings.extend(self.unsigned_workers.as_ref().map(|address| {
            format!(
                "The workers of {address} are not asked, because nobody signs what they make; with \
                 `--remote-trust-executor` it counts as made here"
            )
        }));
        ended.warnings.extend(self.useless());
        let step_failure = self.step_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever does not answer takes nothing either: that is one thing to say.
        let failure = match (not_asked, step_failure, not_sent) {
            (Some(reason), ..) if self.settings.required => self.blamed(&reason),
            (Some(reason), ..) => {
                let reason = self.without_name(&reason);
                format!("The remote cache {name} was left alone after it failed: {reason}")
            }
            (None, Some(reason), _) => self.blamed(&reason),
            (None, None, Some(reason)) => {
                // One blob may be too much for it.
                let what = if self.remote.send_failure().is_some() { "what" } else { "all that" };
                format!("The remote cache {name} does not take {what} was made here: {reason}")
            }
            (None, None, None) => return ended,
        };
        if self.settings.required {
            let hint = "Leave `--remote-cache-required` out to go on without it";
            ended.failure = Some(Report::failed(failure).hint(hint));
        } else {
            ended.warnings.push(failure);
        }
        ended
    }

    /// Whether a report says what [`Ended::failure`] says for all steps.
    pub(crate) fn is_blamed_in(&self, report: &Report) -> bool {
        report.because.as_ref().is_some_and(|because| because.starts_with(&self.blame()))
    }

    /// Why a step failed that could not do without the cache.
    fn blamed(&self, reason: &str) -> String {
        format!("{}{}", self.blame(), self.without_name(reason))
    }

    /// A reason without the address at its beginning, for a sentence that has it already.
    fn without_name<'a>(&self, reason: &'a str) -> &'a str {
        reason.strip_prefix(&format!("{}: ", self.remote.name())).unwrap_or(reason)
    }

    /// How the reason begins for which a step failed that could not do without the cache.
    fn blame(&self) -> String {
        format!("The remote cache {} failed: ", self.remote.name())
    }
}

impl TeamCache {
    /// What came and was of no use, in one line.
    fn useless(&self) -> Option<String> {
        let count = |n: usize, what: &str, why: &str| {
            let plural = if n == 1 { "" } else { "s" };
            (n > 0).then(|| format!("{n} {what}{plural} {why}"))
        };
        let (n_unreadable, reason) = self.remote.unreadable().unwrap_or_default();
        let unreadable = format!("could not be read ({reason})");
        let counted = [
            count(n_unreadable, "result", &unreadable),
            count(self.remote.n_unsigned(), "result", "not signed by anyone who is trusted"),
            count(self.remote.n_gone(), "blob", "gone that results name"),
            self.remote
                .is_given_up()
                .then(|| "it was left alone after that had happened too often".to_owned()),
        ];
        let counted: Vec<String> = counted.into_iter().flatten().collect();
        let counted =
            (!counted.is_empty()).then(|| format!("{}: {}", self.remote.name(), counted.join(", ")));
        let useless: Vec<String> = counted.into_iter().chain(self.remote.lie()).collect();
        (!useless.is_empty()).then(|| format!("{}; what is missing was made here", useless.join("; ")))
    }
}

impl TeamCache {
    /// What a failure of the cache means for the build: its end where the cache is required, and else nothing.
    fn failed<T>(&self, error: RemoteError, otherwise: T) -> Result<T, ActionError> {
        match error {
            // This machine's disk is to blame, and no build goes on without it.
            RemoteError::Store(error) => Err(store_failed(error)),
            error if self.settings.required => {
                let reason = self.remote.failure().unwrap_or_else(|| error.to_string());
                let mut first = self.step_failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| reason.clone());
                Err(ActionError::failed(self.blamed(&reason))
                    .with_help("Leave `--remote-cache-required` out to build without it"))
            }
            // The breaker remembers what the warning will say.
            _ => Ok(otherwise),
        }
    }
}

impl RemoteResults for TeamCache {
    fn n_askers(&self) -> usize {
        self.settings.n_askers
    }

    fn is_over(&self) -> bool {
        self.settings.required && !self.is_absent && self.remote.has_failed()
    }

    fn find(
        &self,
        node: &Arc<ActionNode>,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Found>, ActionError> {
        if self.is_absent {
            return Ok(None);
        }
        let made = Made { node, inputs, source };
        let found = if self.settings.accept {
            self.remote.lookup(&*self.store, &made)
        } else {
            // What is sent later needs the names of sources, which are known here only.
            self.remote.key(&*self.store, &made).map(|_| None)
        };
        match found {
            Ok(found) => Ok(found),
            Err(error) => self.failed(error, None),
        }
    }

    fn execute(
        &self,
        node: &Arc<ActionNode>,
        tags: Tags,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
        begins: &dyn Fn(),
    ) -> Result<Option<Found>, ActionError> {
        let Some(workers) = &self.workers else { return Ok(None) };
        let is_cancelled = || interrupt::cancelled().load(Ordering::Relaxed) || self.is_over();
        let made = Made { node, inputs, source };
        let outputs = workers.execute(&self.remote, &self.store, &made, tags, begins, &is_cancelled)?;
        let voucher: Option<Voucher> = self.settings.executor.as_deref().map(Workers::voucher);
        Ok(outputs.map(|outputs| (outputs, voucher)))
    }

    fn bring(&self, outputs: &[Output]) -> Result<(), ActionError> {
        let blobs: Vec<BlobDigest> = outputs.iter().flat_map(|output| output.parts().to_vec()).collect();
        self.remote.bring(&*self.store, &blobs).or_else(|error| self.failed(error, ()))
    }

    fn made(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) {
        let Some(uploads) = &self.uploads else { return };
        let job = job(node, inputs, outputs);
        if self.settings.sends_behind {
            uploads.made(job);
        } else if !interrupt::cancelled().load(Ordering::Relaxed) {
            uploads.send_made(&job);
        }
    }

    fn had(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) {
        let Some(uploads) = &self.uploads else { return };
        let job = job(node, inputs, outputs);
        if self.settings.sends_behind {
            uploads.had(job);
        } else if !interrupt::cancelled().load(Ordering::Relaxed) {
            uploads.send_had(job);
        }
    }
}

fn job(node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) -> Job {
    Job { node: Arc::clone(node), inputs: inputs.to_vec(), outputs: outputs.clone() }
}
