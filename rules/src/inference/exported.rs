//! The model in an exported file, opened with the blocks in the file.

use std::sync::Arc;

use mc_exporter::model_file::FileTensor;
use mc_family::tokenizer::Tokenizer;
use mc_ir::action::{ActionError, Content};
use mc_runtime::backends::BackendEntry;
use mc_runtime::model::Model;
use mc_runtime::weight::Weight as RuntimeWeight;
use mc_runtime::weight_bytes::WeightBytes;
use mc_runtime::weights::Weights;
use mc_tensor::dtype::DType;

use crate::inference::opened::{Opened, dimensions, tensor_error};
use crate::source::file_head;

/// Opens the model in a file of any readable format.
///
/// # Errors
/// Fails if the file is corrupt, or if its model is not supported.
pub(crate) fn open_exported(content: &Content, backend: &BackendEntry) -> Result<Opened, ActionError> {
    let backend = backend.open().map_err(ActionError::failed)?;
    let file = file_head::open(content)?;
    let template_place = file_head::template_place(content);
    let tokenizer = Tokenizer::from_vocabulary(&file.vocabulary).map_err(ActionError::failed)?;
    let mut weights = Weights::new();
    for tensor in &file.tensors {
        let Some(purpose) = tensor.tensor else {
            return Err(ActionError::failed(format!("Tensor `{}` has an unknown purpose", tensor.name)));
        };
        weights.insert(purpose, weight(tensor, content)?);
    }
    let model = Model::with_backend(&file.decoder, weights, backend).map_err(ActionError::failed)?;
    Ok(Opened { model, tokenizer: Arc::new(tokenizer), vocabulary: file.vocabulary, template_place })
}

fn weight(tensor: &FileTensor, content: &Content) -> Result<RuntimeWeight, ActionError> {
    let codec = tensor.codec.ok_or_else(|| {
        ActionError::failed(format!("Tensor `{}` has type {}, which cannot be run", tensor.name, tensor.kind))
    })?;
    let piece = content
        .piece(tensor.range.clone())
        .ok_or_else(|| ActionError::failed(format!("Tensor `{}` is not in one piece", tensor.name)))?;
    let bytes = WeightBytes::new(piece.bytes, piece.range).map_err(ActionError::failed)?;
    let shape = dimensions(&tensor.shape)?;
    let weight = match codec.name {
        "F32" => RuntimeWeight::plain(shape, DType::F32, bytes),
        "F16" => RuntimeWeight::plain(shape, DType::F16, bytes),
        "BF16" => RuntimeWeight::plain(shape, DType::BF16, bytes),
        _ => RuntimeWeight::blocks(shape, codec, bytes),
    };
    weight.map_err(|error| tensor_error(&tensor.name, &error))
}
