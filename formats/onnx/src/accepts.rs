//! The parts of a model that ONNX Runtime GenAI cannot run, found by translating its graph.

use std::collections::BTreeMap;

use mc_decoder::lower::lower;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::refusal::Refusal;
use mc_graph::graph::Graph;
use mc_graph::value_type::Dim;
use mc_tensor::model_tensor::ModelTensor;

use crate::settings::{self, Settings};
use crate::translate::translate;
use crate::translation::Plan;
use crate::weight_form::{Weight, WeightForm};

/// The file with the tokenizer.
const TOKENIZER: &str = "tokenizer.json";

/// Every refusal; none if the model can be written.
pub(crate) fn refusals(model: &ModelDescription<'_>) -> Vec<Refusal> {
    let of_settings = settings::check(model);
    of_settings
        .into_iter()
        .chain(of_tokenizer(model))
        .chain(of_experts(model))
        .chain(of_graph(model))
        .collect()
}

/// The runtime has no other tokenizer; programs that give it ids need none.
fn of_tokenizer(model: &ModelDescription<'_>) -> Option<Refusal> {
    if model.has_file(TOKENIZER) {
        return None;
    }
    let message =
        format!("ONNX Runtime GenAI reads the tokenizer from `{TOKENIZER}`; the checkpoint has no such file");
    let help = "save the tokenizer with Transformers' `save_pretrained`, which writes it";
    Some(Refusal::new(message).help(help).unless_allowed("onnx::tokenizer"))
}

fn of_experts(model: &ModelDescription<'_>) -> Option<Refusal> {
    let block = model.decoder.blocks.iter().position(|block| block.experts().is_some())?;
    let message = format!(
        "Block {block} chooses among experts (operator `gather_matmul`); the operator `MoE` of ONNX Runtime cannot \
         compute their gate and up projections from separate matrices on CPUs"
    );
    Some(Refusal::new(message).help("`gguf` and `mlx` can express experts"))
}

fn of_graph(model: &ModelDescription<'_>) -> Option<Refusal> {
    if model.decoder.blocks.iter().any(|block| block.experts().is_some()) {
        return None; // Refused with a better message.
    }
    let graph = match lower(model.decoder) {
        Ok(graph) => graph,
        Err(error) => return Some(Refusal::new(error.to_string())),
    };
    let settings = Settings::of(model);
    let plan = Plan { decoder: model.decoder, settings, weights: assumed(&graph, &settings) };
    translate(&plan, &graph).err()
}

/// The weights of a graph as floats, because their forms are not yet known.
fn assumed(graph: &Graph, settings: &Settings) -> BTreeMap<ModelTensor, Weight> {
    let weight = |tensor: ModelTensor, dims: &[Dim]| Weight {
        name: tensor.to_string(),
        shape: dims.iter().filter_map(|dim| dim.fixed()).map(u64::from).collect(),
        form: WeightForm::Floats(settings.activations),
    };
    graph.weights().map(|(tensor, _, value_type)| (tensor, weight(tensor, &value_type.dims))).collect()
}
