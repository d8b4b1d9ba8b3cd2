//! Position of a tensor within its model: the only input that a recipe uses to choose a codec.
//!
//! This module makes no choices: it provides predicates that several recipes share.

use mc_tensor::model_tensor::ModelTensor;

/// The part of a layer that a tensor belongs to, as far as recipes distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Query projection.
    Query,
    /// Key projection.
    Key,
    /// Value projection, also if it is fused with query and key.
    Value,
    /// Attention output projection.
    AttnOutput,
    /// Gate projection, of one expert or of all.
    Gate,
    /// Up projection, of one expert or of all.
    Up,
    /// Down projection, of one expert or of all.
    Down,
    /// A tensor that no recipe names.
    Other,
}

impl Part {
    /// The part of a tensor. Embedding and output are not parts, because recipes have fields for them.
    pub fn of(tensor: ModelTensor) -> Self {
        match tensor {
            ModelTensor::AttnQ { .. } => Self::Query,
            ModelTensor::AttnK { .. } => Self::Key,
            ModelTensor::AttnV { .. } | ModelTensor::AttnQkv { .. } => Self::Value,
            ModelTensor::AttnOutput { .. } => Self::AttnOutput,
            ModelTensor::FfnGate { .. } | ModelTensor::FfnGateExps { .. } => Self::Gate,
            ModelTensor::FfnUp { .. } | ModelTensor::FfnUpExps { .. } => Self::Up,
            ModelTensor::FfnDown { .. } | ModelTensor::FfnDownExps { .. } => Self::Down,
            _ => Self::Other,
        }
    }

    /// Returns true if the part belongs to the feed-forward, whose tensors are counted by the model's layers.
    pub fn is_feed_forward(self) -> bool {
        matches!(self, Self::Gate | Self::Up | Self::Down)
    }
}

/// The properties of a model that recipes use, besides its tensors.
#[derive(Clone, Copy, Debug)]
pub struct ModelShape {
    /// Number of layers.
    pub n_blocks: usize,
    /// Number of query heads in the first layer.
    pub n_heads: u32,
    /// Number of key and value heads in the first layer; zero if it has no attention.
    pub n_kv_heads: u32,
    /// Number of experts per layer; zero for a dense feed-forward.
    pub n_experts: u32,
}

impl ModelShape {
    /// Query heads per key and value head in the first layer, as in llama.cpp; zero if it has no attention.
    pub fn heads_per_kv_head(&self) -> u32 {
        self.n_heads.checked_div(self.n_kv_heads).unwrap_or(0)
    }
}

/// Position of a tensor among those of its part.
#[derive(Clone, Copy, Debug)]
pub struct TensorPosition {
    /// The part.
    pub part: Part,
    /// Number of preceding tensors of the part, by layer; those whose codec a declaration names are not counted.
    pub i: usize,
    /// Depth of the tensor: its layer, for the feed-forward of a model with experts; otherwise `i`.
    pub depth: usize,
    /// Number of tensors of the part; for the feed-forward, the number of layers.
    pub n: usize,
    /// True if the tensor holds all experts of its layer, one after another.
    pub is_stacked: bool,
    /// The model.
    pub model: ModelShape,
    /// True if importance weights are used.
    pub has_imatrix: bool,
}

impl TensorPosition {
    /// Returns true if the tensor is in the first eighth.
    pub fn is_in_first_eighth(&self) -> bool {
        self.depth < self.n / 8
    }

    /// Returns true if a mix gives the tensor more bits: in the first and last eighth, and every third between.
    pub fn deserves_more(&self) -> bool {
        let eighth = self.n / 8;
        self.depth < eighth
            || self.depth >= 7 * self.n / 8
            || self.depth.checked_sub(eighth).is_some_and(|past| past % 3 == 2)
    }

    /// Returns true if many query heads share a value head. The value projection is then small, and more bits cost
    /// little.
    pub fn has_small_values(&self) -> bool {
        self.model.heads_per_kv_head() >= 4
    }

    /// Returns true if the model has eight experts. Attention is then small compared with the feed-forward.
    pub fn has_eight_experts(&self) -> bool {
        self.model.n_experts == 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(depth: usize, n: usize) -> TensorPosition {
        let model = ModelShape { n_blocks: n, n_heads: 8, n_kv_heads: 0, n_experts: 0 };
        TensorPosition { part: Part::Down, i: depth, depth, n, is_stacked: false, model, has_imatrix: false }
    }

    #[test]
    fn the_ends_and_every_third_between_get_more() {
        let chosen = |n| (0..n).filter(|depth| position(*depth, n).deserves_more()).collect::<Vec<_>>();
        assert_eq!(chosen(4), [2, 3]);
        assert_eq!(chosen(16), [0, 1, 4, 7, 10, 13, 14, 15]);
    }

    #[test]
    fn a_first_layer_without_attention_has_no_small_values() {
        assert!(!position(0, 4).has_small_values());
    }
}
