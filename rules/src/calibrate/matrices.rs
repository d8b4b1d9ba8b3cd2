//! The matrices of a model that are measured, and the names of their outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_gguf::names::wire_name;
use mc_ir::action::{ActionNode, Artifact};
use mc_tensor::model_tensor::ModelTensor;

use crate::source::model_info::ModelInfo;

/// A matrix that may be measured.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// Its position in the model.
    pub(crate) tensor: ModelTensor,
    /// Number of its columns.
    pub(crate) n_cols: u64,
    /// Number of experts stacked in it; 1 for a plain matrix.
    pub(crate) n_parts: u64,
}

/// Returns true if a tensor is a matrix of a layer; embedding and head are not measured, as in llama.cpp.
pub(crate) fn is_measured(tensor: ModelTensor) -> bool {
    tensor.is_quantizable() && tensor.block().is_some()
}

/// Returns the matrices of the layers.
pub(crate) fn matrices(model: &ModelInfo) -> Vec<Matrix> {
    let mut matrices: BTreeMap<ModelTensor, Matrix> = BTreeMap::new();
    for weight in model.weights.iter().filter(|weight| is_measured(weight.tensor)) {
        let n_cols = weight.shape().last().copied().unwrap_or(0);
        matrices
            .entry(weight.tensor)
            // The experts of a layer form one matrix of the file.
            .and_modify(|matrix| matrix.n_parts += 1)
            .or_insert(Matrix { tensor: weight.tensor, n_cols, n_parts: 1 });
    }
    matrices.into_values().collect()
}

/// Returns the name of the output that holds a matrix's measurement.
pub(crate) fn row_output(tensor: ModelTensor) -> String {
    format!("rows/{}", wire_name(tensor))
}

/// Returns the outputs of an action that measures these matrices, by matrix.
pub(crate) fn rows(node: &Arc<ActionNode>, matrices: &[Matrix]) -> BTreeMap<ModelTensor, Artifact> {
    matrices.iter().map(|matrix| (matrix.tensor, node.artifact(&row_output(matrix.tensor)))).collect()
}
