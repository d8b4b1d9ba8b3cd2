//! The model in a GGUF, brought up with the blocks that stand in the file.

use std::sync::Arc;

use mc_encoding::codecs;
use mc_family::tokenizer::Tokenizer;
use mc_gguf::model::decoder;
use mc_gguf::names::model_tensor;
use mc_gguf::vocabulary_keys::vocabulary as gguf_vocabulary;
use mc_ir::action::{ActionError, Content};
use mc_runtime::model::Model;
use mc_runtime::weight::{Weight as RuntimeWeight, WeightBytes};
use mc_runtime::weights::Weights;
use mc_tensor::dtype::DType;

use crate::inference::opened::{Opened, dimensions, tensor_error};
use crate::source::gguf_head::{self, GGUF_TEMPLATE};

/// Brings up the model in a GGUF.
///
/// # Errors
/// When the file is broken, or no model that we can run.
pub(crate) fn open_gguf(content: &Content) -> Result<Opened, ActionError> {
    let gguf = gguf_head::of_content(content)?;
    let decoder = decoder(&gguf).map_err(ActionError::failed)?;
    let vocabulary = gguf_vocabulary(&gguf).map_err(ActionError::failed)?;
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).map_err(ActionError::failed)?;
    let mut weights = Weights::new();
    for tensor in &gguf.tensors {
        let Some(purpose) = model_tensor(&tensor.name) else {
            return Err(ActionError::failed(format!("Tensor `{}` is of no known purpose", tensor.name)));
        };
        let codec = codecs::by_wire_id(tensor.kind.wire_id).ok_or_else(|| {
            ActionError::failed(format!(
                "Tensor `{}` has type {}, which cannot be run",
                tensor.name, tensor.kind.name
            ))
        })?;
        let piece = content
            .piece(tensor.start..tensor.end)
            .ok_or_else(|| ActionError::failed(format!("Tensor `{}` is not in one piece", tensor.name)))?;
        // A file names the fastest dimension first.
        let shape: Vec<u64> = tensor.dims.iter().rev().copied().collect();
        let bytes = WeightBytes::new(piece.bytes, piece.range).map_err(ActionError::failed)?;
        let shape = dimensions(&shape)?;
        let weight = match codec.name {
            "F32" => RuntimeWeight::plain(shape, DType::F32, bytes),
            "F16" => RuntimeWeight::plain(shape, DType::F16, bytes),
            "BF16" => RuntimeWeight::plain(shape, DType::BF16, bytes),
            _ => RuntimeWeight::blocks(shape, codec, bytes),
        };
        weights.insert(purpose, weight.map_err(|error| tensor_error(&tensor.name, &error))?);
    }
    let model = Model::new(&decoder, weights).map_err(ActionError::failed)?;
    Ok(Opened { model, tokenizer: Arc::new(tokenizer), vocabulary, template_place: GGUF_TEMPLATE })
}
