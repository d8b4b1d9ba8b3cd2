//! `mlx`: a checkpoint or merge as a folder for MLX.

use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};
use mc_mlx::exporter::MlxExporter;
use mc_mlx::{quantizations, settings};

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::export::model_node::{MODEL_NAME, WRITTEN_MODEL};
use crate::export::planned_export::{ALLOW, IMATRIX, PlannedExport, SOLVER};
use crate::quantize::encoding_rules;

/// The rule's name.
pub(crate) const NAME: &str = mc_mlx::exporter::NAME;

/// The `mlx` rule.
pub(crate) struct Mlx;

static EXPORT: PlannedExport = PlannedExport { exporter: &MlxExporter, options: &[&DTYPE, &SHORT_CONTEXT] };

/// The words of `quantize` and `tensor-type`.
pub(crate) fn words() -> Vec<&'static str> {
    encoding_rules::words(EXPORT.exporter)
}

static QUANTIZE: NodeSchema = encoding_rules::quantize(words);
pub(crate) static TENSOR_TYPE: NodeSchema = encoding_rules::tensor_type(words);
pub(crate) static OUTPUT_TYPE: NodeSchema = encoding_rules::output_type(words);
pub(crate) static EMBEDDING_TYPE: NodeSchema = encoding_rules::embedding_type(words);

/// The type of everything that is not quantized.
pub(crate) static DTYPE: NodeSchema = NodeSchema::leaf(
    settings::DTYPE,
    "The type of all other tensors, and of scales and biases; by default that of the checkpoint.",
    ValueKind::OneOf(quantizations::float_words),
);

/// The statement that conversations are short.
pub(crate) static SHORT_CONTEXT: NodeSchema = NodeSchema::leaf(
    settings::SHORT_CONTEXT,
    "States that conversations stay within the context for which mlx-lm computes the model as it was trained.",
    ValueKind::Bool,
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A model as a folder for MLX.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &WRITTEN_MODEL, occurs: Occurs::Once },
        ChildSchema { node: &QUANTIZE, occurs: Occurs::Optional },
        ChildSchema { node: &TENSOR_TYPE, occurs: Occurs::Any },
        ChildSchema { node: &OUTPUT_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &EMBEDDING_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &IMATRIX, occurs: Occurs::Optional },
        ChildSchema { node: &SOLVER, occurs: Occurs::Optional },
        ChildSchema { node: &DTYPE, occurs: Occurs::Optional },
        ChildSchema { node: &SHORT_CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &ALLOW, occurs: Occurs::Optional },
        ChildSchema { node: &MODEL_NAME, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Mlx {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        EXPORT.analyze(ctx)
    }
}
