//! Import edges between the files of a crate, and between the modules of each of its folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::cycles::{Arrows, cycles};
use crate::names::names;

/// The module files of one crate, read from `src/`.
pub(crate) struct Sources {
    /// Path below `src/` and text of each file, by its module.
    files: BTreeMap<Vec<String>, (String, String)>,
}

impl Sources {
    /// Reads every `.rs` file below `folder`.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        collect(folder, "", &mut files);
        Self::new(files)
    }

    fn new(files: Vec<(String, String)>) -> Self {
        Self { files: files.into_iter().map(|(path, text)| (module(&path), (path, text))).collect() }
    }

    /// The deepest module file on `path`: the file to which the path refers.
    fn resolve(&self, path: &[String]) -> Option<&Vec<String>> {
        let prefixes = (0..=path.len()).rev().map(|n_names| &path[..n_names]);
        prefixes.into_iter().find_map(|prefix| self.files.get_key_value(prefix)).map(|(module, _)| module)
    }

    /// Each edge from a module file to another, with the first location that causes it.
    fn uses(&self) -> BTreeMap<(&Vec<String>, &Vec<String>), String> {
        let mut uses = BTreeMap::new();
        for (module, (file, text)) in &self.files {
            for name in names(text, module, &|path| self.files.contains_key(path)) {
                let Some(target) = self.resolve(&name.path) else { continue };
                if target != module {
                    let place = || format!("{file}:{} names `crate::{}`", name.line, name.path.join("::"));
                    uses.entry((module, target)).or_insert_with(place);
                }
            }
        }
        uses
    }

    /// Describes the import cycles between files.
    pub(crate) fn file_cycles(&self) -> Vec<String> {
        let mut arrows = Arrows::new();
        for ((from, to), place) in self.uses() {
            arrows.entry(self.files[from].0.clone()).or_default().insert(self.files[to].0.clone(), place);
        }
        cycles(&arrows)
    }

    /// Describes the cycles between the modules of one folder, for all folders.
    ///
    /// A module includes all files below it, so a cycle here is an edge back to a higher layer, even if no file imports
    /// itself. The file `x.rs` belongs to the folder `x/`.
    pub(crate) fn folder_cycles(&self) -> Vec<String> {
        let mut folders: BTreeMap<&[String], Arrows> = BTreeMap::new();
        for ((from, to), place) in self.uses() {
            let n_shared = from.iter().zip(to).take_while(|(from, to)| from == to).count();
            let (Some(from), Some(to)) = (from.get(..=n_shared), to.get(..=n_shared)) else { continue };
            let arrows = folders.entry(&from[..n_shared]).or_default().entry(from.join("/")).or_default();
            arrows.entry(to.join("/")).or_insert(place);
        }
        folders.values().flat_map(cycles).collect()
    }
}

fn collect(folder: &Path, below: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if path.ends_with(".rs") {
            files.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// The module of the file at `path`: `[]` for the root, `[x]` for `x.rs` and `x/mod.rs`.
fn module(path: &str) -> Vec<String> {
    let names = path.strip_suffix(".rs").unwrap();
    let names = names.strip_suffix("/mod").unwrap_or(names);
    if ["lib", "main"].contains(&names) { Vec::new() } else { names.split('/').map(str::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use super::Sources;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn a_cycle_of_files_is_reported_with_the_names_that_cause_it() {
        let sources = sources(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::{self, B};"),
            ("b.rs", "pub struct B;\nfn f(_: crate::c::C) {}"),
            ("c.rs", "pub struct C;\n\nuse super::a::A;"),
        ]);
        let expected = "a.rs -> b.rs -> c.rs -> a.rs
  a.rs -> b.rs (a.rs:1 names `crate::b`)
  b.rs -> c.rs (b.rs:2 names `crate::c::C`)
  c.rs -> a.rs (c.rs:3 names `crate::a::A`)";
        assert_eq!(sources.file_cycles(), [expected]);
    }

    #[test]
    fn an_edge_back_between_folders_is_reported_although_no_file_imports_itself() {
        let sources = sources(&[
            ("lib.rs", "mod low; mod high;"),
            ("low/mod.rs", "pub mod one; pub mod two;"),
            ("low/one.rs", "use crate::high::other::Other;"),
            ("low/two.rs", "pub struct Two;"),
            ("high.rs", "mod other; use crate::low::two::Two;"),
            ("high/other.rs", "pub struct Other;"),
        ]);
        assert!(sources.file_cycles().is_empty());
        let expected = "high -> low -> high
  high -> low (high.rs:1 names `crate::low::two::Two`)
  low -> high (low/one.rs:1 names `crate::high::other::Other`)";
        assert_eq!(sources.folder_cycles(), [expected]);
    }

    #[test]
    fn folders_within_folders_are_layered_too() {
        let sources = sources(&[
            ("lib.rs", "mod x;"),
            ("x.rs", "mod a; mod b;"),
            ("x/a.rs", "mod one; mod two;"),
            ("x/a/one.rs", "use super::super::b::B;"),
            ("x/a/two.rs", "pub struct Two;"),
            ("x/b.rs", "use crate::x::a::two::Two; pub struct B;"),
        ]);
        assert!(sources.file_cycles().is_empty());
        let cycles = sources.folder_cycles();
        assert!(
            matches!(cycles.as_slice(), [cycle] if cycle.starts_with("x/a -> x/b -> x/a\n")),
            "{cycles:?}"
        );
    }

    #[test]
    fn a_module_may_use_its_children_and_tests_may_use_their_module() {
        let sources = sources(&[
            ("main.rs", "mod x; use x::X;"),
            ("x.rs", "mod a; mod b; pub use a::A; pub use self::b::B;"),
            ("x/a.rs", "use crate::x::b::B; mod tests { use super::*; use super::A; }"),
            ("x/b.rs", "pub struct B;"),
        ]);
        assert!(sources.file_cycles().is_empty());
        assert!(sources.folder_cycles().is_empty());
    }

    #[test]
    fn a_child_that_uses_its_own_items_through_a_reexport_of_its_parent_is_a_cycle() {
        let sources = sources(&[("lib.rs", "mod x; pub use x::X;"), ("x.rs", "use crate::X;")]);
        assert_eq!(sources.file_cycles().len(), 1);
    }
}
