//! Resolves command-line patterns to labels.

use std::collections::BTreeSet;

use mc_ir::label::{Label, PackageId, Pattern};

use crate::db::Db;
use crate::packages::{package_of, packages};
use crate::resolve::{Resolution, Suggestions, no_package, resolve_label};
use crate::suggest::did_you_mean;

/// A pattern without matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// The expected and the found value.
    pub message: String,
    /// A suggestion; only the first ten of many errors have one.
    pub help: Option<String>,
}

/// Number of errors for which similar names are searched.
const HELPED: usize = 10;

/// Returns the targets that the patterns match, sorted, each once.
///
/// A label may name any target, including a part into which a shorthand expands. The wider patterns match written
/// targets only, valid or not.
///
/// # Errors
/// One [`PatternError`] for each pattern without matches.
pub fn labels(db: &dyn Db, patterns: &[Pattern]) -> Result<Vec<Label>, Vec<PatternError>> {
    let mut found = BTreeSet::new();
    let mut errors = Vec::new();
    let mut suggestions = Suggestions::new(db);
    for pattern in patterns {
        match expand(db, pattern) {
            Ok(labels) => found.extend(labels),
            Err(message) => {
                let is_helped = errors.len() < HELPED;
                let help = if is_helped { help(db, &mut suggestions, pattern) } else { None };
                errors.push(PatternError { message, help });
            }
        }
    }
    if errors.is_empty() { Ok(found.into_iter().collect()) } else { Err(errors) }
}

fn expand(db: &dyn Db, pattern: &Pattern) -> Result<Vec<Label>, String> {
    match pattern {
        Pattern::Target(label) => match resolve_label(db, label) {
            Resolution::Found(_) | Resolution::Broken => Ok(vec![label.clone()]),
            Resolution::Unknown(message) => Err(message),
        },
        Pattern::Package(id) if package_of(db, id).exists => Ok(declared(db, id)),
        Pattern::Package(id) => Err(format!("There is no package `{id}`")),
        Pattern::Below(top) => {
            let found = packages_of(db, std::slice::from_ref(pattern));
            if found.is_empty() {
                return Err(format!("There are no packages below `{top}`"));
            }
            Ok(found.iter().flat_map(|id| declared(db, id)).collect())
        }
    }
}

/// The packages that the patterns cover, sorted, each once.
pub(crate) fn packages_of(db: &dyn Db, patterns: &[Pattern]) -> BTreeSet<PackageId> {
    let mut found = BTreeSet::new();
    for pattern in patterns {
        match pattern {
            Pattern::Target(label) => {
                found.insert(label.package.clone());
            }
            Pattern::Package(id) => {
                found.insert(id.clone());
            }
            Pattern::Below(_) => {
                // The match does not depend on the target's name.
                let matches = |id: &&PackageId| pattern.matches(&Label::new((*id).clone(), ""));
                found.extend(packages(db).iter().filter(matches).cloned());
            }
        }
    }
    found
}

fn declared(db: &dyn Db, id: &PackageId) -> Vec<Label> {
    let package = package_of(db, id);
    package.declared.keys().map(|name| Label::new(id.clone(), name)).collect()
}

fn help(db: &dyn Db, suggestions: &mut Suggestions<'_>, pattern: &Pattern) -> Option<String> {
    match pattern {
        Pattern::Target(label) => Some(suggestions.help(label)),
        Pattern::Package(id) | Pattern::Below(id) => {
            let known: Vec<String> = packages(db).iter().map(ToString::to_string).collect();
            let near = did_you_mean(&id.to_string(), known.iter().map(String::as_str));
            near.or_else(|| Some(no_package(id)))
        }
    }
}
