//! Where a tensor stands in its model, which is all that a recipe may look at when it chooses a codec.
//!
//! This module chooses nothing itself: it holds the questions that more than one recipe asks.

use mc_tensor::model_tensor::ModelTensor;

/// What a tensor does, as far as recipes tell tensors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Query projection.
    Query,
    /// Key projection.
    Key,
    /// Value projection, also one that holds query and key too.
    Value,
    /// Attention output projection.
    AttnOutput,
    /// Gate projection, of one expert or of all.
    Gate,
    /// Up projection, of one expert or of all.
    Up,
    /// Down projection, of one expert or of all.
    Down,
    /// What no recipe names.
    Other,
}

impl Part {
    /// The part of a tensor; embedding and output are not among the parts, because recipes have fields for them.
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

    /// Whether the part belongs to the feed-forward, whose tensors are counted against the model's layers.
    pub fn is_feed_forward(self) -> bool {
        matches!(self, Self::Gate | Self::Up | Self::Down)
    }
}

/// What a recipe must know about a model besides its tensors.
#[derive(Clone, Copy, Debug)]
pub struct ModelShape {
    /// Layers.
    pub n_blocks: usize,
    /// Query heads of the first layer.
    pub n_heads: u32,
    /// Key and value heads of the first layer; zero where it has no attention.
    pub n_kv_heads: u32,
    /// Experts of a layer; zero where there is one feed-forward for every token.
    pub n_experts: u32,
}

impl ModelShape {
    /// Query heads per key and value head, by the first layer as llama.cpp does; zero where that has no attention.
    pub fn heads_per_kv_head(&self) -> u32 {
        self.n_heads.checked_div(self.n_kv_heads).unwrap_or(0)
    }
}

/// Where a tensor stands among those of its part.
#[derive(Clone, Copy, Debug)]
pub struct TensorPosition {
    /// What the tensor does.
    pub part: Part,
    /// How many of the part came before, by layer; those whose codec a declaration names are not counted.
    pub i: usize,
    /// How deep the tensor lies: its layer in the feed-forward of a model with experts, else as `i`.
    pub depth: usize,
    /// How many of the part there are; layers of the model for the feed-forward.
    pub n: usize,
    /// Whether the tensor holds all experts of its layer, one after another.
    pub is_stacked: bool,
    /// The model.
    pub model: ModelShape,
    /// Whether importance weights are used.
    pub has_imatrix: bool,
}

impl TensorPosition {
    /// Whether the tensor is in the first eighth.
    pub fn is_in_first_eighth(&self) -> bool {
        self.depth < self.n / 8
    }

    /// Whether a mix gives the tensor more bits: the first and last eighth, and every third between.
    pub fn deserves_more(&self) -> bool {
        let eighth = self.n / 8;
        self.depth < eighth
            || self.depth >= 7 * self.n / 8
            || self.depth.checked_sub(eighth).is_some_and(|past| past % 3 == 2)
    }

    /// Whether so many query heads share a value head that its projection is small, and more bits cost little.
    pub fn has_small_values(&self) -> bool {
        self.model.heads_per_kv_head() >= 4
    }

    /// Whether the model has eight experts, where attention is small beside the feed-forward.
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
    fn the_ends_and_every_third_between_deserve_more() {
        let chosen = |n| (0..n).filter(|depth| position(*depth, n).deserves_more()).collect::<Vec<_>>();
        assert_eq!(chosen(4), [2, 3]);
        assert_eq!(chosen(16), [0, 1, 4, 7, 10, 13, 14, 15]);
    }

    #[test]
    fn a_first_layer_without_attention_has_no_small_values() {
        assert!(!position(0, 4).has_small_values());
    }
}
