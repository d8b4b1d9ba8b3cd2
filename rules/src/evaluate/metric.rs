//! Metrics: the measurement and the limits that a node in `gate { … }` declares.
//!
//! A metric is a file in `metrics/` and a row of [`crate::evaluate::metrics::METRICS`]. The rule `gate` plans
//! its actions; the verdict's action calls it to judge their results. A metric does not run a model itself:
//! see [`crate::evaluate::measure`].

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

/// A metric; a value of this type is one node of a gate with its limits.
///
/// The value enters the key of the verdict's action through its content hash. So it holds everything that the
/// verdict depends on besides the results, and nothing else.
pub(crate) trait Metric: ContentHash + Send + Sync + Sized + 'static {
    /// The node in `gate { … }`, and how often it may occur.
    const SCHEMA: ChildSchema;

    /// Lets workers create the measuring action, if they can run it.
    const REMOTE: Option<RemoteKind> = None;

    /// Reads a node and plans the actions that measure it: on the quantized model, on the unquantized one, or
    /// on both in one action.
    ///
    /// # Errors
    /// Every error in the node.
    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>>;

    /// Compares results with the limits of the node and returns one verdict line for each number.
    ///
    /// # Errors
    /// Fails if a result cannot be read.
    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError>;
}

/// A node of a gate with the actions that measure it.
pub(crate) struct Plan<M> {
    /// The limits of the node.
    pub(crate) metric: M,
    /// The results that [`Metric::judge`] reads, in this order.
    pub(crate) results: Vec<Artifact>,
    /// The dataset that must not overlap with the calibration text, if there is one.
    pub(crate) held_out: Option<DatasetInfo>,
}

/// A plan of any metric.
pub(crate) type AnyPlan = Plan<Box<dyn Limit>>;

/// The results of one node's actions: a window into the inputs of the verdict's action.
pub(crate) struct Results<'a> {
    /// The action's context.
    pub(crate) ctx: &'a dyn ActionContext,
    /// Index of the first result.
    pub(crate) first: usize,
}

impl Results<'_> {
    /// Reads a result that is a single number, as [`crate::evaluate::measure`] writes it.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub(crate) fn measurement(&self, index: usize) -> Result<Measurement, ActionError> {
        self.found(index)
    }

    /// Reads a result that an action wrote as JSON.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub(crate) fn found<T: DeserializeOwned>(&self, index: usize) -> Result<T, ActionError> {
        serde_json::from_slice(&self.content(index)?.to_contiguous()).map_err(ActionError::failed)
    }

    /// Reads a result.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub(crate) fn content(&self, index: usize) -> Result<Content, ActionError> {
        self.ctx.input(self.first + index)
    }

    /// Returns the length of a result without reading it.
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
    /// Returns the row of a metric.
    pub(crate) const fn of<M: Metric>() -> Self {
        Self { schema: M::SCHEMA, remote: M::REMOTE, plan: plan::<M> }
    }
}

fn plan<M: Metric>(gate: &GatedModel<'_>, node: &Record) -> Result<AnyPlan, Vec<RuleError>> {
    let Plan { metric, results, held_out } = M::plan(gate, node)?;
    Ok(Plan { metric: Box::new(metric), results, held_out })
}

/// A node of any metric, as the verdict uses it.
pub(crate) trait Limit: ContentHash + Send + Sync {
    /// Calls [`Metric::judge`].
    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError>;
}

impl<M: Metric> Limit for M {
    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        Metric::judge(self, results)
    }
}
