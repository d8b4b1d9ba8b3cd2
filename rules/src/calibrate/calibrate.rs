//! `calibrate`: a statistic of the inputs of each matrix of a model, computed on a calibration text.
//!
//! Besides the file, the action writes the numbers of each matrix to a separate output, so that an encoded
//! tensor depends on its own numbers and not on the whole file; the file is a head followed by these numbers.
//! An [`imatrix`] is the statistic `diagonal` in the layout of llama.cpp, so a `gguf` accepts either.

use std::collections::BTreeMap;

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};
use mc_ir::work::Work;
use mc_runtime::statistics;
use mc_runtime::statistics::diagonal::DIAGONAL;
use mc_runtime::statistics::statistic::Statistic;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::remote_kind::{RemoteKind, last};
use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::{label, provider, text};
use crate::calibrate::calibration::{Calibration, context_of, text_of};
use crate::calibrate::imatrix;
use crate::calibrate::matrices::{matrices, row_output, rows};
use crate::calibrate::statistic_file::{StatisticFile, by_version, number_bytes, version_of};
use crate::calibrate::statistic_info::StatisticInfo;
use crate::inference::model_work;
use crate::source::model_info::ModelInfo;

/// The rule's name.
pub const NAME: &str = "calibrate";

/// The output that holds the whole statistic.
const FILE: &str = "statistic.safetensors";

/// The `calibrate` rule.
pub struct Calibrate;

static MODEL: NodeSchema =
    NodeSchema::leaf("model", "The checkpoint or merge whose matrices are measured.", ValueKind::Label);
static CALIBRATION: NodeSchema = NodeSchema::leaf("calibration", "The text to use.", ValueKind::Label);
static STATISTIC: NodeSchema = NodeSchema::leaf(
    "statistic",
    "The statistic of the inputs of each matrix: the mean square of each column, the products of all pairs of columns, \
     or the largest magnitude of each column.",
    ValueKind::OneOf(statistics::names),
);
static CONTEXT: NodeSchema = NodeSchema::leaf(
    "context",
    "Tokens per chunk; 512, or the model's context when that is shorter.",
    ValueKind::Integer,
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A statistic of the inputs of each matrix of a model.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &MODEL, occurs: Occurs::Once },
        ChildSchema { node: &CALIBRATION, occurs: Occurs::Once },
        ChildSchema { node: &STATISTIC, occurs: Occurs::Once },
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Calibrate {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let (model, data) = label(record, "model").zip(label(record, "calibration")).ok_or_else(Vec::new)?;
        let statistic = text(record, "statistic").and_then(statistics::by_name).ok_or_else(Vec::new)?;
        let model: ModelInfo = provider(ctx, &model, "a `checkpoint` or a `merge`")?;
        let data = text_of(ctx, &data, "calibrate::calibration")?;
        let n_ctx = context_of(record, &model, "calibrate::context")?;
        let matrices = matrices(&model);
        let (calibration, inputs) = Calibration::new(&model, &matrices, n_ctx, &data);
        let node = target_action(ctx.label(), record, Compute { calibration, statistic }, inputs);
        let (name, rows) = (ctx.label().name.clone(), rows(&node, &matrices));
        let mut providers = if *statistic == DIAGONAL {
            imatrix::provided(name, rows, Some(data))
        } else {
            Providers::default().with(StatisticInfo { name, statistic, rows, calibration: Some(data) })
        };
        providers.outputs.push((FILE.to_owned(), node.artifact(FILE)));
        Ok(providers)
    }
}

/// Runs the model over the calibration text.
struct Compute {
    calibration: Calibration,
    statistic: &'static Statistic,
}

/// Stands for the text's name in the messages of a worker, which does not know the real one.
const ITS_INPUT: &str = "its input";

/// The parameter that names the statistic; it follows those of the calibration.
const KIND: &str = "statistic";

/// Lets a worker create the action from its parameters.
pub(crate) const REMOTE: RemoteKind = RemoteKind {
    kind: ActionKind { name: "calibrate", version: 1 },
    make: |parameters| {
        let (rest, statistic) = last(parameters, KIND)?;
        let statistic = by_version(statistic)
            .ok_or_else(|| format!("`{statistic}` is not a statistic that this mc computes"))?;
        Ok(Box::new(Compute { calibration: Calibration::of_parameters(rest, ITS_INPUT)?, statistic }))
    },
};

impl Action for Compute {
    fn kind(&self) -> ActionKind {
        REMOTE.kind
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = self.calibration.parameters();
        parameters.push((KIND.to_owned(), version_of(self.statistic)));
        parameters
    }

    fn outputs(&self) -> Vec<String> {
        let rows = self.calibration.measured.iter().map(|tensor| row_output(*tensor));
        [FILE.to_owned()].into_iter().chain(rows).collect()
    }

    fn describe(&self) -> String {
        format!("{} on {}", self.statistic, self.calibration.data)
    }

    fn work(&self, sizes: &[u64]) -> Work {
        model_work::reading(&format!("{} {}", REMOTE.kind.name, self.statistic), sizes)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let what = format!("Statistic `{}`", self.statistic);
        let measured = self.calibration.compute(ctx, &what, |model, ids, options, cancellation| {
            statistics::measure(self.statistic, model, ids, options, cancellation)
        })?;
        let is_wanted = |tensor: &_| self.calibration.measured.contains(tensor);
        let matrices: BTreeMap<_, _> =
            measured.matrices.into_iter().filter(|(tensor, _)| is_wanted(tensor)).collect();
        let file = StatisticFile {
            statistic: self.statistic,
            n_chunks: measured.n_chunks as u64,
            chunk_len: self.calibration.n_ctx() as u64,
            matrices,
        };
        let mut parts = vec![write_bytes(ctx, &file.head())?];
        let mut outputs = Outputs::new();
        for tensor in &self.calibration.measured {
            let measured = file.matrices.get(tensor);
            let bytes = measured.map(|measured| number_bytes(&measured.values)).unwrap_or_default();
            let blob = write_bytes(ctx, &bytes)?;
            parts.extend(measured.map(|_| blob));
            outputs.insert(row_output(*tensor), Output::File(blob));
        }
        outputs.insert(FILE.to_owned(), Output::Composite(parts));
        Ok(outputs)
    }
}
