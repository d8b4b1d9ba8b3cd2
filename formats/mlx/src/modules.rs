//! Names: those of tensors in the files, and those of the modules that own them.

use mc_exporter::plane::EncodedTensor;
use mc_tensor::model_tensor::ModelTensor;

/// The name of a plane.
///
/// * `tensor`: the name of its tensor: [`tensor_name`]
/// * `role`: `weight`, `scales` or `biases`
pub(crate) fn plane_name(tensor: &str, role: &str) -> String {
    format!("{}.{role}", module(tensor))
}

/// The module of a weight.
pub(crate) fn module(tensor: &str) -> &str {
    tensor.strip_suffix(".weight").unwrap_or(tensor)
}

/// The name of a tensor: that of the checkpoint. mlx-lm joins the experts of a layer in `switch_mlp`.
pub(crate) fn tensor_name(tensor: ModelTensor, name: &str) -> String {
    let part = match tensor {
        ModelTensor::FfnGateExps { .. } => "gate_proj",
        ModelTensor::FfnUpExps { .. } => "up_proj",
        ModelTensor::FfnDownExps { .. } => "down_proj",
        _ => return name.to_owned(),
    };
    let layer = name.split_once(".experts").map_or(name, |(layer, _)| layer);
    format!("{layer}.switch_mlp.{part}.weight")
}

/// Returns true if mlx-lm quantizes the tensor: matrices, the embedding, and routers.
pub(crate) fn is_quantized(tensor: ModelTensor) -> bool {
    tensor.is_quantizable() || matches!(tensor, ModelTensor::FfnGateInp { .. })
}

/// The dimensions of a tensor that stays as it is: kernels of convolutions have their channels last.
pub(crate) fn dims(tensor: &EncodedTensor) -> Vec<u64> {
    match (tensor.tensor, tensor.shape.as_slice()) {
        (ModelTensor::ShortconvConv { .. }, [n_embd, 1, kernel_len]) => vec![*n_embd, *kernel_len, 1],
        (_, shape) => shape.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experts_are_joined() {
        let tensor = ModelTensor::FfnDownExps { block: 1 };
        assert_eq!(
            tensor_name(tensor, "model.layers.1.block_sparse_moe.experts.0.w2.weight"),
            "model.layers.1.block_sparse_moe.switch_mlp.down_proj.weight"
        );
        assert_eq!(tensor_name(ModelTensor::Output, "lm_head.weight"), "lm_head.weight");
    }

    #[test]
    fn planes_are_named_after_their_module() {
        assert_eq!(plane_name("lm_head.weight", "scales"), "lm_head.scales");
        assert_eq!(plane_name("lm_head.weight", "weight"), "lm_head.weight");
    }
}
