//! Answers queries about targets: `deps(//models:tone)`, `rdeps(//..., //data:held-out) ^ kind(gate, //...)`.
//!
//! | function | returns |
//! |---|---|
//! | `deps(set[, depth])` | the targets and all their dependencies, direct and indirect, or within `depth` edges |
//! | `rdeps([universe,] set[, depth])` | all targets in `deps(universe)` that depend on the set; the universe defaults
//! to `//...` |
//! | `kind(rule, set)` | the targets of the set with this rule, as declared or as expanded; `*` matches any letters |
//! | `allpaths(from, to)` | all targets on any path from one set to the other |
//! | `somepath(from, to)` | the targets of one shortest such path |
//!
//! A pattern matches written targets; the parts into which a shorthand expands are included by `deps`. Names of targets
//! that do not exist are skipped: [`crate::check`] reports them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use mc_ir::label::{Label, PackageId, Pattern};

use crate::db::Db;
use crate::packages::package_of;
use crate::patterns::labels;
use crate::query::error::QueryError;
use crate::query::expression::{Expression, Operator, parse};
use crate::resolve::{Resolution, resolve_label};
use crate::suggest::did_you_mean;

const FUNCTIONS: [&str; 5] = ["deps", "rdeps", "kind", "allpaths", "somepath"];

type Set = BTreeSet<Label>;

/// Returns the targets that a query selects, sorted. Labels without `//` are relative to the package `here`.
///
/// # Errors
/// [`QueryError`], with the location in `text`, if the text is not a query or names something that does not exist.
pub fn query(db: &dyn Db, text: &str, here: &PackageId) -> Result<Vec<Label>, QueryError> {
    let expression = parse(text)?;
    let set = Evaluation { db, here }.set(&expression)?;
    Ok(set.into_iter().collect())
}

struct Evaluation<'a> {
    db: &'a dyn Db,
    here: &'a PackageId,
}

impl Evaluation<'_> {
    fn set(&self, expression: &Expression<'_>) -> Result<Set, QueryError> {
        match expression {
            Expression::Word { text, span } => self.pattern(text, span),
            Expression::Join { operator, left, right } => {
                let (left, right) = (self.set(left)?, self.set(right)?);
                Ok(match operator {
                    Operator::Union => &left | &right,
                    Operator::Except => &left - &right,
                    Operator::Intersect => &left & &right,
                })
            }
            Expression::Call { name, span, arguments } => self.call(name, span, arguments),
        }
    }

    fn pattern(&self, text: &str, span: &Range<usize>) -> Result<Set, QueryError> {
        let pattern = Pattern::parse(text, self.here).map_err(|error| {
            let function = mc_syntax::nearest::nearest(text, FUNCTIONS);
            let help = function.map(|name| format!("Did you mean `{name}(…)`?")).or_else(|| {
                // The missing colon is the most common error.
                let with_colon = format!(":{text}");
                Label::parse(&with_colon, self.here)
                    .ok()
                    .map(|label| format!("Write `{with_colon}` for `{label}`"))
            });
            QueryError { help, ..QueryError::new(span.clone(), error.to_string()) }
        })?;
        labels(self.db, &[pattern]).map(|labels| labels.into_iter().collect()).map_err(|errors| {
            let message: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
            let help = errors.iter().find_map(|error| error.help.clone());
            QueryError { help, ..QueryError::new(span.clone(), message.join("; ")) }
        })
    }

    fn call(&self, name: &str, span: &Range<usize>, arguments: &[Expression<'_>]) -> Result<Set, QueryError> {
        let usage = |usage: &str| {
            let message = format!("`{name}` takes other arguments, found {} of them", arguments.len());
            QueryError::new(span.clone(), message).help(format!("Write `{usage}`"))
        };
        match (name, arguments) {
            ("deps", [set]) => Ok(self.deps(self.set(set)?, usize::MAX)),
            ("deps", [set, depth]) => Ok(self.deps(self.set(set)?, number(depth)?)),
            ("deps", _) => Err(usage("deps(set)` or `deps(set, depth)")),
            ("rdeps", [set]) => Ok(self.rdeps(self.everything(), &self.set(set)?, usize::MAX)),
            ("rdeps", [set, depth]) if number(depth).is_ok() => {
                Ok(self.rdeps(self.everything(), &self.set(set)?, number(depth)?))
            }
            ("rdeps", [universe, set]) => Ok(self.rdeps(self.set(universe)?, &self.set(set)?, usize::MAX)),
            ("rdeps", [universe, set, depth]) => {
                Ok(self.rdeps(self.set(universe)?, &self.set(set)?, number(depth)?))
            }
            ("rdeps", _) => Err(usage("rdeps(set)` or `rdeps(universe, set, depth)")),
            ("kind", [rule, set]) => self.kind(rule, &self.set(set)?),
            ("kind", _) => Err(usage("kind(rule, set)")),
            ("allpaths", [from, to]) => Ok(self.all_paths(self.set(from)?, &self.set(to)?)),
            ("allpaths", _) => Err(usage("allpaths(from, to)")),
            ("somepath", [from, to]) => Ok(self.some_path(&self.set(from)?, &self.set(to)?)),
            ("somepath", _) => Err(usage("somepath(from, to)")),
            _ => {
                let known = FUNCTIONS.map(|name| format!("`{name}`")).join(", ");
                let help =
                    did_you_mean(name, FUNCTIONS).unwrap_or_else(|| format!("The functions are {known}"));
                Err(QueryError::new(span.clone(), format!("There is no function `{name}`")).help(help))
            }
        }
    }

    fn everything(&self) -> Set {
        // An empty workspace is an empty set and not an error, because the user did not write this pattern.
        labels(self.db, &[Pattern::Below(PackageId(String::new()))]).unwrap_or_default().into_iter().collect()
    }

    /// The direct dependencies of a target that exist.
    fn named(&self, label: &Label) -> Set {
        let Resolution::Found(target) = resolve_label(self.db, label) else {
            return Set::new();
        };
        let labels = target.record.labels().into_iter().map(|placed| placed.value);
        labels.filter(|label| !matches!(resolve_label(self.db, label), Resolution::Unknown(_))).collect()
    }

    fn deps(&self, mut reached: Set, depth: usize) -> Set {
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

    fn rdeps(&self, universe: Set, set: &Set, depth: usize) -> Set {
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

    fn kind(&self, rule: &Expression<'_>, set: &Set) -> Result<Set, QueryError> {
        let Expression::Word { text, span } = rule else {
            return Err(QueryError::new(rule.span(), "Expected the name of a rule"));
        };
        let rules: Vec<&str> = self.db.rules().iter().map(|rule| rule.schema().name).collect();
        if !rules.iter().any(|name| crate::glob::matches(text, name)) {
            let known = || format!("The rules are `{}`", rules.join("`, `"));
            let help = did_you_mean(text, rules.iter().copied()).unwrap_or_else(known);
            return Err(QueryError::new(span.clone(), format!("There is no rule `{text}`")).help(help));
        }
        let is_of_kind = |label: &&Label| {
            let package = package_of(self.db, &label.package);
            let declared = package.declared.get(&label.name).and_then(|declared| declared.rule);
            let expanded = package.targets.get(&label.name).map(|target| target.rule);
            declared.into_iter().chain(expanded).any(|rule| crate::glob::matches(text, rule))
        };
        Ok(set.iter().filter(is_of_kind).cloned().collect())
    }

    fn all_paths(&self, from: Set, to: &Set) -> Set {
        let reached = self.deps(from, usize::MAX);
        // All reached targets from which `to` is reachable.
        self.rdeps(reached, to, usize::MAX)
    }

    fn some_path(&self, from: &Set, to: &Set) -> Set {
        let mut came_from: BTreeMap<Label, Option<Label>> =
            from.iter().map(|label| (label.clone(), None)).collect();
        let mut queue: VecDeque<Label> = from.iter().cloned().collect();
        while let Some(label) = queue.pop_front() {
            if to.contains(&label) {
                let path =
                    std::iter::successors(Some(label), |label| came_from.get(label).cloned().flatten());
                return path.collect();
            }
            for named in self.named(&label) {
                came_from.entry(named.clone()).or_insert_with(|| {
                    queue.push_back(named);
                    Some(label.clone())
                });
            }
        }
        Set::new()
    }
}

fn number(expression: &Expression<'_>) -> Result<usize, QueryError> {
    let wrong = || QueryError::new(expression.span(), "Expected a depth");
    match expression {
        Expression::Word { text, .. } => text.parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}
