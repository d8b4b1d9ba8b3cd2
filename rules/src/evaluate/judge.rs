//! The action that computes the verdict: it compares results with limits.

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, OutputReader, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::Parameters;

use crate::evaluate::metric::{AnyPlan, Limit, Results};
use crate::evaluate::verdict::Verdict;

/// The output that holds the verdict.
pub(crate) const VERDICT: &str = "verdict.json";

/// The verdict's action.
///
/// Its inputs are the results, in the order of the limits, then the leak checks. The leak checks only have to
/// succeed; their outputs are not read.
pub(crate) struct Judge {
    /// Each limit with its number of results.
    limits: Vec<(Box<dyn Limit>, usize)>,
}

impl Judge {
    /// Creates the action that judges these plans.
    pub(crate) fn new(plans: Vec<AnyPlan>) -> Self {
        Self { limits: plans.into_iter().map(|plan| (plan.metric, plan.results.len())).collect() }
    }
}

impl Action for Judge {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "verdict", version: 4 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let limits = self
            .limits
            .iter()
            .fold(Parameters::new(), |parameters, (limit, _)| parameters.content("limit", limit));
        limits.into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        vec![VERDICT.to_owned()]
    }

    fn reader(&self, _: &str) -> Option<OutputReader> {
        Some(|bytes| Verdict::from_json(bytes).map(drop).map_err(|error| error.to_string()))
    }

    fn describe(&self) -> String {
        format!("{} checks", self.limits.len())
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let mut first = 0;
        let mut checks = Vec::new();
        for (limit, n_results) in &self.limits {
            checks.extend(limit.judge(&Results { ctx, first })?);
            first += n_results;
        }
        let blob = write_bytes(ctx, Verdict::new(checks).to_json().as_bytes())?;
        Ok(Outputs::from([(VERDICT.to_owned(), Output::File(blob))]))
    }
}
