//! `.litertlm`: the bundle that LiteRT-LM runs, with the graph, the tokenizer and everything that a chat needs.

pub(crate) mod container;
mod executor_metadata;
mod llm_metadata;
mod piece_model;
mod protobuf;
mod stop_tokens;
mod template;
mod tokenizer;

use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;

use crate::bundle::container::{Section, SectionType};
use crate::caches::Cache;
use crate::parts::Parts;
use crate::settings::Settings;

/// A bundle with a graph.
///
/// * `runs_on_gpu`: false if the graph computes other numbers on a GPU, or none
///
/// # Errors
/// If the vocabulary or the tokenizer is missing, or LiteRT-LM cannot express them.
pub(crate) fn write(
    model: &ModelDescription<'_>,
    settings: &Settings,
    caches: &[Cache],
    runs_on_gpu: bool,
    graph: Parts,
) -> Result<Parts, FormatError> {
    let vocabulary = model
        .vocabulary
        .ok_or_else(|| FormatError::new("A `.litertlm` bundle needs the vocabulary of a checkpoint"))?;
    let metadata = llm_metadata::of(model, vocabulary, settings);
    let mut items = vec![("model_type", "tf_lite_prefill_decode")];
    if !runs_on_gpu {
        items.push(("backend_constraint", "cpu"));
    }
    let sections = vec![
        Section::of_bytes(SectionType::LlmMetadata, &metadata),
        tokenizer::section(model, vocabulary)?,
        Section::of_bytes(SectionType::ExecutorMetadata, &executor_metadata::of(caches, settings.context)),
        Section { section_type: SectionType::TfliteModel, items, contents: graph },
    ];
    container::write(sections)
}
