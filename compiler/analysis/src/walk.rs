//! The order in which targets are analysed: what a target names comes before it. And what has no order: cycles.
//!
//! The walk has its own stack and looks at declarations only. Queries are then asked in its order, so that each finds
//! the answers it needs ready: chains of targets overflow no stack, and salsa never sees a cycle.

use std::collections::{BTreeMap, BTreeSet};

use mc_ir::attribute::{Place, Placed};
use mc_ir::label::{Label, PackageId};

use crate::db::Db;
use crate::resolve::{Resolution, resolve_label};

/// Longer chains of targets are refused. Nobody declares them, and the actions that would hang together as long are
/// taken apart by recursion.
pub(crate) const MAX_CHAIN: usize = 1_000;

/// What was reached from some targets.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Every target that can be analysed, after everything that it names.
    pub(crate) order: Vec<Label>,
    /// Every target that was reached, also those that cannot be analysed.
    pub(crate) reached: BTreeSet<Label>,
    /// Cycles, each once, beginning with its smallest label; each target with the place where it names the next.
    pub(crate) cycles: BTreeSet<Vec<(Label, Place)>>,
    /// How many more cycles there are, by the package that names the first target of each again.
    pub(crate) more_cycles: BTreeMap<PackageId, usize>,
    /// Targets in all of `cycles`.
    n_on_cycles: usize,
    /// Targets at the end of a chain that is too long.
    pub(crate) too_long: BTreeSet<Label>,
}

/// So many targets on cycles are noted. As many cycles as targets can each be as long as all of them.
const MAX_ON_CYCLES: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// On the path from the root that is being walked, after so many others.
    Open(usize),
    /// Done; so many targets hang together below it.
    Ordered(usize),
    /// Done; on a cycle, or names something that is.
    Blocked,
}

/// A target on the path that is being walked.
struct Step {
    label: Label,
    names: Vec<Placed<Label>>,
    next: usize,
}

/// Walks from the targets along everything that they name.
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

/// Puts a target on the path, unless it was walked already.
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
    /// Notes the part of a path that leads from a target back to it; once there are many, it is only counted.
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
    // Whatever is still open is on the path, so naming it closes a cycle.
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
