//! Computes the order of analysis (dependencies first) and finds the cycles.
//!
//! The walk has an explicit stack and reads declarations only. Queries then run in its order, so that each finds the
//! answers that it needs ready: chains of targets do not overflow the stack, and salsa never sees a cycle.

use std::collections::{BTreeMap, BTreeSet};

use mc_ir::attribute::{Place, Placed};
use mc_ir::label::{Label, PackageId};

use crate::db::Db;
use crate::resolve::{Resolution, resolve_label};

/// Maximum length of a chain of targets. Longer ones do not occur in practice, and their actions, which form chains of
/// that length, are dropped by recursion.
pub(crate) const MAX_CHAIN: usize = 1_000;

/// Result of walking from some targets.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Every target that can be analyzed; dependencies come first.
    pub(crate) order: Vec<Label>,
    /// Every reached target, including those that cannot be analyzed.
    pub(crate) reached: BTreeSet<Label>,
    /// Cycles, each once, beginning with the smallest label; each target has the place where it names the next one.
    pub(crate) cycles: BTreeSet<Vec<(Label, Place)>>,
    /// Number of further cycles, by the package of the target that closes the cycle.
    pub(crate) more_cycles: BTreeMap<PackageId, usize>,
    /// Number of targets in all of `cycles`.
    n_on_cycles: usize,
    /// Targets at the end of a chain that is too long.
    pub(crate) too_long: BTreeSet<Label>,
}

/// Number of targets on cycles that are recorded. There can be as many cycles as targets, and each can contain all
/// targets.
const MAX_ON_CYCLES: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// On the current path from the root; holds the number of targets before it.
    Open(usize),
    /// Finished; holds the length of the longest chain below it.
    Ordered(usize),
    /// Finished; on a cycle, or depends on one.
    Blocked,
}

/// A target on the current path.
struct Step {
    label: Label,
    names: Vec<Placed<Label>>,
    next: usize,
}

/// Walks from the targets along all dependencies.
pub(crate) fn walk<'a>(db: &dyn Db, roots: impl IntoIterator<Item = &'a Label>) -> Walk {
    let mut walk = Walk::default();
    let mut states: BTreeMap<Label, State> = BTreeMap::new();
    for root in roots {
        let mut path = Vec::new();
        open(db, root, &mut states, &mut path);
        while let Some(step) = path.last_mut() {
            if let Some(named) = step.names.get(step.next) {
                step.next += 1;
                let label = named.value.clone();
                match states.get(&label) {
                    None => open(db, &label, &mut states, &mut path),
                    Some(&State::Open(start)) => walk.note_cycle(&path[start..]),
                    Some(State::Ordered(_) | State::Blocked) => {}
                }
            } else if let Some(step) = path.pop() {
                finish(&step, &mut states, &mut walk);
            }
        }
    }
    walk.reached = states.into_keys().collect();
    walk
}

/// Pushes a target onto the path, unless it was walked already.
fn open(db: &dyn Db, label: &Label, states: &mut BTreeMap<Label, State>, path: &mut Vec<Step>) {
    if states.contains_key(label) {
        return;
    }
    let names = match resolve_label(db, label) {
        Resolution::Found(target) => target.record.labels(),
        Resolution::Broken | Resolution::Unknown(_) => Vec::new(),
    };
    states.insert(label.clone(), State::Open(path.len()));
    path.push(Step { label: label.clone(), names, next: 0 });
}

impl Walk {
    /// Records the part of a path that leads from a target back to it; above the limit, only counts it.
    fn note_cycle(&mut self, path: &[Step]) {
        if self.n_on_cycles >= MAX_ON_CYCLES {
            if let Some(last) = path.last() {
                *self.more_cycles.entry(last.label.package.clone()).or_default() += 1;
            }
            return;
        }
        let mut cycle: Vec<(Label, Place)> =
            path.iter().map(|step| (step.label.clone(), step.names[step.next - 1].place)).collect();
        let smallest = (0..cycle.len()).min_by_key(|&index| &cycle[index].0).unwrap_or(0);
        cycle.rotate_left(smallest);
        self.n_on_cycles += cycle.len();
        self.cycles.insert(cycle);
    }
}

fn finish(step: &Step, states: &mut BTreeMap<Label, State>, walk: &mut Walk) {
    let below = step.names.iter().map(|named| states.get(&named.value).copied());
    // Every open target is on the path, so naming it closes a cycle.
    let lengths: Option<Vec<usize>> = below
        .map(|state| if let Some(State::Ordered(length)) = state { Some(length) } else { None })
        .collect();
    let state = match lengths.map(|lengths| 1 + lengths.into_iter().max().unwrap_or(0)) {
        None => State::Blocked,
        Some(length) if length > MAX_CHAIN => {
            walk.too_long.insert(step.label.clone());
            State::Blocked
        }
        Some(length) => {
            walk.order.push(step.label.clone());
            State::Ordered(length)
        }
    };
    states.insert(step.label.clone(), state);
}
