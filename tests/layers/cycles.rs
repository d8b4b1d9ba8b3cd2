//! Cycles of a graph of names, described by their edges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// For each node its successors, with the cause of each edge.
pub(crate) type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// Describes a shortest cycle through each node that is on a cycle and not on one described before.
pub(crate) fn cycles(arrows: &Arrows) -> Vec<String> {
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for node in arrows.keys() {
        if reported.contains(node.as_str()) {
            continue;
        }
        if let Some(cycle) = shortest(arrows, node) {
            found.push(describe(arrows, &cycle));
            reported.extend(cycle);
        }
    }
    found
}

/// The nodes of a shortest cycle through `start`, which is both its first and its last node.
fn shortest<'a>(arrows: &'a Arrows, start: &'a str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in arrows.get(node).into_iter().flat_map(BTreeMap::keys) {
            if before.contains_key(next.as_str()) {
                continue;
            }
            before.insert(next, node);
            queue.push_back(next);
        }
    }
    let mut cycle = vec![start, before.get(start)?];
    while cycle.last() != Some(&start) {
        cycle.push(before[cycle[cycle.len() - 1]]);
    }
    cycle.reverse();
    Some(cycle)
}

fn describe(arrows: &Arrows, cycle: &[&str]) -> String {
    let arrow = |pair: &[&str]| format!("\n  {} -> {} ({})", pair[0], pair[1], arrows[pair[0]][pair[1]]);
    let lines: String = cycle.windows(2).map(arrow).collect();
    format!("{}{lines}", cycle.join(" -> "))
}
