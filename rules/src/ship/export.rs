//! `export`: a model in the format that a device prefers.
//!
//! The rule selects a format, and that format's rule does the rest. It exists because the format is not known before
//! the device is analyzed; a target that names its format uses the rule of that format.

use std::sync::Arc;

use mc_ir::action::Source;
use mc_ir::attribute::{Placed, Record, Value};
use mc_ir::label::Label;
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::rule::{DependencyFailed, Head, HeadFormat, Rule, RuleContext, SourceError};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::attributes::{child, label, place_of, provider, text};
use crate::export::model_node::{MODEL_NAME, WRITTEN_MODEL};
use crate::export::planned_export::{ALLOW, CONTEXT, IMATRIX, SOLVER};
use crate::quantize::encoding_rules::QUANTIZE;
use crate::ship::device::DeviceInfo;
use crate::ship::formats::{self, FORMATS, Format};

/// The rule's name.
pub const NAME: &str = "export";

/// The `export` rule.
pub struct Export;

static DEVICE: NodeSchema = NodeSchema::leaf(
    "device",
    "The device: the first of its `formats` that can be written.",
    ValueKind::Label,
);

static WORD: NodeSchema = NodeSchema::leaf(
    QUANTIZE,
    "The encoding; by default that of the format. Formats without this word are passed over.",
    ValueKind::OneOf(formats::quantizations),
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A model in the format that a device prefers.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &WRITTEN_MODEL, occurs: Occurs::Once },
        ChildSchema { node: &DEVICE, occurs: Occurs::Once },
        ChildSchema { node: &WORD, occurs: Occurs::Optional },
        ChildSchema { node: &SOLVER, occurs: Occurs::Optional },
        ChildSchema { node: &IMATRIX, occurs: Occurs::Optional },
        ChildSchema { node: &MODEL_NAME, occurs: Occurs::Optional },
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &ALLOW, occurs: Occurs::Any },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Export {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let named = label(record, DEVICE.name).ok_or_else(Vec::new)?;
        let device: DeviceInfo = provider(ctx, &named, "a `device`")?;
        let format = preferred(record, &device, &named)?;
        let record = passed_on(record, format);
        format.rule.analyze(&WithRecord { ctx, record })
    }
}

/// The first format of the device that can be written and has the word of `quantize`; for a device without `formats`,
/// the first format of the manual.
fn preferred(
    record: &Record,
    device: &DeviceInfo,
    named: &Placed<Label>,
) -> Result<&'static Format, Vec<RuleError>> {
    let word = text(record, QUANTIZE);
    let has_word = |format: &&Format| word.is_none_or(|word| (format.quantizations)().contains(&word));
    let of_device: Vec<&Format> = if device.formats.is_empty() {
        FORMATS.iter().collect()
    } else {
        device.formats.iter().filter_map(|name| formats::by_name(name)).collect()
    };
    of_device.into_iter().find(has_word).ok_or_else(|| {
        let (place, message) = match word {
            Some(word) => (
                place_of(record, QUANTIZE),
                format!("No format of `{}` has the encoding `{word}`", device.name),
            ),
            None => (named.place, format!("`{}` names no format that can be written", device.name)),
        };
        let help = format!(
            "It names {}; formats that can be written: {}",
            listed(&device.formats),
            listed(&formats::names())
        );
        vec![RuleError::new(place, "export::device", message).help(help)]
    })
}

fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// The record of the format's rule.
fn passed_on(record: &Record, format: &Format) -> Record {
    let mut record = record.clone();
    record.children.remove(DEVICE.name);
    if let Some(default) = format.default.filter(|_| record.child(QUANTIZE).is_none()) {
        let word = child(record.place, Value::Text(default.to_owned()));
        record.children.insert(QUANTIZE.to_owned(), vec![word]);
    }
    let of_every_format =
        [WRITTEN_MODEL.name, QUANTIZE, IMATRIX.name, MODEL_NAME.name, EXEC_PROPERTY.name, TAGS.name];
    record.children.retain(|name, _| {
        of_every_format.contains(&name.as_str()) || format.attributes.iter().any(|node| node.name == name)
    });
    record
}

/// The context of a target with another record.
struct WithRecord<'a> {
    ctx: &'a dyn RuleContext,
    record: Record,
}

impl RuleContext for WithRecord<'_> {
    fn label(&self) -> &Label {
        self.ctx.label()
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn providers(&self, label: &Label) -> Result<Arc<Providers>, DependencyFailed> {
        self.ctx.providers(label)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, SourceError> {
        self.ctx.read(path)
    }

    fn read_head(&self, path: &str, format: HeadFormat) -> Result<Head, SourceError> {
        self.ctx.read_head(path, format)
    }

    fn list(&self, folder: &str) -> Result<Arc<[String]>, SourceError> {
        self.ctx.list(folder)
    }

    fn glob(&self, pattern: &str) -> Result<Arc<[String]>, SourceError> {
        self.ctx.glob(pattern)
    }

    fn source(&self, path: &str) -> Source {
        self.ctx.source(path)
    }

    fn fetched(&self, origin: &Origin) -> Result<String, SourceError> {
        self.ctx.fetched(origin)
    }
}
