//! The layers and models from which a blend is made.
//!
//! Whole models form one slice with all layers of each. [`crate::transform::blend_weights`] checks that the
//! weights of the parts fit each other.

use std::collections::BTreeMap;
use std::ops::Range;

use mc_ir::attribute::{Place, Placed, Record};
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;

use crate::source::model_info::ModelInfo;
use crate::transform::blend_method::Method;
use crate::transform::blend_settings::{Setting, settings};

/// Parameters that may be set for each model.
pub(crate) const OF_MODELS: [&str; 3] = ["weight", "density", "scale"];

/// Consecutive layers of the result.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Location of its declaration.
    pub(crate) place: Place,
    /// Its parts, with the same number of layers each.
    pub(crate) parts: Vec<Part>,
    /// Index of the part that defines the content of a layer: the base's part, or the first.
    pub(crate) reference: usize,
    /// Position between base and other model, for this slice.
    pub(crate) t: Vec<Setting>,
}

/// Some layers of a model.
#[derive(Debug)]
pub(crate) struct Part {
    /// The model.
    pub(crate) label: Placed<Label>,
    /// The layers.
    pub(crate) layers: Range<u32>,
    /// The model's own parameters.
    pub(crate) settings: BTreeMap<&'static str, Vec<Setting>>,
}

impl Slice {
    /// Returns the number of layers that it adds.
    pub(crate) fn n_layers(&self) -> u32 {
        self.parts.first().map_or(0, |part| part.layers.len() as u32)
    }

    /// Returns the part that defines the content of a layer.
    pub(crate) fn reference(&self) -> &Part {
        &self.parts[self.reference]
    }
}

/// Returns every model that is named, with its location.
pub(crate) fn labels(record: &Record) -> Vec<Placed<Label>> {
    let in_slices = record.children("slice").iter().flat_map(|slice| slice.children("model"));
    let nodes = record.children("base").iter().chain(record.children("model")).chain(in_slices);
    nodes.chain(record.children("tokenizer")).filter_map(label_of).collect()
}

/// Returns the slices, with the layers of whole models filled in.
///
/// # Errors
/// An error for each slice without the models that the method needs, or with layers that do not exist.
pub(crate) fn slices(
    record: &Record,
    method: Method,
    base: Option<&Placed<Label>>,
    models: &BTreeMap<Label, ModelInfo>,
) -> Result<Vec<Slice>, Vec<RuleError>> {
    let (whole, sliced) = (record.children("model"), record.children("slice"));
    let reader = Reader { method, base, models };
    match (whole.is_empty(), sliced.is_empty()) {
        (false, true) => reader.whole(record, whole).map(|slice| vec![slice]),
        (true, false) => {
            let (mut slices, mut rule_errors) = (Vec::new(), Vec::new());
            for slice in sliced {
                match reader.slice(slice) {
                    Ok(slice) => slices.push(slice),
                    Err(found) => rule_errors.extend(found),
                }
            }
            if rule_errors.is_empty() { Ok(slices) } else { Err(rule_errors) }
        }
        (is_empty, _) => {
            let found = if is_empty { "neither" } else { "both" };
            let message = format!("A blend is made of `model`s or of `slice`s; found {found}");
            Err(vec![
                RuleError::new(record.place, "blend::models", message)
                    .help("Name whole models, `model \":name\"`, or layers of models, `slice { … }`"),
            ])
        }
    }
}

struct Reader<'a> {
    method: Method,
    base: Option<&'a Placed<Label>>,
    models: &'a BTreeMap<Label, ModelInfo>,
}

impl Reader<'_> {
    fn n_layers(&self, label: &Label) -> u32 {
        self.models.get(label).map_or(0, |model| model.decoder.blocks.len() as u32)
    }

    fn whole(&self, record: &Record, models: &[Record]) -> Result<Slice, Vec<RuleError>> {
        let part = |node: &Record| {
            let label = label_of(node)?;
            let layers = 0..self.n_layers(&label.value);
            Some(Part { label, layers, settings: own_settings(node) })
        };
        let mut parts: Vec<Part> = models.iter().filter_map(part).collect();
        let is_given = |base: &Placed<Label>| parts.iter().any(|part| part.label.value == base.value);
        if let Some(base) = self.base.filter(|base| self.method.needs_base() && !is_given(base)) {
            let layers = 0..self.n_layers(&base.value);
            parts.push(Part { label: base.clone(), layers, settings: BTreeMap::new() });
        }
        self.checked(record.place, parts, Vec::new())
    }

    fn slice(&self, slice: &Record) -> Result<Slice, Vec<RuleError>> {
        let (mut parts, mut rule_errors) = (Vec::new(), Vec::new());
        for node in slice.children("model") {
            let Some(label) = label_of(node) else { continue };
            let n_layers = self.n_layers(&label.value);
            let bound =
                |name: &str| node.property(name).and_then(|placed| placed.value.as_integer()).unwrap_or(-1);
            let (from, to) = (bound("from"), bound("to"));
            match (u32::try_from(from), u32::try_from(to)) {
                (Ok(from), Ok(to)) if from < to && to <= n_layers => {
                    parts.push(Part { label, layers: from..to, settings: own_settings(node) });
                }
                _ => {
                    let message = format!(
                        "`from={from} to={to}` is not a range of layers of `{}`, which has {n_layers}",
                        label.value
                    );
                    rule_errors.push(
                        RuleError::new(label.place, "blend::layers", message)
                            .help("Layers count from 0; `to` is exclusive"),
                    );
                }
            }
        }
        if rule_errors.is_empty() {
            self.checked(slice.place, parts, settings(slice, "t"))
        } else {
            Err(rule_errors)
        }
    }

    fn checked(&self, place: Place, parts: Vec<Part>, t: Vec<Setting>) -> Result<Slice, Vec<RuleError>> {
        let rule_error = |message: String, help: &str| {
            Err(vec![RuleError::new(place, "blend::models", message).help(help)])
        };
        let name = self.method.name();
        let Some(first) = parts.first() else {
            return rule_error("There is no `model` here".to_owned(), "Add `model \":name\"`");
        };
        let of_base = |part: &Part| self.base.is_some_and(|base| base.value == part.label.value);
        let reference = match parts.iter().position(of_base) {
            Some(index) if self.method.needs_base() => index,
            None if self.method.needs_base() => {
                return rule_error(
                    format!("`{name}` needs layers of the base in every slice; found none"),
                    "Add the base's layers: `model \":base\" from=… to=…`",
                );
            }
            _ => 0,
        };
        let n_others = parts.iter().filter(|part| !of_base(part)).count();
        match self.method {
            Method::Passthrough if parts.len() != 1 => {
                return rule_error(
                    format!("`{name}` takes one model for each slice; found {}", parts.len()),
                    "Write a `slice` for each, or another `method`",
                );
            }
            Method::Slerp if parts.len() != 2 || n_others != 1 => {
                return rule_error(
                    format!("`{name}` takes the base and one other model; found {n_others} others"),
                    "Blend two, and the result with the next; or take another `method`",
                );
            }
            method if method.needs_base() && n_others == 0 => {
                return rule_error(
                    format!("`{name}` needs a model besides the base; found none"),
                    "Add `model \":name\"`",
                );
            }
            _ => {}
        }
        if let Some(other) = parts.iter().find(|part| part.layers.len() != first.layers.len()) {
            let message = format!(
                "`{}` has {} layers and `{}` has {}; expected equal numbers",
                first.label.value,
                first.layers.len(),
                other.label.value,
                other.layers.len()
            );
            return Err(vec![
                RuleError::new(other.label.place, "blend::layers", message)
                    .help("Take the same number of layers of each, with `slice`"),
            ]);
        }
        Ok(Slice { place, parts, reference, t })
    }
}

fn own_settings(node: &Record) -> BTreeMap<&'static str, Vec<Setting>> {
    OF_MODELS.into_iter().map(|name| (name, settings(node, name))).collect()
}

fn label_of(node: &Record) -> Option<Placed<Label>> {
    let placed = node.argument()?;
    Some(Placed { value: placed.value.as_label()?.clone(), place: placed.place })
}
