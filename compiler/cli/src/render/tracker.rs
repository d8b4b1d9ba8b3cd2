//! State of a build, from its events: finished and running actions, and the expected end.
//!
//! The share of finished work is weighted by the expected duration of each action, so that a thousand small tensors
//! count no more than a gate that takes as long. A cache hit has no weight: it counts as an action only.
//!
//! This module shows nothing and reads no clock: times come with the events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mc_digest::digest::Digest;
use mc_driver::forecast::Forecast;
use mc_execute::event::{Event, Origin};
use mc_ir::action::ActionNode;
use mc_ir::work::{Progress, seconds};

/// Share of finished work from which the pace alone gives the estimate.
const TELLING_SHARE: f64 = 0.1;

/// Time after which the pace is used for estimates.
const TELLING_TIME: Duration = Duration::from_secs(2);

/// Progress of an action from which its own pace gives its duration.
const TELLING_PROGRESS: f64 = 0.02;

/// State of a build.
#[derive(Default)]
pub(crate) struct Tracker {
    forecast: Forecast,
    /// Unfinished actions.
    open: BTreeMap<Digest, Arc<ActionNode>>,
    running: Vec<RunningAction>,
    queued: BTreeSet<Digest>,
    n_actions: usize,
    n_done: usize,
    n_hits: usize,
    /// Expected seconds of the actions that ran.
    done: f64,
    /// Start of the first action that ran.
    begin: Option<Instant>,
    /// The greatest share shown so far.
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
    /// Share of finished work, from 0 to 1.
    pub(crate) share: f64,
    /// Time since the first action started.
    pub(crate) elapsed: Duration,
    /// The remaining time, if an estimate is reliable.
    pub(crate) left: Option<Duration>,
    /// The running actions, oldest first.
    pub(crate) running: Vec<Running>,
}

/// A running action.
pub(crate) struct Running {
    /// Node of the action.
    pub(crate) node: Arc<ActionNode>,
    /// Time since it started.
    pub(crate) elapsed: Duration,
    /// Progress of the action, if it reports any.
    pub(crate) progress: Option<Progress>,
}

impl Tracker {
    /// Records the expected durations of the newly planned actions.
    pub(crate) fn forecast(&mut self, forecast: &Forecast) {
        self.forecast = forecast.clone();
    }

    /// Handles an event.
    pub(crate) fn event(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Planned { nodes } => self.plan(nodes),
            Event::Queued { node } => {
                self.queued.insert(node.structure());
            }
            Event::Started { node } => {
                self.queued.remove(&node.structure());
                // It may start again on this machine after a worker failed to run it.
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

    /// Returns true if an action has started to run.
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
        // A bar does not go back if an action takes longer than expected.
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

    /// Expected total seconds of a running action.
    fn total_of(&self, running: &RunningAction, now: Instant) -> f64 {
        let elapsed = now.duration_since(running.start).as_secs_f64();
        match running.progress.map(Progress::share) {
            Some(share) if share >= TELLING_PROGRESS => elapsed / share,
            // An action that exceeds its expected time gets 10 % more than its time so far, an arbitrary margin.
            _ => self.expected(&running.node).max(elapsed * 1.1),
        }
    }

    /// Finished share of a running action.
    fn share_of(&self, running: &RunningAction, now: Instant) -> f64 {
        let elapsed = now.duration_since(running.start).as_secs_f64();
        let total = self.total_of(running, now);
        let by_time = if total > 0.0 { elapsed / total } else { 0.0 };
        running.progress.map_or(by_time, |progress| progress.share().max(TELLING_PROGRESS.min(by_time)))
    }

    /// Expected seconds of the remaining work.
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

    /// The remaining time at the pace so far, but at least that of the longest running action.
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

    /// Returns true if earlier builds recorded the durations of most of the remaining work.
    fn is_recorded(&self) -> bool {
        let (mut recorded, mut guessed) = (0.0, 0.0);
        for expected in self.open.keys().filter_map(|action| self.forecast.expected(action)) {
            let seconds = expected.duration.as_secs_f64();
            *(if expected.is_recorded { &mut recorded } else { &mut guessed }) += seconds;
        }
        recorded > guessed
    }
}

/// Actions for tests of progress.
#[cfg(test)]
pub(crate) mod tests {
    use mc_digest::digest::ActionDigest;
    use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, ActionNode};
    use mc_ir::label::{Label, PackageId};
    use mc_ir::output::Outputs;
    use mc_ir::work::ProgressUnit;

    use super::*;

    struct Fake(&'static str);

    impl Action for Fake {
        fn kind(&self) -> ActionKind {
            ActionKind { name: "tensor", version: 1 }
        }

        fn parameters(&self) -> Vec<(String, String)> {
            vec![("name".to_owned(), self.0.to_owned())]
        }

        fn outputs(&self) -> Vec<String> {
            Vec::new()
        }

        fn describe(&self) -> String {
            self.0.to_owned()
        }

        fn run(&self, _: &dyn ActionContext) -> Result<Outputs, ActionError> {
            unreachable!("nothing is run")
        }
    }

    /// An action of `//:app` with this name.
    pub(crate) fn node(name: &'static str) -> Arc<ActionNode> {
        ActionNode::new(Label::new(PackageId(String::new()), "app"), Box::new(Fake(name)), Vec::new())
    }

    /// The end of an action after this many seconds.
    pub(crate) fn finished(node: &Arc<ActionNode>, origin: Origin, seconds: u64) -> Event {
        let digest = ActionDigest::of(node.action.describe().as_bytes());
        Event::Finished { node: Arc::clone(node), digest, origin, elapsed: Duration::from_secs(seconds) }
    }

    /// Progress of an action, in tokens.
    pub(crate) fn progressed(node: &Arc<ActionNode>, n_done: u64, n_total: u64) -> Event {
        let progress = Progress { n_done, n_total, unit: ProgressUnit::Tokens };
        Event::Progressed { node: Arc::clone(node), progress }
    }

    /// A build of actions with these expected seconds, and whether the durations are recorded.
    struct Build {
        tracker: Tracker,
        begin: Instant,
        nodes: Vec<Arc<ActionNode>>,
    }

    impl Build {
        fn new(expected: &[(&'static str, u64)], is_recorded: bool) -> Self {
            let nodes: Vec<_> = expected.iter().map(|(name, _)| node(name)).collect();
            let seconds = expected.iter().map(|(_, seconds)| Duration::from_secs(*seconds));
            let structures = nodes.iter().map(|node| node.structure());
            let mut tracker = Tracker::default();
            tracker.forecast(&Forecast::of_durations(structures.zip(seconds), is_recorded));
            let begin = Instant::now();
            tracker.event(&Event::Planned { nodes: nodes.clone() }, begin);
            Self { tracker, begin, nodes }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begin + Duration::from_secs(seconds)
        }

        fn start(&mut self, index: usize, seconds: u64) {
            let now = self.at(seconds);
            self.tracker.event(&Event::Started { node: Arc::clone(&self.nodes[index]) }, now);
        }

        fn finish(&mut self, index: usize, origin: Origin, seconds: u64) {
            let now = self.at(seconds);
            self.tracker.event(&finished(&self.nodes[index], origin, seconds), now);
        }

        /// The share in percent and the remaining seconds.
        fn snapshot(&mut self, seconds: u64) -> (u64, Option<u64>) {
            let now = self.at(seconds);
            let snapshot = self.tracker.snapshot(now);
            ((snapshot.share * 100.0).round() as u64, snapshot.left.map(|left| left.as_secs()))
        }
    }

    #[test]
    fn the_share_is_of_work_and_not_of_actions() {
        let mut build = Build::new(&[("small", 1), ("gate", 99)], true);
        build.start(0, 0);
        build.finish(0, Origin::Ran, 1);
        build.start(1, 1);
        assert_eq!(build.snapshot(1), (1, Some(99)));
        assert_eq!(build.snapshot(50).0, 50);
    }

    #[test]
    fn a_hit_counts_as_an_action_and_not_as_work() {
        let mut build = Build::new(&[("hit", 90), ("runs", 10)], true);
        build.finish(0, Origin::Hit, 0);
        build.start(1, 0);
        assert_eq!(build.snapshot(5), (50, Some(5)));
        let now = build.at(5);
        let snapshot = build.tracker.snapshot(now);
        assert_eq!((snapshot.n_actions, snapshot.n_done, snapshot.n_hits), (2, 1, 1));
    }

    #[test]
    fn the_progress_of_an_action_corrects_its_expected_duration() {
        let mut build = Build::new(&[("gate", 10)], true);
        build.start(0, 0);
        build.tracker.event(&progressed(&build.nodes[0], 20, 100), build.begin);
        assert_eq!(build.snapshot(20), (20, Some(80)));
        // It turns out to be slower still: the shown values stay.
        assert_eq!(build.snapshot(40), (20, Some(160)));
    }

    #[test]
    fn without_records_there_is_no_estimate_before_the_pace_is_known() {
        let mut build = Build::new(&[("a", 10), ("b", 10)], false);
        build.start(0, 0);
        assert_eq!(build.snapshot(1).1, None);
        assert_eq!(build.snapshot(5), (25, Some(15)));
    }

    #[test]
    fn queued_actions_do_not_count_as_running() {
        let mut build = Build::new(&[("a", 10)], true);
        let node = Arc::clone(&build.nodes[0]);
        build.tracker.event(&Event::Queued { node }, build.begin);
        let now = build.at(3);
        let snapshot = build.tracker.snapshot(now);
        assert_eq!((snapshot.n_queued, snapshot.running.len(), snapshot.elapsed), (1, 0, Duration::ZERO));
        build.start(0, 4);
        let now = build.at(5);
        let snapshot = build.tracker.snapshot(now);
        assert_eq!((snapshot.n_queued, snapshot.running.len()), (0, 1));
        assert_eq!(snapshot.running[0].elapsed, Duration::from_secs(1));
    }
}
