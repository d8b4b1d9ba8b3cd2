//! `model`: a short form that declares everything to ship. It has no actions, but expands into other targets:
//!
//! | target | rule | when |
//! |---|---|---|
//! | `NAME.merge` | `merge` | there are adapters |
//! | `NAME.imatrix` | `imatrix` | there is calibration |
//! | `NAME.gguf` | `gguf` | always |
//! | `NAME.gate` | `gate` | there is a `gate` |
//! | `NAME` | `bundle` | always |

use std::collections::BTreeMap;

use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::target::Target;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::attributes::child;
use crate::calibrate::imatrix;
use crate::evaluate::gate;
use crate::evaluate::metrics::NODES;
use crate::export::gguf;
use crate::export::gguf_split::MAX_FILE_SIZE;
use crate::export::model_node::MODEL_NAME;
use crate::quantize::type_rules;
use crate::ship::bundle;
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

static SCHEMA: NodeSchema = NodeSchema {
    name: "model",
    doc: "A model that ships: base, adapters, quantization, gates and bundle in one node.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &BASE, occurs: Occurs::Once },
        ChildSchema { node: &merge::ADAPTER, occurs: Occurs::Any },
        ChildSchema { node: &CALIBRATION, occurs: Occurs::Optional },
        ChildSchema { node: &gguf::QUANTIZE, occurs: Occurs::Once },
        ChildSchema { node: &type_rules::TENSOR_TYPE, occurs: Occurs::Any },
        ChildSchema { node: &type_rules::TENSOR_TYPES, occurs: Occurs::Optional },
        ChildSchema { node: &type_rules::OUTPUT_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &type_rules::EMBEDDING_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &type_rules::PURE, occurs: Occurs::Optional },
        ChildSchema { node: &DEVICE, occurs: Occurs::Optional },
        ChildSchema { node: &GATE, occurs: Occurs::Optional },
        ChildSchema { node: &bundle::CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &bundle::VERSION, occurs: Occurs::Optional },
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
        Ok(Expansion::new(target).run())
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        // `expand` replaces every `model`, so an analysis would mean that the caller forgot to expand.
        Err(vec![RuleError::new(ctx.record().place, "model::expand", "A `model` is analyzed as its parts")])
    }
}

struct Expansion {
    target: Target,
    made: Vec<Target>,
}

impl Expansion {
    fn new(target: Target) -> Self {
        Self { target, made: Vec::new() }
    }

    fn run(mut self) -> Vec<Target> {
        let place = self.target.record.place;
        let record = self.target.record.clone();
        let base = record.children("base").to_vec();
        let merged = if record.children("adapter").is_empty() {
            base.clone()
        } else {
            let children = [("base", base.clone()), ("adapter", record.children("adapter").to_vec())];
            vec![self.make("merge", merge::NAME, &children)]
        };
        let own = |schema: &NodeSchema| (schema.name, record.children(schema.name).to_vec());
        let of_steps = || [own(&EXEC_PROPERTY), own(&TAGS)];
        let mut gguf_children = vec![
            ("model", merged.clone()),
            ("quantize", record.children("quantize").to_vec()),
            ("model-name", record.children("model-name").to_vec()),
            (MAX_FILE_SIZE.name, record.children(MAX_FILE_SIZE.name).to_vec()),
        ];
        gguf_children.extend(of_steps());
        for schema in type_rules::ALL {
            gguf_children.push((schema.name, record.children(schema.name).to_vec()));
        }
        if let Some(calibration) = record.child("calibration") {
            let from = calibration.property("from").and_then(|from| from.value.as_text());
            let calibrated = if from == Some("merged") { merged } else { base };
            let mut dataset = Record::new(calibration.place);
            dataset.arguments.clone_from(&calibration.arguments);
            let mut children = vec![("model", calibrated), ("dataset", vec![dataset])];
            children.extend(of_steps());
            if let Some(context) = calibration.property("context") {
                children.push(("context", vec![child(context.place, context.value.clone())]));
            }
            let imatrix = self.make("imatrix", imatrix::NAME, &children);
            gguf_children.push(("imatrix", vec![imatrix]));
        }
        let gguf = self.make("gguf", gguf::NAME, &gguf_children);
        let mut bundle_children = vec![
            ("gguf", vec![gguf.clone()]),
            ("device", record.children("device").to_vec()),
            ("context", record.children("context").to_vec()),
            ("version", record.children("version").to_vec()),
            own(&TAGS),
        ];
        if let Some(gate) = record.child("gate") {
            let mut children = vec![("gguf", vec![gguf])];
            children.extend(of_steps());
            for metric in &NODES {
                children.push((metric.node.name, gate.children(metric.node.name).to_vec()));
            }
            bundle_children.push(("gate", vec![self.make("gate", gate::NAME, &children)]));
        }
        let bundle = record_of(place, &bundle_children);
        let label = self.target.label.clone();
        self.made.push(Target { label, rule: bundle::NAME, record: bundle, expanded_from: None });
        self.made
    }

    /// Adds a target `NAME.suffix` and returns a child node that names it.
    fn make(&mut self, suffix: &str, rule: &'static str, children: &[(&str, Vec<Record>)]) -> Record {
        let place = self.target.record.place;
        let label =
            Label::new(self.target.label.package.clone(), format!("{}.{suffix}", self.target.label.name));
        self.made.push(Target {
            label: label.clone(),
            rule,
            record: record_of(place, children),
            expanded_from: Some(self.target.label.clone()),
        });
        let mut record = Record::new(place);
        record.arguments.push(Placed { value: Value::Label(label), place });
        record
    }
}

fn record_of(place: Place, children: &[(&str, Vec<Record>)]) -> Record {
    let mut by_name = BTreeMap::new();
    for (name, records) in children {
        if !records.is_empty() {
            by_name.insert((*name).to_owned(), records.clone());
        }
    }
    Record { place, arguments: Vec::new(), properties: BTreeMap::new(), children: by_name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_ir::label::PackageId;

    fn model(children: &[(&str, Vec<Record>)]) -> Vec<Target> {
        let label = Label::new(PackageId("models".to_owned()), "app");
        let record = record_of(Place(0), children);
        Model.expand(Target { label, rule: "model", record, expanded_from: None }).unwrap()
    }

    fn label_child(name: &str) -> Vec<Record> {
        let label = Label::new(PackageId("models".to_owned()), name);
        vec![child(Place(1), Value::Label(label))]
    }

    fn names(targets: &[Target]) -> Vec<String> {
        targets.iter().map(|target| format!("{} {}", target.rule, target.label.name)).collect()
    }

    #[test]
    fn the_smallest_model_is_a_gguf_in_a_bundle() {
        let quantize = vec![child(Place(2), Value::Text("Q8_0".to_owned()))];
        let targets = model(&[("base", label_child("base")), ("quantize", quantize)]);
        assert_eq!(names(&targets), ["gguf app.gguf", "bundle app"]);
        let gguf_model = targets[0].record.value("model").unwrap().value.as_label().unwrap();
        assert_eq!(gguf_model.name, "base");
    }

    #[test]
    fn exec_properties_are_passed_to_every_part_with_remote_actions() {
        let wanted = vec![child(Place(4), Value::Text("gpu".to_owned()))];
        let targets = model(&[
            ("base", label_child("base")),
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
