//! Walks a graph and translates each operator by its row.

use std::collections::BTreeSet;

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Graph;

use crate::operators;
use crate::proto::Attribute;
use crate::translation::{Plan, Translated, Translation};

/// Translates a graph.
///
/// # Errors
/// [`Refusal`] for an operator that ONNX Runtime cannot run.
pub(crate) fn translate(plan: &Plan<'_>, graph: &Graph) -> Result<Translated, Refusal> {
    let mut translation = Translation::new(plan, graph);
    translation.declare_inputs();
    for node in graph.nodes() {
        if node.outputs.iter().any(|output| translation.is_known(*output)) {
            continue; // An earlier operator computes it, too.
        }
        let name = node.operator.name();
        let row = operators::by_name(name).ok_or_else(|| unknown(name))?;
        (row.translate)(&mut translation, node)?;
    }
    let mut translated = translation.translated;
    drop_unread(&mut translated);
    Ok(translated)
}

fn unknown(operator: &str) -> Refusal {
    Refusal::new(format!("ONNX Runtime GenAI has no operator for `{operator}`"))
        .help("`gguf` and `mlx` may be able to express the model")
}

/// Drops the nodes whose outputs nobody reads, and the constants that only they read.
fn drop_unread(translated: &mut Translated) {
    let graph = &mut translated.graph;
    let mut read: BTreeSet<String> = graph.outputs.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::new();
    for node in graph.nodes.drain(..).rev() {
        if !node.outputs.iter().any(|output| read.contains(output)) {
            continue;
        }
        read.extend(node.inputs.iter().cloned());
        for (_, attribute) in &node.attributes {
            if let Attribute::Graph(branch) = attribute {
                read.extend(branch.nodes.iter().flat_map(|node| node.inputs.iter().cloned()));
            }
        }
        kept.push(node);
    }
    kept.reverse();
    graph.nodes = kept;
    graph.initializers.retain(|initializer| read.contains(&initializer.name));
    translated.caches.retain(|cache| read.contains(&cache.name));
    translated.views.retain(|view| read.contains(&view.name));
}
