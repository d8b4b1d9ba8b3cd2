//! Resolves a label to its target, or suggests similar ones.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mc_ir::label::{Label, PackageId};
use mc_ir::target::Target;

use crate::db::Db;
use crate::keys::{TargetKey, package_key, target_key};
use crate::packages::{package, package_of, packages};
use crate::path::{PACKAGE_FILE, package_file};
use crate::suggest::{SEARCHED, did_you_mean, guess};

/// Result of resolving a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A target.
    Found(Arc<Target>),
    /// A target whose declaration is invalid, or may be hidden behind an error in its file; that error is reported
    /// there.
    Broken,
    /// No such target; the sentence says so.
    Unknown(String),
}

/// Resolves a label.
///
/// *Incremental:* depends on the label's own package.
pub fn resolve_label(db: &dyn Db, label: &Label) -> Resolution {
    resolve(db, target_key(db, label))
}

#[salsa::tracked(returns(clone))]
pub(crate) fn resolve<'db>(db: &'db dyn Db, key: TargetKey<'db>) -> Resolution {
    let label = key.label(db);
    let package = package(db, package_key(db, &label.package));
    if let Some(target) = package.targets.get(&label.name) {
        return Resolution::Found(Arc::clone(target));
    }
    if package.declared.contains_key(&label.name) || package.is_partial {
        return Resolution::Broken;
    }
    Resolution::Unknown(if package.exists {
        format!("There is no target `{label}`")
    } else {
        format!("There is no package `{}`", label.package)
    })
}

/// The declared target that a target is, or of which it is a part.
pub(crate) fn owner(db: &dyn Db, label: &Label) -> Label {
    match resolve_label(db, label) {
        Resolution::Found(target) => target.expanded_from.clone().unwrap_or_else(|| label.clone()),
        Resolution::Broken | Resolution::Unknown(_) => label.clone(),
    }
}

/// Searches for the targets that unknown labels may have meant.
/// Not a query: names are collected once for all labels, and only for labels that are shown.
/// Not a query: names are gathered once for all labels, and only for those that are shown.
pub(crate) struct Suggestions<'a> {
    db: &'a dyn Db,
    names: BTreeMap<PackageId, Vec<String>>,
    packages: OnceCell<Vec<String>>,
    everywhere: OnceCell<Everywhere>,
}

/// The targets of all packages.
#[derive(Default)]
struct Everywhere {
    /// The first package, in their order, that has a target with the name.
    by_name: BTreeMap<String, Label>,
    /// The first few labels, searched for similar names.
    first: Vec<Label>,
}

impl<'a> Suggestions<'a> {
    pub(crate) fn new(db: &'a dyn Db) -> Self {
        let (packages, everywhere) = (OnceCell::new(), OnceCell::new());
        Self { db, names: BTreeMap::new(), packages, everywhere }
    }

    /// Returns help for an unknown label.
    pub(crate) fn help(&mut self, label: &Label) -> String {
        if package_of(self.db, &label.package).exists { self.target(label) } else { self.package(label) }
    }

    fn target(&mut self, label: &Label) -> String {
        let (db, id) = (self.db, &label.package);
        let names = self
            .names
            .entry(id.clone())
            .or_insert_with(|| package_of(db, id).names().map(str::to_owned).collect());
        // `//models` is short for `//models:models`, and rarely meant so.
        if !names.is_empty() && id.0.rsplit('/').next() == Some(&label.name) {
            return format!(
                "`{id}` is short for `{label}`; write `{id}:all` for every target of the package"
            );
        }
        let near = guess(&label.name, names.iter().map(String::as_str));
        let near = near.map(|name| format!("Did you mean `{}`?", Label::new(id.clone(), name)));
        let listed = match names.as_slice() {
            [] => format!("`{id}` declares no targets"),
            names => format!("`{id}` declares {}", list(names)),
        };
        near.or_else(|| self.elsewhere(label)).unwrap_or(listed)
    }

    fn package(&self, label: &Label) -> String {
        let known = || packages(self.db).iter().map(ToString::to_string).collect();
        let known = self.packages.get_or_init(known);
        let near = did_you_mean(&label.package.to_string(), known.iter().map(String::as_str));
        near.or_else(|| self.elsewhere(label)).unwrap_or_else(|| no_package(&label.package))
    }

    /// The same name, or a similar one, in another package.
    fn elsewhere(&self, label: &Label) -> Option<String> {
        let everywhere = self.everywhere.get_or_init(|| Everywhere::of(self.db));
        let first = &everywhere.first;
        let near = || {
            let near = guess(&label.name, first.iter().map(|label| label.name.as_str()))?;
            first.iter().find(|label| label.name == near)
        };
        let found = everywhere.by_name.get(&label.name).or_else(near)?;
        Some(format!("Did you mean `{found}`?"))
    }
}

impl Everywhere {
    fn of(db: &dyn Db) -> Self {
        let mut everywhere = Self::default();
        for id in packages(db).iter() {
            for name in package_of(db, id).names() {
                let label = Label::new(id.clone(), name);
                if everywhere.first.len() < SEARCHED {
                    everywhere.first.push(label.clone());
                }
                everywhere.by_name.entry(name.to_owned()).or_insert(label);
            }
        }
        everywhere
    }
}

/// Explains what makes a folder a package.
pub(crate) fn no_package(id: &PackageId) -> String {
    let file = package_file(id);
    format!("A package is a folder with a `{PACKAGE_FILE}`; `{file}` does not exist")
}

/// Lists the first few names.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}
