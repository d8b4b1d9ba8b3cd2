//! Packages: the targets of one `package.kdl`, checked against their rules' schemas and expanded.
//!
//! This module has the values; [`crate::packages`] has the queries that return them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_ir::attribute::{Place, Record};
use mc_ir::target::Target;
use mc_syntax::span::Span;

/// The targets of a package, without anything that depends on spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// True if there is a `package.kdl`.
    pub exists: bool,
    /// True if targets may be hidden behind an error in the KDL.
    pub is_partial: bool,
    /// Every written name, including those of invalid targets.
    pub declared: BTreeMap<String, Declared>,
    /// Every valid target, including the parts into which others expand.
    pub targets: BTreeMap<String, Arc<Target>>,
}

/// A target as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its rule, before expansion; `None` if the rule is unknown.
    pub rule: Option<&'static str>,
    /// Its attributes, where it expands into others, which have other ones.
    pub record: Option<Arc<Record>>,
}

/// The spans of the places of a package's targets.
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
    /// The span of a place of a declared target; the span of the target's first place if it has no such place.
    pub fn span(&self, target: &str, place: Place) -> Option<Span> {
        let spans = self.by_target.get(target)?;
        spans.get(usize::try_from(place.0).ok()?).or_else(|| spans.first()).copied()
    }
}
