//! The targets into which a `model` expands.

use std::collections::BTreeMap;

use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::NodeSchema;
use mc_ir::target::Target;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::attributes::child;
use crate::calibrate::imatrix;
use crate::evaluate::gate;
use crate::evaluate::metrics::NODES;
use crate::export::model_node::{MODEL, MODEL_NAME};
use crate::export::planned_export::{ALLOW, CONTEXT, SOLVER};
use crate::ship::bundle;
use crate::ship::export;
use crate::ship::formats::{self, FORMATS, Format};
use crate::ship::group;
use crate::ship::layout::LAYOUT;
use crate::transform::merge;

/// The attribute that names a format.
const FORMAT: &str = "format";

/// The attribute that names the encoding.
const QUANTIZE: &str = "quantize";

/// The expansion of one model.
pub(crate) struct Expansion {
    target: Target,
    made: Vec<Target>,
}

/// A format of the model with its attributes.
struct Written {
    /// `None` if the device selects the format.
    format: Option<&'static Format>,
    /// The node `format`, if there is one.
    own: Option<Record>,
}

/// The attributes that an export has whose format a device selects.
static OF_ANY_FORMAT: [&NodeSchema; 3] = [&SOLVER, &CONTEXT, &ALLOW];

impl Written {
    /// The rule that writes it, which is also the end of its target's name.
    fn rule(&self) -> &'static str {
        self.format.map_or(export::NAME, |format| format.name)
    }

    /// The attributes that are passed on.
    fn attributes(&self) -> &'static [&'static NodeSchema] {
        self.format.map_or(&OF_ANY_FORMAT, |format| format.attributes)
    }
}

impl Expansion {
    /// The expansion of this target.
    pub(crate) fn new(target: Target) -> Self {
        Self { target, made: Vec::new() }
    }

    /// Returns the targets.
    ///
    /// # Errors
    /// If no format, or no single one, has the word of `quantize`, or if a format has no such word.
    pub(crate) fn run(mut self) -> Result<Vec<Target>, Vec<RuleError>> {
        let record = self.target.record.clone();
        let formats = written_formats(&record)?;
        let errors: Vec<RuleError> = formats.iter().flat_map(|written| check(&record, written)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let base = record.children("base").to_vec();
        let merged = if record.children("adapter").is_empty() {
            base.clone()
        } else {
            let children = [("base", base.clone()), ("adapter", record.children("adapter").to_vec())];
            vec![self.make("merge", merge::NAME, &children)]
        };
        let imatrix = self.imatrix(&record, base, &merged);
        let name = self.target.label.name.clone();
        if let [written] = formats.as_slice() {
            let bundle = self.bundle(&name, &record, written, merged, imatrix);
            self.add(name, bundle::NAME, bundle, None);
            return Ok(self.made);
        }
        let mut members = Vec::new();
        for written in &formats {
            let member = format!("{name}-{}", written.rule());
            let bundle = self.bundle(&member, &record, written, merged.clone(), imatrix.clone());
            let owner = Some(self.target.label.clone());
            members.push(self.add(member, bundle::NAME, bundle, owner));
        }
        let place = record.place;
        let mut targets = Record::new(place);
        targets.arguments =
            members.into_iter().map(|label| Placed { value: Value::Label(label), place }).collect();
        let group = record_of(place, &[(group::TARGETS.name, vec![targets])]);
        self.add(name, group::NAME, group, None);
        Ok(self.made)
    }

    fn imatrix(&mut self, record: &Record, base: Vec<Record>, merged: &[Record]) -> Option<Record> {
        let calibration = record.child("calibration")?;
        let from = calibration.property("from").and_then(|from| from.value.as_text());
        let calibrated = if from == Some("merged") { merged.to_vec() } else { base };
        let mut dataset = Record::new(calibration.place);
        dataset.arguments.clone_from(&calibration.arguments);
        let mut children = vec![("model", calibrated), ("dataset", vec![dataset])];
        children.extend(of_steps(record));
        if let Some(context) = calibration.property("context") {
            children.push(("context", vec![child(context.place, context.value.clone())]));
        }
        Some(self.make("imatrix", imatrix::NAME, &children))
    }

    /// Adds the parts of a bundle and returns its record.
    fn bundle(
        &mut self,
        name: &str,
        record: &Record,
        written: &Written,
        merged: Vec<Record>,
        imatrix: Option<Record>,
    ) -> Record {
        let own = &written.own;
        let mut children = vec![("model", merged), (QUANTIZE, attribute(record, own.as_ref(), QUANTIZE))];
        children.push((MODEL_NAME.name, record.children(MODEL_NAME.name).to_vec()));
        children.extend(of_steps(record));
        let of_format = |node: &&'static NodeSchema| (node.name, attribute(record, own.as_ref(), node.name));
        children.extend(written.attributes().iter().map(of_format));
        children.extend(imatrix.map(|imatrix| ("imatrix", vec![imatrix])));
        if written.format.is_none() {
            children.push(("device", record.children("device").to_vec()));
        }
        let export = self.part(format!("{name}.{}", written.rule()), written.rule(), &children);
        let mut bundle = vec![
            (MODEL.name, vec![export.clone()]),
            ("device", record.children("device").to_vec()),
            ("context", attribute(record, own.as_ref(), "context")),
            ("version", record.children("version").to_vec()),
            (LAYOUT.name, record.children(LAYOUT.name).to_vec()),
            (TAGS.name, record.children(TAGS.name).to_vec()),
        ];
        if let Some(gate) = record.child("gate") {
            let mut children = vec![(MODEL.name, vec![export])];
            children.extend(of_steps(record));
            for metric in &NODES {
                children.push((metric.node.name, gate.children(metric.node.name).to_vec()));
            }
            bundle.push(("gate", vec![self.part(format!("{name}.gate"), gate::NAME, &children)]));
        }
        record_of(record.place, &bundle)
    }

    /// Adds a target `NAME.suffix` and returns a child node that names it.
    fn make(&mut self, suffix: &str, rule: &'static str, children: &[(&str, Vec<Record>)]) -> Record {
        self.part(format!("{}.{suffix}", self.target.label.name), rule, children)
    }

    /// Adds a part of the model and returns a child node that names it.
    fn part(&mut self, name: String, rule: &'static str, children: &[(&str, Vec<Record>)]) -> Record {
        let place = self.target.record.place;
        let owner = Some(self.target.label.clone());
        let label = self.add(name, rule, record_of(place, children), owner);
        let mut record = Record::new(place);
        record.arguments.push(Placed { value: Value::Label(label), place });
        record
    }

    fn add(
        &mut self,
        name: String,
        rule: &'static str,
        record: Record,
        expanded_from: Option<Label>,
    ) -> Label {
        let label = Label::new(self.target.label.package.clone(), name);
        self.made.push(Target { label: label.clone(), rule, record, expanded_from });
        label
    }
}

/// The attributes of every rule with remote actions.
fn of_steps(record: &Record) -> [(&'static str, Vec<Record>); 2] {
    [&EXEC_PROPERTY, &TAGS].map(|schema| (schema.name, record.children(schema.name).to_vec()))
}

/// An attribute of a format: its own, or else that of the model.
fn attribute(record: &Record, own: Option<&Record>, name: &str) -> Vec<Record> {
    let own = own.map_or(&[][..], |own| own.children(name));
    if own.is_empty() { record.children(name).to_vec() } else { own.to_vec() }
}

/// The formats of a model: those that it names, or the only one that has the word of `quantize`.
fn written_formats(record: &Record) -> Result<Vec<Written>, Vec<RuleError>> {
    let nodes = record.children(FORMAT);
    if nodes.is_empty() {
        return format_of_word(record).map(|format| vec![Written { format, own: None }]);
    }
    let mut written: Vec<Written> = Vec::new();
    for node in nodes {
        let Some(word) = node.argument() else { continue };
        let Some(format) = word.value.as_text().and_then(formats::by_name) else { continue };
        if written.iter().any(|known| known.rule() == format.name) {
            let message = format!("The format `{}` is named twice", format.name);
            return Err(vec![
                RuleError::new(word.place, "model::format", message)
                    .help("Declare a second `model` for another encoding in this format"),
            ]);
        }
        written.push(Written { format: Some(format), own: Some(node.clone()) });
    }
    Ok(written)
}

/// The only format that has the word of `quantize`; `None` if the device selects among several.
fn format_of_word(record: &Record) -> Result<Option<&'static Format>, Vec<RuleError>> {
    let has_device = record.child("device").is_some();
    let Some(placed) = record.value(QUANTIZE) else {
        if has_device {
            return Ok(None);
        }
        let message = "The model names neither a `quantize` nor a `format`";
        return Err(vec![
            RuleError::new(record.place, "model::format", message)
                .help("Write `quantize \"Q4_K_M\"` for a GGUF, or `format \"mlx\"`, or a `device`"),
        ]);
    };
    let word = placed.value.as_text().ok_or_else(Vec::new)?;
    let found: Vec<&Format> =
        FORMATS.iter().filter(|format| (format.quantizations)().contains(&word)).collect();
    match found.as_slice() {
        [format] => Ok(Some(format)),
        [_, _, ..] if has_device => Ok(None),
        [] => Err(Vec::new()),
        several => {
            let names: Vec<String> =
                several.iter().map(|format| format!("`format \"{}\"`", format.name)).collect();
            let message = format!("`{word}` is a word of several formats");
            Err(vec![
                RuleError::new(placed.place, "model::format", message)
                    .help(format!("Add {}", names.join(" or "))),
            ])
        }
    }
}

/// Checks that a format has the words that apply to it.
fn check(record: &Record, written: &Written) -> Vec<RuleError> {
    let Written { format: Some(format), own } = written else { return foreign_to_devices(record) };
    let mut errors = Vec::new();
    let mut of_word = |placed: &Placed<Value>, words: fn() -> Vec<&'static str>| {
        let Some(word) = placed.value.as_text() else { return };
        if !words().contains(&word) {
            let message = format!("`{word}` is not an encoding of the format `{}`", format.name);
            let known = ValueWords(words());
            errors.push(RuleError::new(placed.place, "model::quantize", message).help(known.listed()));
        }
    };
    let quantize = attribute(record, own.as_ref(), QUANTIZE);
    for placed in quantize.iter().filter_map(Record::argument) {
        of_word(placed, format.quantizations);
    }
    for name in ["tensor-type", "output-type", "embedding-type"] {
        for node in attribute(record, own.as_ref(), name) {
            if let Some(placed) = node.arguments.last() {
                of_word(placed, format.types);
            }
        }
    }
    if quantize.is_empty() && !format.has_default {
        let place = own.as_ref().map_or(record.place, |own| own.place);
        let message = format!("The format `{}` has no default encoding", format.name);
        errors.push(RuleError::new(place, "model::quantize", message).help("Add `quantize \"Q4_K_M\"`"));
    }
    if let Some(own) = own {
        errors.extend(foreign(own, format));
    }
    errors
}

/// Reports the attributes that need a named format.
fn foreign_to_devices(record: &Record) -> Vec<RuleError> {
    let of_formats = FORMATS.iter().flat_map(|format| format.attributes).map(|node| node.name);
    let mut names: Vec<&str> =
        of_formats.filter(|name| OF_ANY_FORMAT.iter().all(|node| node.name != *name)).collect();
    names.sort_unstable();
    names.dedup();
    let nodes = names.into_iter().filter_map(|name| Some((name, record.children(name).first()?)));
    nodes
        .map(|(name, node)| {
            let message = format!("`{name}` needs a format, and the device selects it");
            RuleError::new(node.place, "model::attribute", message).help("Add `format \"…\"`")
        })
        .collect()
}

/// Reports the attributes that a format does not have.
fn foreign(own: &Record, format: &Format) -> Vec<RuleError> {
    let is_known = |name: &str| name == QUANTIZE || format.attributes.iter().any(|node| node.name == name);
    let foreign = own.children.iter().filter(|(name, _)| !is_known(name));
    foreign
        .map(|(name, nodes)| {
            let place = nodes.first().map_or(own.place, |node| node.place);
            let message = format!("The format `{}` has no attribute `{name}`", format.name);
            let others =
                FORMATS.iter().filter(|other| other.attributes.iter().any(|node| node.name == *name));
            let others: Vec<String> = others.map(|other| format!("`{}`", other.name)).collect();
            RuleError::new(place, "model::attribute", message)
                .help(format!("Formats with it: {}", others.join(", ")))
        })
        .collect()
}

/// The words of a format, for a message.
struct ValueWords(Vec<&'static str>);

impl ValueWords {
    fn listed(&self) -> String {
        format!("It has `{}`", self.0.join("`, `"))
    }
}

/// A record with these children.
pub(crate) fn record_of(place: Place, children: &[(&str, Vec<Record>)]) -> Record {
    let mut by_name = BTreeMap::new();
    for (name, records) in children {
        if !records.is_empty() {
            by_name.insert((*name).to_owned(), records.clone());
        }
    }
    Record { place, arguments: Vec::new(), properties: BTreeMap::new(), children: by_name }
}
