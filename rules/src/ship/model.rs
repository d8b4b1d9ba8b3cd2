//! `model`: a short form that declares everything to ship. It has no actions, but expands into other targets:
//!
//! | target | rule | when |
//! |---|---|---|
//! | `NAME.merge` | `merge` | there are adapters |
//! | `NAME.imatrix` | `imatrix` | there is calibration |
//! | `NAME.FORMAT` | the format's rule | always |
//! | `NAME.gate` | `gate` | there is a `gate` |
//! | `NAME` | `bundle` | always |
//!
//! With several formats, each has a bundle `NAME-FORMAT` with its parts, and `NAME` is the `group` of these bundles. The
//! merge and the imatrix are shared. `ship::model_expansion` does the work.

use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::target::Target;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::evaluate::metrics::NODES;
use crate::export::gguf_split::MAX_FILE_SIZE;
use crate::export::litert;
use crate::export::mlx;
use crate::export::model_node::MODEL_NAME;
use crate::export::onnx;
use crate::export::planned_export::{ALLOW, CONTEXT, SOLVER};
use crate::quantize::{recipe_names, type_rules};
use crate::ship::bundle;
use crate::ship::formats;
use crate::ship::layout::LAYOUT;
use crate::ship::model_expansion::Expansion;
use crate::transform::merge;
use crate::transform::requantize::REQUANTIZE;

/// The `model` rule.
pub struct Model;

fn calibrated_models() -> Vec<&'static str> {
    vec!["base", "merged"]
}

static BASE: NodeSchema = NodeSchema {
    name: "base",
    doc: "The checkpoint.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[REQUANTIZE],
    children: &[],
};

static CALIBRATION: NodeSchema = NodeSchema {
    name: "calibration",
    doc: "The dataset from which the imatrix is computed.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[
        PropertySchema {
            name: "from",
            value: ValueKind::OneOf(calibrated_models),
            presence: Presence::Default("base"),
            doc: "The measured model: an imatrix of the base serves every adapter, one of `merged` is specific to it.",
        },
        PropertySchema {
            name: "context",
            value: ValueKind::Integer,
            presence: Presence::Optional,
            doc: "Tokens per chunk; 512, or the model's context if it is shorter.",
        },
    ],
    children: &[],
};

static DEVICE: NodeSchema = NodeSchema {
    name: "device",
    doc: "The device to which it ships; any by default.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[],
    children: &[],
};

static GATE: NodeSchema = NodeSchema {
    name: "gate",
    doc: "Conditions that must hold before anything is published.",
    arguments: Arguments::None,
    properties: &[],
    children: &NODES,
};

/// The encoding, in the words of the format.
static QUANTIZE: NodeSchema = NodeSchema::leaf(
    "quantize",
    "How the weights are stored, in a word of the format; a word that only one format has selects that format.",
    ValueKind::Advised(formats::quantizations, recipe_names::advice),
);

static TENSOR_TYPE: NodeSchema = NodeSchema {
    name: type_rules::TENSOR_TYPE.name,
    doc: "The type of the tensors whose names match a regular expression: the names of GGUF, or those of the checkpoint in other formats.",
    arguments: Arguments::Two(ValueKind::Text, ValueKind::OneOf(formats::types)),
    properties: &[],
    children: &[],
};

static OUTPUT_TYPE: NodeSchema = NodeSchema {
    arguments: Arguments::One(ValueKind::OneOf(formats::types)),
    ..NodeSchema::leaf(
        "output-type",
        "The type of the output; in a model without an output of its own, of the embedding.",
        ValueKind::Text,
    )
};

static EMBEDDING_TYPE: NodeSchema =
    NodeSchema::leaf("embedding-type", "The type of the token embedding.", ValueKind::OneOf(formats::types));

/// A format with its own attributes, which precede those of the model.
static FORMAT: NodeSchema = NodeSchema {
    name: "format",
    doc: "A format to write; by default the one that has the word of `quantize`. Several formats make several bundles.",
    arguments: Arguments::One(ValueKind::OneOf(formats::names)),
    properties: &[],
    children: &[
        ChildSchema { node: &QUANTIZE, occurs: Occurs::Optional },
        ChildSchema { node: &TENSOR_TYPE, occurs: Occurs::Any },
        ChildSchema { node: &type_rules::TENSOR_TYPES, occurs: Occurs::Optional },
        ChildSchema { node: &OUTPUT_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &EMBEDDING_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &type_rules::PURE, occurs: Occurs::Optional },
        ChildSchema { node: &MAX_FILE_SIZE, occurs: Occurs::Optional },
        ChildSchema { node: &SOLVER, occurs: Occurs::Optional },
        ChildSchema { node: &ALLOW, occurs: Occurs::Any },
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &mlx::DTYPE, occurs: Occurs::Optional },
        ChildSchema { node: &mlx::SHORT_CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &onnx::ACTIVATIONS, occurs: Occurs::Optional },
        ChildSchema { node: &onnx::ACCURACY_LEVEL, occurs: Occurs::Optional },
        ChildSchema { node: &litert::CONTAINER, occurs: Occurs::Optional },
        ChildSchema { node: &litert::PREFILL, occurs: Occurs::Optional },
        ChildSchema { node: &litert::ACTIVATION_BITS, occurs: Occurs::Optional },
    ],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: "model",
    doc: "A model that ships: base, adapters, quantization, gates and bundle in one node.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &BASE, occurs: Occurs::Once },
        ChildSchema { node: &merge::ADAPTER, occurs: Occurs::Any },
        ChildSchema { node: &CALIBRATION, occurs: Occurs::Optional },
        ChildSchema { node: &FORMAT, occurs: Occurs::Any },
        ChildSchema { node: &QUANTIZE, occurs: Occurs::Optional },
        ChildSchema { node: &TENSOR_TYPE, occurs: Occurs::Any },
        ChildSchema { node: &type_rules::TENSOR_TYPES, occurs: Occurs::Optional },
        ChildSchema { node: &OUTPUT_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &EMBEDDING_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &type_rules::PURE, occurs: Occurs::Optional },
        ChildSchema { node: &SOLVER, occurs: Occurs::Optional },
        ChildSchema { node: &ALLOW, occurs: Occurs::Any },
        ChildSchema { node: &DEVICE, occurs: Occurs::Optional },
        ChildSchema { node: &GATE, occurs: Occurs::Optional },
        ChildSchema { node: &bundle::CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &bundle::VERSION, occurs: Occurs::Optional },
        ChildSchema { node: &LAYOUT, occurs: Occurs::Optional },
        ChildSchema { node: &MODEL_NAME, occurs: Occurs::Optional },
        ChildSchema { node: &MAX_FILE_SIZE, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Model {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn expand(&self, target: Target) -> Result<Vec<Target>, Vec<RuleError>> {
        Expansion::new(target).run()
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        // `expand` replaces every `model`, so an analysis would mean that the caller forgot to expand.
        Err(vec![RuleError::new(ctx.record().place, "model::expand", "A `model` is analyzed as its parts")])
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::attribute::{Place, Placed, Record, Value};
    use mc_ir::label::{Label, PackageId};

    use super::*;
    use crate::attributes::child;
    use crate::ship::model_expansion::record_of;

    fn model(children: &[(&str, Vec<Record>)]) -> Vec<Target> {
        let label = Label::new(PackageId("models".to_owned()), "app");
        let record = record_of(Place(0), children);
        Model.expand(Target { label, rule: "model", record, expanded_from: None }).unwrap()
    }

    fn label_child(name: &str) -> Vec<Record> {
        let label = Label::new(PackageId("models".to_owned()), name);
        vec![child(Place(1), Value::Label(label))]
    }

    fn quantize() -> Vec<Record> {
        vec![child(Place(2), Value::Text("Q8_0".to_owned()))]
    }

    fn names(targets: &[Target]) -> Vec<String> {
        targets.iter().map(|target| format!("{} {}", target.rule, target.label.name)).collect()
    }

    #[test]
    fn the_smallest_model_is_a_gguf_in_a_bundle() {
        let targets = model(&[("base", label_child("base")), ("quantize", quantize())]);
        assert_eq!(names(&targets), ["gguf app.gguf", "bundle app"]);
        let gguf_model = targets[0].record.value("model").unwrap().value.as_label().unwrap();
        assert_eq!(gguf_model.name, "base");
    }

    #[test]
    fn exec_properties_are_passed_to_every_part_with_remote_actions() {
        let wanted = vec![child(Place(4), Value::Text("gpu".to_owned()))];
        let targets = model(&[
            ("base", label_child("base")),
            ("quantize", quantize()),
            ("calibration", label_child("calibration")),
            ("gate", vec![Record::new(Place(3))]),
            ("exec-property", wanted.clone()),
        ]);
        let with: Vec<&str> = targets
            .iter()
            .filter(|target| target.record.children("exec-property") == wanted)
            .map(|target| target.rule)
            .collect();
        assert_eq!(with, ["imatrix", "gguf", "gate"]);
        assert!(targets.last().unwrap().record.children("exec-property").is_empty());
    }

    #[test]
    fn tags_are_passed_to_every_part_with_actions() {
        let tags = vec![child(Place(4), Value::Text("no-remote".to_owned()))];
        let targets = model(&[
            ("base", label_child("base")),
            ("adapter", label_child("adapter")),
            ("quantize", quantize()),
            ("calibration", label_child("calibration")),
            ("gate", vec![Record::new(Place(3))]),
            ("tags", tags.clone()),
        ]);
        let with = targets.iter().filter(|target| target.record.children("tags") == tags);
        assert_eq!(with.map(|target| target.rule).collect::<Vec<_>>(), ["imatrix", "gguf", "gate", "bundle"]);
    }

    #[test]
    fn calibration_reads_the_base_by_default() {
        let calibration = |from: &str| {
            let mut record = label_child("calibration").remove(0);
            let value = Value::Text(from.to_owned());
            record.properties.insert("from".to_owned(), Placed { value, place: Place(3) });
            vec![record]
        };
        let model_of = |from| {
            let targets = model(&[
                ("base", label_child("base")),
                ("adapter", label_child("adapter")),
                ("quantize", quantize()),
                ("calibration", calibration(from)),
            ]);
            assert_eq!(
                names(&targets),
                ["merge app.merge", "imatrix app.imatrix", "gguf app.gguf", "bundle app"]
            );
            targets[1].record.value("model").unwrap().value.as_label().unwrap().name.clone()
        };
        assert_eq!(model_of("base"), "base");
        assert_eq!(model_of("merged"), "app.merge");
    }
}
