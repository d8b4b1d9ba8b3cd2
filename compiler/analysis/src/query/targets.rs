//! The graph of targets and the targets that they name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mc_ir::attribute::Record;
use mc_ir::label::{Label, PackageId, Pattern};

use crate::db::Db;
use crate::packages::package_of;
use crate::patterns::labels;
use crate::resolve::{Resolution, resolve_label};

/// Targets by label.
pub(crate) type Set = BTreeSet<Label>;

/// The targets of a workspace.
pub(crate) struct Targets<'a> {
    pub(crate) db: &'a dyn Db,
}

impl Targets<'_> {
    pub(crate) fn everything(&self) -> Set {
        // An empty workspace gives an empty set and not an error, because the user did not write this pattern.
        labels(self.db, &[Pattern::Below(PackageId(String::new()))]).unwrap_or_default().into_iter().collect()
    }

    /// Returns the existing targets that a target names.
    pub(crate) fn named(&self, label: &Label) -> Set {
        let Resolution::Found(target) = resolve_label(self.db, label) else {
            return Set::new();
        };
        let labels = target.record.labels().into_iter().map(|placed| placed.value);
        labels.filter(|label| !matches!(resolve_label(self.db, label), Resolution::Unknown(_))).collect()
    }

    pub(crate) fn deps(&self, mut reached: Set, depth: usize) -> Set {
        let mut border = reached.clone();
        for _ in 0..depth {
            let next: Set = border.iter().flat_map(|label| self.named(label)).collect();
            border = &next - &reached;
            if border.is_empty() {
                break;
            }
            reached.extend(border.iter().cloned());
        }
        reached
    }

    pub(crate) fn rdeps(&self, universe: Set, set: &Set, depth: usize) -> Set {
        let mut needed_by: BTreeMap<Label, Set> = BTreeMap::new();
        let universe = self.deps(universe, usize::MAX);
        for label in &universe {
            for named in self.named(label) {
                needed_by.entry(named).or_default().insert(label.clone());
            }
        }
        let mut reached: Set = set & &universe;
        let mut border = reached.clone();
        for _ in 0..depth {
            let next: Set =
                border.iter().filter_map(|label| needed_by.get(label)).flatten().cloned().collect();
            border = &next - &reached;
            if border.is_empty() {
                break;
            }
            reached.extend(border.iter().cloned());
        }
        reached
    }

    /// Returns all targets on any path from one set to the other.
    pub(crate) fn all_paths(&self, from: Set, to: &Set) -> Set {
        let reached = self.deps(from, usize::MAX);
        // The targets that are reachable from the first set and reach the second.
        self.rdeps(reached, to, usize::MAX)
    }

    /// Returns a shortest path from one set to the other, where each target names the next; empty if there is none.
    pub(crate) fn some_path(&self, from: &Set, to: &Set) -> Vec<Label> {
        let mut came_from: BTreeMap<Label, Option<Label>> =
            from.iter().map(|label| (label.clone(), None)).collect();
        let mut queue: VecDeque<Label> = from.iter().cloned().collect();
        while let Some(label) = queue.pop_front() {
            if to.contains(&label) {
                let path =
                    std::iter::successors(Some(label), |label| came_from.get(label).cloned().flatten());
                let mut path: Vec<Label> = path.collect();
                path.reverse();
                return path;
            }
            for named in self.named(&label) {
                came_from.entry(named.clone()).or_insert_with(|| {
                    queue.push_back(named);
                    Some(label.clone())
                });
            }
        }
        Vec::new()
    }

    /// The rules of a target: as declared, and as expanded.
    pub(crate) fn rules(&self, label: &Label) -> impl Iterator<Item = &'static str> {
        let package = package_of(self.db, &label.package);
        let declared = package.declared.get(&label.name).and_then(|declared| declared.rule);
        let expanded = package.targets.get(&label.name).map(|target| target.rule);
        declared.into_iter().chain(expanded)
    }

    /// The attributes of a target: as declared, and as expanded.
    pub(crate) fn records(&self, label: &Label) -> Vec<Record> {
        let package = package_of(self.db, &label.package);
        let written =
            package.declared.get(&label.name).and_then(|declared| declared.record.as_deref().cloned());
        let expanded = package.targets.get(&label.name).map(|target| target.record.clone());
        written.into_iter().chain(expanded).collect()
    }
}
