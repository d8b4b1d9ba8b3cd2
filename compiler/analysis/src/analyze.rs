//! Runs the rules: computes providers and actions of targets.
//!
//! *Incremental:* a target is analyzed again if its own attributes, a file that its rule read, or the providers of one
//! of its dependencies have changed. Its position in the file does not count: errors store their place as a number, and
//! [`crate::diagnostic`] looks up the span.

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

/// Result of analyzing one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Its providers, unless it or a dependency has errors.
    pub providers: Result<Arc<Providers>, DependencyFailed>,
    /// The errors that its own rule found; those of its dependencies are reported for them.
    pub rule_errors: Vec<RuleError>,
}

impl Analysis {
    fn failed(rule_errors: Vec<RuleError>) -> Arc<Self> {
        Arc::new(Self { providers: Err(DependencyFailed), rule_errors })
    }
}

/// Analyzes a target and all its dependencies.
///
/// A target that does not exist, or depends on a cycle, fails without errors of its own: [`crate::check`] reports the
/// reason.
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

/// Analyzes one target. Call it in the order of a [`walk`] only, which leaves out cycles and keeps recursion shallow.
#[salsa::tracked(returns(clone))]
pub(crate) fn analyze_target<'db>(db: &'db dyn Db, key: TargetKey<'db>) -> Arc<Analysis> {
    let Resolution::Found(target) = resolve(db, key) else {
        return Analysis::failed(Vec::new());
    };
    let mut rule_errors = Vec::new();
    let Some(rule) = rule(db, target.rule) else {
        // Only an expansion can name an unknown rule: written declarations have been checked against the table.
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
            // A forbidden source is reported once: by the rule, if it reported it.
            let reported: BTreeSet<&str> =
                found.iter().map(|rule_error| rule_error.message.as_str()).collect();
            rule_errors.retain(|rule_error| !reported.contains(rule_error.message.as_str()));
            rule_errors.extend(found);
            Analysis::failed(rule_errors)
        }
    }
}

/// The providers of a dependency, for the context of a target that names it.
fn providers_of(db: &dyn Db, label: &Label) -> Result<Arc<Providers>, DependencyFailed> {
    analyze_target(db, target_key(db, label)).providers.clone()
}

/// Returns true if the target names a target that does not exist; [`crate::check`] reports which.
fn has_unknown_labels(db: &dyn Db, target: &Target) -> bool {
    let labels = target.record.labels();
    labels.iter().any(|placed| matches!(resolve_label(db, &placed.value), Resolution::Unknown(_)))
}
