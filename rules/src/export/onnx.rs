//! `onnx`: a model as a folder for ONNX Runtime GenAI.

use mc_exporter::exporter::Exporter;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};
use mc_onnx::exporter::OnnxExporter;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::export::model_node::{MODEL_NAME, WRITTEN_MODEL};
use crate::export::planned_export::{ALLOW, CONTEXT, IMATRIX, PlannedExport, SOLVER};
use crate::quantize::encoding_rules;

/// The rule's name.
pub const NAME: &str = mc_onnx::exporter::NAME;

/// The `onnx` rule.
pub struct Onnx;

static EXPORTER: &dyn Exporter = &OnnxExporter;

static EXPORT: PlannedExport =
    PlannedExport { exporter: EXPORTER, options: &[&ACTIVATIONS, &ACCURACY_LEVEL] };

/// The words of `quantize`.
pub(crate) fn words() -> Vec<&'static str> {
    encoding_rules::words(EXPORTER)
}

static QUANTIZE: NodeSchema = encoding_rules::quantize(words);
static TENSOR_TYPE: NodeSchema = encoding_rules::tensor_type(words);
static OUTPUT_TYPE: NodeSchema = encoding_rules::output_type(words);
static EMBEDDING_TYPE: NodeSchema = encoding_rules::embedding_type(words);

/// The type of activations; for this rule and for `model`.
pub(crate) static ACTIVATIONS: NodeSchema = NodeSchema::leaf(
    mc_onnx::exporter::ACTIVATIONS,
    "Type of activations and scales; by default `f16` with `quantize \"f16\"`, otherwise `f32`, which CPUs compute fastest.",
    ValueKind::OneOf(mc_onnx::exporter::activations),
);

/// The precision of products with quantized matrices; for this rule and for `model`.
pub(crate) static ACCURACY_LEVEL: NodeSchema = NodeSchema::leaf(
    mc_onnx::exporter::ACCURACY_LEVEL,
    "Precision of products with quantized matrices: 0 computes in 32-bit floats, 4 quantizes activations to 8 bits, which is faster; by default 0.",
    ValueKind::Integer,
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A model as a folder for ONNX Runtime GenAI.",
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
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &ACTIVATIONS, occurs: Occurs::Optional },
        ChildSchema { node: &ACCURACY_LEVEL, occurs: Occurs::Optional },
        ChildSchema { node: &ALLOW, occurs: Occurs::Any },
        ChildSchema { node: &MODEL_NAME, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Onnx {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        EXPORT.analyze(ctx)
    }
}
