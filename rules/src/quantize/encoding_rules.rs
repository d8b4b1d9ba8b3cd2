//! The encodings that a declaration selects for the tensors of a format without recipes: one word for all matrices, and
//! overrides for some.
//!
//! | attribute | tensors |
//! |---|---|
//! | `quantize` | all matrices |
//! | `tensor-type` | those whose names in the checkpoint match a regular expression |
//! | `output-type` | the output; if there is none, the embedding that is also the output |
//! | `embedding-type` | the token embedding |
//!
//! The words are those of the format: [`mc_exporter::exporter::Exporter::quantizations`]. Recipes of GGUF are
//! [`crate::quantize::tensor_types`].

use mc_exporter::exporter::Exporter;
use mc_exporter::quantization::Quantization;
use mc_ir::attribute::{Place, Record};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};
use mc_tensor::model_tensor::ModelTensor;
use regex::{Regex, RegexBuilder};

use crate::quantize::near_names::near_names_of;
use crate::quantize::type_rules::{EMBEDDING_TYPE, OUTPUT_TYPE, TENSOR_TYPE};

/// The attribute that selects the encoding of all matrices.
pub(crate) const QUANTIZE: &str = "quantize";

/// Creates the node `quantize` of a format.
///
/// * `words`: the words of the format
pub(crate) const fn quantize(words: fn() -> Vec<&'static str>) -> NodeSchema {
    NodeSchema::leaf(QUANTIZE, "The encoding of the matrices.", ValueKind::OneOf(words))
}

/// Creates the node `tensor-type` of a format.
pub(crate) const fn tensor_type(words: fn() -> Vec<&'static str>) -> NodeSchema {
    NodeSchema {
        name: TENSOR_TYPE.name,
        doc: "The encoding of the matrices whose names in the checkpoint match a regular expression.",
        arguments: Arguments::Two(ValueKind::Text, ValueKind::OneOf(words)),
        properties: &[],
        children: &[],
    }
}

/// Creates the node `output-type` of a format.
pub(crate) const fn output_type(words: fn() -> Vec<&'static str>) -> NodeSchema {
    let doc = "The encoding of the output; in a model without an output of its own, of the embedding.";
    NodeSchema::leaf(OUTPUT_TYPE.name, doc, ValueKind::OneOf(words))
}

/// Creates the node `embedding-type` of a format.
pub(crate) const fn embedding_type(words: fn() -> Vec<&'static str>) -> NodeSchema {
    NodeSchema::leaf(EMBEDDING_TYPE.name, "The encoding of the token embedding.", ValueKind::OneOf(words))
}

/// The words of a format.
pub(crate) fn words(exporter: &dyn Exporter) -> Vec<&'static str> {
    exporter.quantizations().iter().map(|quantization| quantization.name).collect()
}

/// A matrix to which encodings are assigned.
pub(crate) struct Matrix<'a> {
    /// Its purpose.
    pub(crate) tensor: ModelTensor,
    /// Its name in the checkpoint.
    pub(crate) name: &'a str,
}

/// An encoding and the location at which it is selected.
#[derive(Clone, Copy)]
pub(crate) struct Selected {
    /// The encoding.
    pub(crate) quantization: &'static Quantization,
    /// Location of its word.
    pub(crate) place: Place,
}

/// An override.
struct Override {
    selects: Selects,
    selected: Selected,
    /// Location at which the tensors are named.
    place: Place,
    /// Name in messages: `tensor-type "down_proj"`.
    shown: String,
}

enum Selects {
    Matching(String, Regex),
    One(ModelTensor),
}

impl Selects {
    fn is_about(&self, matrix: &Matrix<'_>) -> bool {
        match self {
            Self::Matching(_, regex) => regex.is_match(matrix.name),
            Self::One(tensor) => *tensor == matrix.tensor,
        }
    }
}

/// Selects the encoding of each matrix; the first encoding of the format if the declaration has no word.
///
/// # Errors
/// Every pattern that is wrong or matches nothing, and every matrix with two encodings.
pub(crate) fn select(
    record: &Record,
    exporter: &dyn Exporter,
    matrices: &[Matrix<'_>],
) -> Result<Vec<Selected>, Vec<RuleError>> {
    let by_name = |name: &str| exporter.quantizations().iter().find(|known| known.name == name);
    let main = match record.value(QUANTIZE) {
        Some(word) => word.value.as_text().and_then(by_name).map(|known| (known, word.place)),
        None => exporter.quantizations().first().map(|default| (default, record.place)),
    };
    let (quantization, place) = main.ok_or_else(Vec::new)?;
    let mut selected = vec![None; matrices.len()];
    let (overrides, mut errors) = overrides(record, &by_name, head(matrices));
    for (number, rule) in overrides.iter().enumerate() {
        if !matrices.iter().any(|matrix| rule.selects.is_about(matrix)) {
            errors.push(no_match(rule, matrices));
        }
        for (index, matrix) in matrices.iter().enumerate().filter(|(_, matrix)| rule.selects.is_about(matrix))
        {
            match selected[index] {
                Some(first) => {
                    let first: &Override = &overrides[first];
                    if first.selected.quantization != rule.selected.quantization {
                        errors.push(two_encodings(matrix, first, rule));
                        break;
                    }
                }
                None => selected[index] = Some(number),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let main = Selected { quantization, place };
    let of_matrix = |rule: Option<usize>| rule.map_or(main, |rule| overrides[rule].selected);
    Ok(selected.into_iter().map(of_matrix).collect())
}

/// Returns the tensor that is the output.
fn head(matrices: &[Matrix<'_>]) -> ModelTensor {
    let has_output = matrices.iter().any(|matrix| matrix.tensor == ModelTensor::Output);
    if has_output { ModelTensor::Output } else { ModelTensor::TokenEmbedding }
}

fn overrides(
    record: &Record,
    by_name: &dyn Fn(&str) -> Option<&'static Quantization>,
    head: ModelTensor,
) -> (Vec<Override>, Vec<RuleError>) {
    let (mut overrides, mut errors) = (Vec::new(), Vec::new());
    for node in record.children(TENSOR_TYPE.name) {
        let [pattern, word] = node.arguments.as_slice() else { continue };
        let (Some(text), Some(quantization)) =
            (pattern.value.as_text(), word.value.as_text().and_then(by_name))
        else {
            continue;
        };
        match matching(text) {
            Ok(selects) => overrides.push(Override {
                selects,
                selected: Selected { quantization, place: word.place },
                place: pattern.place,
                shown: format!("tensor-type \"{text}\""),
            }),
            Err(reason) => errors.push(RuleError::new(pattern.place, "export::pattern", reason).help(
                r"Write a regular expression that matches names such as `model.layers.3.mlp.down_proj.weight`: `down_proj`",
            )),
        }
    }
    for (name, tensor) in [(OUTPUT_TYPE.name, head), (EMBEDDING_TYPE.name, ModelTensor::TokenEmbedding)] {
        let Some(word) = record.value(name) else { continue };
        let Some(quantization) = word.value.as_text().and_then(by_name) else { continue };
        overrides.push(Override {
            selects: Selects::One(tensor),
            selected: Selected { quantization, place: word.place },
            place: word.place,
            shown: name.to_owned(),
        });
    }
    (overrides, errors)
}

fn matching(pattern: &str) -> Result<Selects, String> {
    if pattern.is_empty() {
        return Err("The pattern is empty".to_owned());
    }
    let regex = RegexBuilder::new(pattern).build().map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("`{pattern}` is not a regular expression: {reason}")
    })?;
    Ok(Selects::Matching(pattern.to_owned(), regex))
}

fn no_match(rule: &Override, matrices: &[Matrix<'_>]) -> RuleError {
    let Selects::Matching(pattern, _) = &rule.selects else {
        let message = format!("The model has no matrix for `{}`", rule.shown);
        return RuleError::new(rule.place, "export::no-match", message);
    };
    let near = near_names_of(pattern, matrices.iter().map(|matrix| matrix.name));
    let help = match (near.is_empty(), matrices.first()) {
        (false, _) => format!("Did you mean `{}`?", near.join("` or `")),
        (true, Some(first)) => format!("Names are those of the checkpoint, such as `{}`", first.name),
        (true, None) => "The model has no matrices".to_owned(),
    };
    let message = format!("`{pattern}` matches the name of no matrix");
    RuleError::new(rule.place, "export::no-match", message).help(help)
}

fn two_encodings(matrix: &Matrix<'_>, first: &Override, second: &Override) -> RuleError {
    let (one, other) = (first.selected.quantization.name, second.selected.quantization.name);
    let message = format!(
        "`{}` is given two encodings: {one} by `{}`, and {other} by `{}`",
        matrix.name, first.shown, second.shown
    );
    RuleError::new(second.selected.place, "export::two-encodings", message)
        .help("Make one of the patterns narrower, or leave one out")
        .related(first.selected.place, format!("{one} is given here"))
}
