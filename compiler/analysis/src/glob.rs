//! File patterns: `*` and `?` within a name, `**` for any number of folders.
//!
//! A pattern matches files, never folders. Names that begin with a dot are matched only by a component that does too.
//! Links to folders are not followed, because they might form a cycle.

use std::collections::BTreeSet;

use mc_ir::rule::SourceError;

use crate::file_system::{FileSystem, not_utf8};
use crate::path::join;

/// Folders nested deeper than this are not searched.
const MAX_DEPTH: usize = 64;

/// Returns the files below `folder` that the pattern matches, relative to `folder`, sorted.
///
/// Each folder is listed once, regardless of the number of `**` in the pattern: the walk carries the set of pattern
/// components that may come next, as an automaton does.
///
/// # Errors
/// [`SourceError`] if the folder before the first wildcard does not exist, a folder cannot be listed, or the pattern
/// matches a name that is not UTF-8.
pub(crate) fn glob(files: &dyn FileSystem, folder: &str, pattern: &str) -> Result<Vec<String>, SourceError> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let n_literal =
        parts.iter().take(parts.len().saturating_sub(1)).take_while(|part| !is_wild(part)).count();
    let start = parts[..n_literal].join("/");
    let parts = &parts[n_literal..];
    let mut found = Vec::new();
    let mut folders = vec![(start, closure(parts, BTreeSet::from([0])), 0)];
    while let Some((below, states, depth)) = folders.pop() {
        for entry in files.list(&join(folder, &below))? {
            let next = closure(parts, step(parts, &states, &entry.name));
            let is_met = if entry.is_folder {
                !entry.is_link && depth < MAX_DEPTH && next.iter().any(|&state| state < parts.len())
            } else {
                // A `**` at the end also matches files.
                next.contains(&parts.len())
            };
            if !is_met {
                continue;
            }
            if let Some(name) = &entry.not_utf8 {
                // Skipping it would silently lose data.
                return Err(not_utf8(&join(&join(folder, &below), name)));
            }
            let path = join(&below, &entry.name);
            if entry.is_folder {
                folders.push((path, next, depth + 1));
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Returns true if a pattern component contains wildcards.
fn is_wild(part: &str) -> bool {
    part.contains(['*', '?'])
}

/// Adds the states that are reachable without consuming a name: `**` may match no folder at all.
fn closure(parts: &[&str], mut states: BTreeSet<usize>) -> BTreeSet<usize> {
    for (index, part) in parts.iter().enumerate() {
        if states.contains(&index) && *part == "**" {
            states.insert(index + 1);
        }
    }
    states
}

fn step(parts: &[&str], states: &BTreeSet<usize>, name: &str) -> BTreeSet<usize> {
    let mut next = BTreeSet::new();
    for &state in states {
        match parts.get(state) {
            Some(&"**") if !name.starts_with('.') => {
                next.insert(state);
            }
            Some(part) if matches(part, name) => {
                next.insert(state + 1);
            }
            _ => {}
        }
    }
    next
}

/// Returns true if a name matches one pattern component; takes time proportional to the product of their lengths.
pub(crate) fn matches(part: &str, name: &str) -> bool {
    if name.starts_with('.') && !part.starts_with('.') {
        return false;
    }
    let part: Vec<char> = part.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut part_idx, mut name_idx) = (0, 0);
    // Position for backtracking if the characters after the last `*` do not match: the `*` takes one more character.
    let mut retry = None;
    while name_idx < name.len() {
        match part.get(part_idx) {
            Some('*') => {
                retry = Some((part_idx + 1, name_idx));
                part_idx += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[name_idx] => {
                part_idx += 1;
                name_idx += 1;
            }
            _ => {
                let Some((after_star, taken)) = retry else {
                    return false;
                };
                retry = Some((after_star, taken + 1));
                part_idx = after_star;
                name_idx = taken + 1;
            }
        }
    }
    part[part_idx..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn found(pattern: &str) -> Vec<String> {
        let files = Memory::new(&[
            ("models/data/a.txt", ""),
            ("models/data/b.txt", ""),
            ("models/data/.hidden.txt", ""),
            ("models/data/deep/c.txt", ""),
            ("models/data/deep/er/d.txt", ""),
            ("models/data/e.jsonl", ""),
            ("models/f.txt", ""),
        ]);
        glob(&files, "models", pattern).unwrap()
    }

    #[test]
    fn a_star_stays_within_a_name() {
        assert_eq!(found("data/*.txt"), ["data/a.txt", "data/b.txt"]);
        assert_eq!(found("data/?.*"), ["data/a.txt", "data/b.txt", "data/e.jsonl"]);
        assert_eq!(found("*/deep/*.txt"), ["data/deep/c.txt"]);
    }

    #[test]
    fn two_stars_match_any_number_of_folders_and_none() {
        let all = ["data/a.txt", "data/b.txt", "data/deep/c.txt", "data/deep/er/d.txt", "f.txt"];
        assert_eq!(found("**/*.txt"), all);
        assert_eq!(found("**/**/*.txt"), all);
        assert_eq!(found("data/**"), [&all[..4], &["data/e.jsonl"]].concat());
    }

    #[test]
    fn a_pattern_without_wildcards_is_a_file() {
        assert_eq!(found("data/a.txt"), ["data/a.txt"]);
        assert_eq!(found("data/nothing.txt"), [""; 0]);
        assert_eq!(found("data/.hidden.txt"), ["data/.hidden.txt"]);
    }

    #[test]
    fn the_folder_before_the_first_wildcard_must_exist() {
        let error = glob(&Memory::new(&[("a", "")]), "", "data/*.txt").unwrap_err();
        assert_eq!((error.to_string().as_str(), error.is_missing), ("`data` does not exist", true));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&format!("{}c", "a*".repeat(40)), &format!("{}b", "a".repeat(200))));
    }
}
