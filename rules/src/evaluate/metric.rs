//! Metrics: what a node in `gate { … }` measures, and what it allows.
//!
//! A metric is a file in `metrics/` and a row of [`crate::evaluate::metrics::METRICS`]. The rule `gate` plans its
//! actions; the action of the verdict lets it judge their results. A metric runs no model itself: see
//! [`crate::evaluate::measure`].

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, Artifact, Content};
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::ChildSchema;
use serde::de::DeserializeOwned;

use crate::action::remote_kind::RemoteKind;
use crate::evaluate::gated_model::GatedModel;
use crate::evaluate::measurement::Measurement;
use crate::evaluate::verdict::Check;
use crate::source::dataset::DatasetInfo;

/// A metric; a value of it is one node of a gate, with what the node allows.
///
/// The value is a parameter of the verdict's action, as its content hash. So it holds whatever the verdict depends
/// on besides the results, and nothing else.
pub(crate) trait Metric: ContentHash + Send + Sync + Sized + 'static {
    /// The node in `gate { … }`, and how often it may stand there.
    const SCHEMA: ChildSchema;

    /// How workers make the measuring action, where they can run it.
    const REMOTE: Option<RemoteKind> = None;

    /// Reads a node and plans the actions that measure it: on the quantized model, on the unquantized one, or on both
    /// in one action.
    ///
    /// # Errors
    /// Everything that is wrong with the node.
    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>>;

    /// Compares results with what the node allows: a line of the verdict for each number.
    ///
    /// # Errors
    /// When a result cannot be read.
    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError>;
}

/// A node of a gate with the actions that measure it.
pub(crate) struct Plan<M> {
    /// What the node allows.
    pub(crate) metric: M,
    /// What [`Metric::judge`] reads, in this order.
    pub(crate) results: Vec<Artifact>,
    /// The dataset that the model must not have been calibrated on, if there is one.
    pub(crate) held_out: Option<DatasetInfo>,
}

/// A plan of any metric.
pub(crate) type AnyPlan = Plan<Box<dyn Limit>>;

/// The results of one node's actions: inputs of the verdict's action, of which this is a window.
pub(crate) struct Results<'a> {
    /// The action's context.
    pub(crate) ctx: &'a dyn ActionContext,
    /// The number of the first of them.
    pub(crate) first: usize,
}

impl Results<'_> {
    /// Reads a result as what [`crate::evaluate::measure`] writes where that is one number.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn measurement(&self, index: usize) -> Result<Measurement, ActionError> {
        self.found(index)
    }

    /// Reads a result as what an action wrote in JSON.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn found<T: DeserializeOwned>(&self, index: usize) -> Result<T, ActionError> {
        serde_json::from_slice(&self.content(index)?.to_contiguous()).map_err(ActionError::failed)
    }

    /// Reads a result.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn content(&self, index: usize) -> Result<Content, ActionError> {
        self.ctx.input(self.first + index)
    }

    /// Returns the length of a result, which is not read for that.
    pub(crate) fn n_bytes(&self, index: usize) -> u64 {
        self.ctx.input_digest(self.first + index).n_bytes()
    }
}

/// A row of the table of metrics.
pub(crate) struct Row {
    /// The metric's [`Metric::SCHEMA`].
    pub(crate) schema: ChildSchema,
    /// The metric's [`Metric::REMOTE`].
    pub(crate) remote: Option<RemoteKind>,
    /// The metric's [`Metric::plan`].
    pub(crate) plan: fn(&GatedModel<'_>, &Record) -> Result<AnyPlan, Vec<RuleError>>,
}

impl Row {
    /// The row of a metric.
    pub(crate) const fn of<M: Metric>() -> Self {
        Self { schema: M::SCHEMA, remote: M::REMOTE, plan: plan::<M> }
    }
}

fn plan<M: Metric>(gate: &GatedModel<'_>, node: &Record) -> Result<AnyPlan, Vec<RuleError>> {
    let Plan { metric, results, held_out } = M::plan(gate, node)?;
    Ok(Plan { metric: Box::new(metric), results, held_out })
}

/// A node of any metric, as the verdict sees it.
pub(crate) trait Limit: ContentHash + Send + Sync {
    /// Does what [`Metric::judge`] does.
    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError>;
}

impl<M: Metric> Limit for M {
    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        Metric::judge(self, results)
    }
}
