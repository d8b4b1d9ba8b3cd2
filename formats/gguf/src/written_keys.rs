//! The keys of a written file: those of llama.cpp's converter or of the file that the model was read from, followed by
//! the provenance keys (`mc.*`).

use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::model_facts::ModelFacts as Facts;

use crate::key_writer::Keys;
use crate::keys::{keys, size_label};
use crate::layout::TensorPlan;
use crate::model_facts::ModelFacts;
use crate::origin_keys::{self, Changes, OURS};
use crate::reader::Gguf;
use crate::recipes;
use crate::recipes::recipe::Recipe;
use crate::value::Value;

/// The quantizing program, as named in the keys.
const QUANTIZED_BY: &str = "mc";

/// The keys of a model with these tensors.
///
/// # Errors
/// If the head that the model was read from is broken, or a file cannot express a value.
pub(crate) fn of(model: &ModelDescription<'_>, plans: &[TensorPlan]) -> Result<Keys, FormatError> {
    let facts = model.facts.ok_or_else(|| without("facts about its model"))?;
    let head = model.origin.map(|head| Gguf::parse(head, u64::MAX).map_err(FormatError::new)).transpose()?;
    let mut keys = match (head, recipes::by_name(&facts.recipe)) {
        (Some(head), Some(recipe)) => of_head(model, &head, facts, recipe, plans)?,
        (Some(head), None) => return Ok(origin_keys::copied(&head)),
        (None, Some(recipe)) => of_files(model, facts, recipe, plans)?,
        (None, None) => return Err(FormatError::new("Only the keys of a GGUF can be copied")),
    };
    let note = |(name, value): &(String, String)| (format!("{OURS}{name}"), Value::Text(value.clone()));
    keys.extend(facts.lineage.iter().map(note));
    Ok(keys)
}

/// The keys of a model that was read from a GGUF file.
fn of_head(
    model: &ModelDescription<'_>,
    head: &Gguf,
    facts: &Facts,
    recipe: &Recipe,
    plans: &[TensorPlan],
) -> Result<Keys, FormatError> {
    let changes = Changes {
        name: &facts.name,
        file_type: recipe.file_type,
        quantized_by: quantized_by(recipe),
        identity: &facts.identity,
        is_changed: facts.is_changed,
        size_label: &size_label(plans),
        decoder: model.decoder,
        vocabulary: model.vocabulary,
    };
    changes.keys(head)
}

/// The keys of a model that was read from Hugging Face files.
fn of_files(
    model: &ModelDescription<'_>,
    facts: &Facts,
    recipe: &Recipe,
    plans: &[TensorPlan],
) -> Result<Keys, FormatError> {
    let vocabulary = model.vocabulary.ok_or_else(|| without("a vocabulary"))?;
    let facts = ModelFacts {
        name: facts.name.clone(),
        quantized_by: quantized_by(recipe).map(str::to_owned),
        identity: facts.identity.clone(),
        size_label: size_label(plans),
        file_type: recipe.file_type,
        has_head_dim: facts.has_head_dim,
        sampling: facts.sampling,
    };
    keys(model.decoder, vocabulary, &facts)
}

fn quantized_by(recipe: &Recipe) -> Option<&'static str> {
    (recipe.default.block_len > 1).then_some(QUANTIZED_BY)
}

fn without(what: &str) -> FormatError {
    FormatError::new(format!("A file cannot be written without {what}"))
}
