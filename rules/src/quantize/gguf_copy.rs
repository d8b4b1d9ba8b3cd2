//! `quantize "COPY"`: copies the tensors of a GGUF unchanged, into one file or, with `max-file-size`, into
//! several.
//!
//! This joins a series or splits a file without loss: keys and tensors keep their content and order.

use std::path::Path;
use std::sync::Arc;

use mc_encoding::stored_form::StoredForm;
use mc_gguf::exporter::{GgufExporter, NAME};
use mc_ir::action::{Input, Source};
use mc_ir::attribute::{Place, Record};
use mc_ir::rule_error::RuleError;

use crate::quantize::type_rules;
use crate::source::export_tensors::{ExportTensor, export_tensors, factor_tensors};
use crate::source::model_info::ModelInfo;

/// Requests a copy in place of a recipe; llama.cpp's quantizer uses the same word.
pub(crate) const COPY: &str = "COPY";

/// Returns the tensors of a model that was read from a GGUF, in the order of the file.
///
/// # Errors
/// An error if it was not read from a GGUF, if it was changed since, or if the declaration sets other types.
pub(crate) fn tensors(
    record: &Record,
    place: Place,
    model: &ModelInfo,
) -> Result<Vec<(ExportTensor, StoredForm)>, Vec<RuleError>> {
    let rule_error = |place, message: &str| RuleError::new(place, "gguf::copy", message.to_owned());
    let others = type_rules::ALL.iter().map(|schema| schema.name).chain(["imatrix", "model-name"]);
    let rule_errors: Vec<RuleError> = others
        .filter_map(|name| record.children(name).first())
        .map(|child| {
            rule_error(child.place, "`COPY` cannot be combined with this attribute")
                .help("Leave it out, or name a recipe")
        })
        .collect();
    if !rule_errors.is_empty() {
        return Err(rule_errors);
    }
    let mut tensors = factor_tensors(model);
    tensors.extend(export_tensors(&GgufExporter, model));
    let head = model.files.head.as_ref().filter(|head| head.format == NAME);
    let is_whole = head.is_some_and(|head| model.files.vocabulary.as_ref() == Some(&head.source));
    let stored: Option<Vec<_>> = tensors
        .into_iter()
        .map(|tensor| tensor.expression.stored_codec().map(|codec| (tensor, StoredForm::Blocks(codec))))
        .collect();
    let stored = stored.filter(|_| is_whole && model.lineage.len() == 1);
    let mut stored = stored.ok_or_else(|| {
        let message = "`COPY` requires an unchanged GGUF";
        vec![rule_error(place, message).help("Name a `checkpoint` with `gguf=`, or a recipe such as `F16`")]
    })?;
    stored.sort_by_key(|(tensor, _)| first_byte(tensor));
    Ok(stored)
}

/// Returns the file and offset at which a tensor begins. The names of a series sort in the order of its
/// files.
fn first_byte(tensor: &ExportTensor) -> Option<(Arc<Path>, u64)> {
    match tensor.inputs.first() {
        Some(Input::Source(Source { path, range })) => {
            Some((Arc::clone(path), range.as_ref().map_or(0, |range| range.start)))
        }
        _ => None,
    }
}
