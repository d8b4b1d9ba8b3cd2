//! Progress as plain lines, for logs: slow actions, and one line for each target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mc_digest::digest::Digest;
use mc_execute::event::{Event, Origin};
use mc_ir::action::ActionNode;
use mc_ir::label::Label;
use mc_syntax::terminal::printable;

use crate::render::clock::seconds;

/// An action that takes longer than this gets its own line.
const LONG: Duration = Duration::from_secs(1);

/// The line of an action that ran: kind, label, description, time.
pub(crate) fn ran(node: &ActionNode, elapsed: Duration) -> String {
    format!("{}  ({})\n", action(node), seconds(elapsed))
}

/// An action in one line: kind, label, description.
pub(crate) fn action(node: &ActionNode) -> String {
    format!("{:<10} {}  {}", node.action.kind().name, node.label, printable(&node.action.describe()))
}

/// Writes the lines of a build.
#[derive(Default)]
pub(crate) struct LogLines {
    /// True if each action that ran gets a line.
    is_verbose: bool,
    targets: BTreeMap<Label, Target>,
    /// The target of each unfinished action.
    open: BTreeMap<Digest, Label>,
}

/// The actions of a target.
#[derive(Default)]
struct Target {
    n_open: usize,
    n_hits: usize,
    ran: BTreeMap<&'static str, usize>,
    has_failed: bool,
    begin: Option<Instant>,
}

impl LogLines {
    /// * `is_verbose`: true if each action that ran gets a line
    pub(crate) fn new(is_verbose: bool) -> Self {
        Self { is_verbose, ..Self::default() }
    }

    /// The lines for an event.
    pub(crate) fn event(&mut self, event: &Event, now: Instant) -> String {
        match event {
            Event::Planned { nodes } => self.plan(nodes),
            Event::Queued { .. } | Event::Progressed { .. } => {}
            Event::Started { node } => {
                if let Some(target) = self.target(node) {
                    target.begin.get_or_insert(now);
                }
            }
            Event::Finished { node, origin, elapsed, .. } => {
                return self.finished(node, *origin, *elapsed, now);
            }
            Event::Failed { node, .. } => {
                if let Some(target) = self.target(node) {
                    target.has_failed = true;
                }
            }
        }
        String::new()
    }

    fn plan(&mut self, nodes: &[Arc<ActionNode>]) {
        self.targets.clear();
        self.open = nodes.iter().map(|node| (node.structure(), node.label.clone())).collect();
        for label in self.open.values() {
            self.targets.entry(label.clone()).or_default().n_open += 1;
        }
    }

    fn target(&mut self, node: &ActionNode) -> Option<&mut Target> {
        self.targets.get_mut(self.open.get(&node.structure())?)
    }

    fn finished(&mut self, node: &ActionNode, origin: Origin, elapsed: Duration, now: Instant) -> String {
        let has_run = matches!(origin, Origin::Ran | Origin::RanRemotely);
        let is_told = has_run && (self.is_verbose || elapsed > LONG);
        let mut lines = if is_told { ran(node, elapsed) } else { String::new() };
        let Some(label) = self.open.remove(&node.structure()) else { return lines };
        let Some(target) = self.targets.get_mut(&label) else { return lines };
        target.n_open -= 1;
        if has_run {
            *target.ran.entry(node.action.kind().name).or_default() += 1;
        } else {
            target.n_hits += 1;
        }
        // With a line for each action, a line for the target adds nothing.
        if target.n_open == 0 && !self.is_verbose {
            lines.push_str(&target.line(&label, now));
        }
        lines
    }
}

impl Target {
    /// The line of a target whose actions ended; empty if none of them ran.
    fn line(&self, label: &Label, now: Instant) -> String {
        let Some(begin) = self.begin.filter(|_| !self.ran.is_empty() && !self.has_failed) else {
            return String::new();
        };
        let kinds: Vec<String> = self.ran.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let n_ran: usize = self.ran.values().sum();
        let hits = match self.n_hits {
            0 => String::new(),
            1 => ", 1 hit".to_owned(),
            n => format!(", {n} hits"),
        };
        let elapsed = seconds(now.duration_since(begin));
        format!("{label}  {n_ran} ran ({}){hits}  ({elapsed})\n", kinds.join(", "))
    }
}
