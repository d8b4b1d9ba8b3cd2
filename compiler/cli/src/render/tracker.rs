//! State of a build, by its events: what is done, what runs, and when it will end.
//!
//! The share that is done is weighted by the expected duration of each action, so that a thousand small tensors count no
//! more than the gate that takes as long as they do. A hit is no work: it counts as an action and has no weight.
//!
//! This module shows nothing and asks no clock: times come with the events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mc_digest::digest::Digest;
use mc_driver::forecast::Forecast;
use mc_execute::event::{Event, Origin};
use mc_ir::action::ActionNode;
use mc_ir::work::{Progress, seconds};

/// Share of the work that must be done before its pace alone says when the rest will be.
const TELLING_SHARE: f64 = 0.1;

/// Time after which the pace so far is believed.
const TELLING_TIME: Duration = Duration::from_secs(2);

/// Share of an action that must be done before its own pace says how long it takes.
const TELLING_PROGRESS: f64 = 0.02;

/// State of a build.
#[derive(Default)]
pub(crate) struct Tracker {
    forecast: Forecast,
    /// Actions that did not end yet.
    open: BTreeMap<Digest, Arc<ActionNode>>,
    running: Vec<RunningAction>,
    queued: BTreeSet<Digest>,
    n_actions: usize,
    n_done: usize,
    n_hits: usize,
    /// Expected seconds of the actions that ran.
    done: f64,
    /// When the first action began to run.
    begin: Option<Instant>,
    /// The greatest share that was shown.
    share: f64,
}

struct RunningAction {
    node: Arc<ActionNode>,
    start: Instant,
    progress: Option<Progress>,
}

/// Numbers of a build at one moment.
pub(crate) struct Snapshot {
    /// Number of actions.
    pub(crate) n_actions: usize,
    /// Number of actions that ended.
    pub(crate) n_done: usize,
    /// Number of actions that were found in a cache.
    pub(crate) n_hits: usize,
    /// Number of actions that wait for a worker.
    pub(crate) n_queued: usize,
    /// Share of the work that is done, from 0 to 1.
    pub(crate) share: f64,
    /// Time since the first action began to run.
    pub(crate) elapsed: Duration,
    /// The time that is left, if there is reason to believe an estimate.
    pub(crate) left: Option<Duration>,
    /// The actions that run, the one that began first first.
    pub(crate) running: Vec<Running>,
}

/// An action that runs.
pub(crate) struct Running {
    /// Which.
    pub(crate) node: Arc<ActionNode>,
    /// Time since it began.
    pub(crate) elapsed: Duration,
    /// How far it is, as far as it says so.
    pub(crate) progress: Option<Progress>,
}

impl Tracker {
    /// Takes the expected durations of the actions that are planned next.
    pub(crate) fn forecast(&mut self, forecast: &Forecast) {
        self.forecast = forecast.clone();
    }

    /// Takes an event.
    pub(crate) fn event(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Planned { nodes } => self.plan(nodes),
            Event::Queued { node } => {
                self.queued.insert(node.structure());
            }
            Event::Started { node } => {
                self.queued.remove(&node.structure());
                // It may begin again, here, after a worker could not do it.
                self.running.retain(|running| running.node != *node);
                self.running.push(RunningAction { node: Arc::clone(node), start: now, progress: None });
                self.begin.get_or_insert(now);
            }
            Event::Progressed { node, progress } => {
                if let Some(running) = self.running.iter_mut().find(|running| running.node == *node) {
                    running.progress = Some(*progress);
                }
            }
            Event::Finished { node, origin, .. } => {
                self.end(node);
                match origin {
                    Origin::Hit | Origin::Fetched => self.n_hits += 1,
                    Origin::Ran | Origin::RanRemotely => self.done += self.expected(node),
                }
            }
            Event::Failed { node, .. } => self.end(node),
        }
    }

    /// Tells whether an action has begun to run.
    pub(crate) fn has_begun(&self) -> bool {
        self.begin.is_some() || !self.queued.is_empty()
    }

    /// The numbers at this moment.
    pub(crate) fn snapshot(&mut self, now: Instant) -> Snapshot {
        let elapsed = self.begin.map_or(Duration::ZERO, |begin| now.duration_since(begin));
        let partly: f64 = self
            .running
            .iter()
            .map(|running| self.share_of(running, now) * self.total_of(running, now))
            .sum();
        let done = self.done + partly;
        let rest = self.rest(now);
        let share = if done + rest > 0.0 { done / (done + rest) } else { 0.0 };
        // A bar does not go back when an action turns out to be longer than expected.
        self.share = self.share.max(share).min(1.0);
        let running = self.running.iter().map(|running| Running {
            node: Arc::clone(&running.node),
            elapsed: now.duration_since(running.start),
            progress: running.progress,
        });
        Snapshot {
            n_actions: self.n_actions,
            n_done: self.n_done,
            n_hits: self.n_hits,
            n_queued: self.queued.len(),
            share: self.share,
            elapsed,
            left: self.left(now, elapsed, done, rest),
            running: running.collect(),
        }
    }

    fn plan(&mut self, nodes: &[Arc<ActionNode>]) {
        self.open = nodes.iter().map(|node| (node.structure(), Arc::clone(node))).collect();
        self.running.clear();
        self.queued.clear();
        (self.n_actions, self.n_done, self.n_hits) = (nodes.len(), 0, 0);
        (self.done, self.share) = (0.0, 0.0);
    }

    fn end(&mut self, node: &Arc<ActionNode>) {
        self.n_done += 1;
        self.open.remove(&node.structure());
        self.queued.remove(&node.structure());
        self.running.retain(|running| running.node != *node);
    }

    /// Expected seconds of an action.
    fn expected(&self, node: &ActionNode) -> f64 {
        self.forecast.expected(&node.structure()).map_or(0.0, |expected| expected.duration.as_secs_f64())
    }

    /// Seconds that a running action is going to have taken.
    fn total_of(&self, running: &RunningAction, now: Instant) -> f64 {
        let elapsed = now.duration_since(running.start).as_secs_f64();
        match running.progress.map(Progress::share) {
            Some(share) if share >= TELLING_PROGRESS => elapsed / share,
            // Who exceeds what was expected needs a little more, and nobody knows how much.
            _ => self.expected(&running.node).max(elapsed * 1.1),
        }
    }

    /// The share of a running action that is done.
    fn share_of(&self, running: &RunningAction, now: Instant) -> f64 {
        let elapsed = now.duration_since(running.start).as_secs_f64();
        let total = self.total_of(running, now);
        let by_time = if total > 0.0 { elapsed / total } else { 0.0 };
        running.progress.map_or(by_time, |progress| progress.share().max(TELLING_PROGRESS.min(by_time)))
    }

    /// Expected seconds of what is not done.
    fn rest(&self, now: Instant) -> f64 {
        let is_running = |node: &ActionNode| self.running.iter().any(|running| *running.node == *node);
        let waiting = self.open.values().filter(|node| !is_running(node));
        let waiting: f64 = waiting.map(|node| self.expected(node)).sum();
        let running = self.running.iter();
        waiting
            + running
                .map(|running| (1.0 - self.share_of(running, now)) * self.total_of(running, now))
                .sum::<f64>()
    }

    /// The time that is left: at the pace so far, and no less than the longest running action needs.
    fn left(&self, now: Instant, elapsed: Duration, done: f64, rest: f64) -> Option<Duration> {
        let is_paced = elapsed >= TELLING_TIME && done / (done + rest) >= TELLING_SHARE;
        if !(is_paced || self.is_recorded()) {
            return None;
        }
        let longest = self
            .running
            .iter()
            .map(|running| (1.0 - self.share_of(running, now)) * self.total_of(running, now));
        let longest = longest.fold(0.0, f64::max);
        let pace = if is_paced { done / elapsed.as_secs_f64() } else { self.running.len().max(1) as f64 };
        Some(seconds((rest / pace).max(longest)))
    }

    /// Tells whether most of what is expected of the rest was recorded by earlier builds.
    fn is_recorded(&self) -> bool {
        let (mut recorded, mut guessed) = (0.0, 0.0);
        for expected in self.open.keys().filter_map(|action| self.forecast.expected(action)) {
            let seconds = expected.duration.as_secs_f64();
            *(if expected.is_recorded { &mut recorded } else { &mut guessed }) += seconds;
        }
        recorded > guessed
    }
}
