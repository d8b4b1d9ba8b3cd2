//! `litert`: a checkpoint, merge or blend as a bundle for LiteRT-LM, or as a graph for LiteRT.

use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};
use mc_litert::exporter::LitertExporter;
use mc_litert::settings;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::export::model_node::{MODEL_NAME, WRITTEN_MODEL};
use crate::export::planned_export::{ALLOW, CONTEXT, IMATRIX, PlannedExport, SOLVER};
use crate::quantize::encoding_rules;

/// The rule's name.
pub const NAME: &str = mc_litert::exporter::NAME;

/// The `litert` rule.
pub struct Litert;

static EXPORT: PlannedExport =
    PlannedExport { exporter: &LitertExporter, options: &[&CONTAINER, &PREFILL, &ACTIVATION_BITS] };

/// The words of `quantize` and `tensor-type`.
pub(crate) fn words() -> Vec<&'static str> {
    encoding_rules::words(EXPORT.exporter)
}

static QUANTIZE: NodeSchema = encoding_rules::quantize(words);
static TENSOR_TYPE: NodeSchema = encoding_rules::tensor_type(words);
static OUTPUT_TYPE: NodeSchema = encoding_rules::output_type(words);
static EMBEDDING_TYPE: NodeSchema = encoding_rules::embedding_type(words);

/// The kind of file.
pub(crate) static CONTAINER: NodeSchema = NodeSchema::leaf(
    settings::CONTAINER,
    "The kind of file: `litertlm`, a bundle with tokenizer and chat template for LiteRT-LM (the default), or `tflite`, the graph alone.",
    ValueKind::OneOf(settings::containers),
);

/// The lengths of prompts.
pub(crate) static PREFILL: NodeSchema = NodeSchema {
    name: settings::PREFILL,
    doc: "Numbers of tokens that the graph reads at once; by default 16 and 128. A prompt is cut into the largest that fit.",
    arguments: Arguments::Many(ValueKind::Integer),
    properties: &[],
    children: &[],
};

/// The precision of activations.
pub(crate) static ACTIVATION_BITS: NodeSchema = NodeSchema::leaf(
    settings::ACTIVATION_BITS,
    "Precision of activations at quantized matrices: 16, or 8, which reads prompts in half the time but loses accuracy; by default 16.",
    ValueKind::Integer,
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A model as a bundle for LiteRT-LM.",
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
        ChildSchema { node: &CONTAINER, occurs: Occurs::Optional },
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &PREFILL, occurs: Occurs::Optional },
        ChildSchema { node: &ACTIVATION_BITS, occurs: Occurs::Optional },
        ChildSchema { node: &ALLOW, occurs: Occurs::Optional },
        ChildSchema { node: &MODEL_NAME, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Litert {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        EXPORT.analyze(ctx)
    }
}
