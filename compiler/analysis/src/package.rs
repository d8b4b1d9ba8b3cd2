//! Packages: the targets of one `package.kdl`, held against their rules' schemas and expanded.
//!
//! These are the values; [`crate::packages`] has the queries that give them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_ir::attribute::{Place, Record};
use mc_ir::target::Target;
use mc_syntax::span::Span;

/// The targets of a package, without anything that hangs on where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Whether there is a `package.kdl`.
    pub exists: bool,
    /// Whether a mistake in the KDL may hide targets.
    pub is_partial: bool,
    /// Every name that was written, also of targets that are wrong.
    pub declared: BTreeMap<String, Declared>,
    /// Every right target, with those that others expand into.
    pub targets: BTreeMap<String, Arc<Target>>,
}

/// A target as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its rule, before expansion; `None` when there is no such rule.
    pub rule: Option<&'static str>,
    /// Its attributes, where it expands into others, which have other ones.
    pub record: Option<Arc<Record>>,
}

/// Where the places of a package's targets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    pub(crate) by_target: BTreeMap<String, Vec<Span>>,
}

impl Package {
    /// All names that a label may use, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: std::collections::BTreeSet<&str> =
            self.declared.keys().chain(self.targets.keys()).map(String::as_str).collect();
        names.into_iter()
    }
}

impl Spans {
    /// Where a place of a declared target is; the target's beginning when it has no such place.
    pub fn span(&self, target: &str, place: Place) -> Option<Span> {
        let spans = self.by_target.get(target)?;
        spans.get(usize::try_from(place.0).ok()?).or_else(|| spans.first()).copied()
    }
}
