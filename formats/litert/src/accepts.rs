//! Refusals: the parts of a model that LiteRT cannot express.

use mc_decoder::lower::lower;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::refusal::Refusal;
use mc_graph::decompose::decompose;
use mc_graph::graph::Graph;

use crate::caches;
use crate::operators;
use crate::settings::Settings;

/// Advice for a model that LiteRT cannot express.
const ADVICE: &str = "The rule `gguf` writes a file that llama.cpp runs";

/// Every reason why a file cannot hold a model.
pub(crate) fn refusals(model: &ModelDescription<'_>) -> Vec<Refusal> {
    let settings = match Settings::read(model) {
        Ok(settings) => settings,
        Err(message) => {
            return vec![Refusal::new(format!("LiteRT has no graph for these settings: {message}"))];
        }
    };
    let graph = match graph(model) {
        Ok(graph) => graph,
        Err(refusal) => return vec![refusal],
    };
    let mut lacking: Vec<String> = graph
        .nodes()
        .iter()
        .filter(|node| operators::by_name(node.operator.name()).is_none())
        .map(|node| format!("the operator `{}`", node.operator.name()))
        .collect();
    lacking.sort();
    lacking.dedup();
    lacking.extend(caches::of(&graph, settings.context).err());
    lacking.into_iter().map(|lacking| refusal(model, &lacking)).collect()
}

fn refusal(model: &ModelDescription<'_>, lacking: &str) -> Refusal {
    let family = &model.decoder.family;
    Refusal::new(format!("LiteRT cannot express {lacking} of the `{family}` model")).help(ADVICE)
}

/// The graph of a model, in operators that LiteRT can express where there are some.
///
/// # Errors
/// If the model is inconsistent.
pub(crate) fn graph(model: &ModelDescription<'_>) -> Result<Graph, Refusal> {
    let graph = lower(model.decoder).map_err(|error| Refusal::new(error.to_string()))?;
    decompose(&graph, |operator| operators::by_name(operator.name()).is_some())
        .map_err(|error| Refusal::new(error.to_string()))
}
