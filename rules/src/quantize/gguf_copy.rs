//! `quantize "COPY"`: the tensors of a GGUF as they are, in one file or, with `max-file-size`, in several.
//!
//! So a series is joined, a file is split, and neither loses a bit: keys and tensors stay as and where they were.

use std::path::Path;
use std::sync::Arc;

use mc_encoding::codec::Codec;
use mc_gguf::exporter::{GgufExporter, NAME};
use mc_ir::action::{Input, Source};
use mc_ir::attribute::{Place, Record};
use mc_ir::rule_error::RuleError;

use crate::quantize::type_rules;
use crate::source::export_tensors::{ExportTensor, export_tensors, factor_tensors};
use crate::source::model_info::ModelInfo;

/// What stands where else a recipe does; llama.cpp's quantizer has the same word for it.
pub(crate) const COPY: &str = "COPY";

/// The tensors of a model that was read from a GGUF, in the order of the file.
///
/// # Errors
/// When it was not, or something was done to it since, or the declaration asks for other types.
pub(crate) fn tensors(
    record: &Record,
    place: Place,
    model: &ModelInfo,
) -> Result<Vec<(ExportTensor, &'static Codec)>, Vec<RuleError>> {
    let rule_error = |place, message: &str| RuleError::new(place, "gguf::copy", message.to_owned());
    let others = type_rules::ALL.iter().map(|schema| schema.name).chain(["imatrix", "model-name"]);
    let rule_errors: Vec<RuleError> = others
        .filter_map(|name| record.children(name).first())
        .map(|child| {
            rule_error(child.place, "`COPY` leaves everything as it is")
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
        .map(|tensor| tensor.expression.stored_codec().map(|codec| (tensor, codec)))
        .collect();
    let stored = stored.filter(|_| is_whole && model.lineage.len() == 1);
    let mut stored = stored.ok_or_else(|| {
        let message = "`COPY` is for a GGUF to which nothing was done";
        vec![rule_error(place, message).help("Name a `checkpoint` with `gguf=`, or a recipe such as `F16`")]
    })?;
    stored.sort_by_key(|(tensor, _)| first_byte(tensor));
    Ok(stored)
}

/// Where a tensor begins. The names of a series sort as its files.
fn first_byte(tensor: &ExportTensor) -> Option<(Arc<Path>, u64)> {
    match tensor.inputs.first() {
        Some(Input::Source(Source { path, range })) => {
            Some((Arc::clone(path), range.as_ref().map_or(0, |range| range.start)))
        }
        _ => None,
    }
}
