//! Asks the rules what targets mean.
//!
//! *Incremental:* a target is analysed again when its own attributes, a file that its rule read, or what one of its
//! dependencies provides has changed. Where it stands in its file is no part of it: faults remember their place by
//! number, and [`crate::diagnostic`] looks the span up.

use std::collections::BTreeSet;
use std::sync::Arc;

use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::DependencyFailed;
use mc_ir::rule_error::RuleError;
use mc_ir::target::Target;

use crate::context::Context;
use crate::db::{Db, rule};
use crate::keys::{TargetKey, target_key};
use crate::resolve::{Resolution, resolve, resolve_label};
use crate::walk::walk;

/// What came of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// What it provides, unless it or something that it needs has faults.
    pub providers: Result<Arc<Providers>, DependencyFailed>,
    /// Its own faults, as far as its rule found them; those of its dependencies are theirs.
    pub rule_errors: Vec<RuleError>,
}

impl Analysis {
    fn failed(rule_errors: Vec<RuleError>) -> Arc<Self> {
        Arc::new(Self { providers: Err(DependencyFailed), rule_errors })
    }
}

/// Analyses a target and everything that it needs.
///
/// A target that does not exist, or hangs on a cycle, fails without faults of its own: [`crate::check`] says why.
pub fn analyze(db: &dyn Db, label: &Label) -> Arc<Analysis> {
    let walk = walk(db, [label]);
    let mut last = Analysis::failed(Vec::new());
    for next in &walk.order {
        let analysis = analyze_target(db, target_key(db, next));
        if next == label {
            last = analysis;
        }
    }
    last
}

/// Analyses one target. Ask in the order of a [`walk`] only, which leaves out cycles and makes recursion shallow.
#[salsa::tracked(returns(clone))]
pub(crate) fn analyze_target<'db>(db: &'db dyn Db, key: TargetKey<'db>) -> Arc<Analysis> {
    let Resolution::Found(target) = resolve(db, key) else {
        return Analysis::failed(Vec::new());
    };
    let mut rule_errors = Vec::new();
    let Some(rule) = rule(db, target.rule) else {
        // Only an expansion can name such a rule: what was written has been checked against the table.
        let message = format!(
            "`{}` expands into a target of the rule `{}`, which does not exist",
            target.label, target.rule
        );
        rule_errors.push(RuleError::new(target.record.place, "analysis::rule", message));
        return Analysis::failed(rule_errors);
    };
    let context = Context::new(db, &target, providers_of);
    let result = rule.analyze(&context);
    rule_errors.extend(context.into_rule_errors());
    match result {
        Ok(providers) if rule_errors.is_empty() && !has_unknown_labels(db, &target) => {
            Arc::new(Analysis { providers: Ok(Arc::new(providers)), rule_errors })
        }
        Ok(_) => Analysis::failed(rule_errors),
        Err(found) => {
            // A source that may not be used is told once, where the rule says it.
            let reported: BTreeSet<&str> =
                found.iter().map(|rule_error| rule_error.message.as_str()).collect();
            rule_errors.retain(|rule_error| !reported.contains(rule_error.message.as_str()));
            rule_errors.extend(found);
            Analysis::failed(rule_errors)
        }
    }
}

/// What a dependency provides, for the context of a target that names it.
fn providers_of(db: &dyn Db, label: &Label) -> Result<Arc<Providers>, DependencyFailed> {
    analyze_target(db, target_key(db, label)).providers.clone()
}

/// Tells whether the target names a target that does not exist; [`crate::check`] says which.
fn has_unknown_labels(db: &dyn Db, target: &Target) -> bool {
    let labels = target.record.labels();
    labels.iter().any(|placed| matches!(resolve_label(db, &placed.value), Resolution::Unknown(_)))
}
