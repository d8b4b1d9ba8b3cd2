//! Names of tensors in checkpoints: tables from which families are composed.

use mc_tensor::model_tensor::ModelTensor;

/// The meaning of a tensor's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// The expert's index, if each expert is stored separately.
    pub part: Option<u32>,
}

/// The names of a family's tensors.
#[derive(Debug)]
pub struct Names {
    /// Tensors outside the layers.
    pub outside: &'static [(&'static str, ModelTensor)],
    /// Tensors of a layer, by their name after `model.layers.N.`.
    pub layer: &'static [&'static [LayerName]],
    /// Tensors of one expert, by their name before and after its number.
    pub expert: &'static [ExpertName],
}

/// A name after `model.layers.N.`, and its purpose in layer `N`.
pub type LayerName = (&'static str, fn(u32) -> ModelTensor);

/// Like [`LayerName`], with the text before and after the expert's number.
pub type ExpertName = (&'static str, &'static str, fn(u32) -> ModelTensor);

const LAYERS: &str = "model.layers.";

impl Names {
    /// Returns the meaning of a name.
    pub fn find(&self, name: &str) -> Option<Found> {
        if let Some((_, tensor)) = self.outside.iter().find(|(known, _)| *known == name) {
            return Some(Found { tensor: *tensor, part: None });
        }
        let (block, rest) = number(name.strip_prefix(LAYERS)?)?;
        let rest = rest.strip_prefix('.')?;
        if let Some((_, tensor)) = self.layer_names().find(|(known, _)| *known == rest) {
            return Some(Found { tensor: tensor(block), part: None });
        }
        self.expert.iter().find_map(|(before, after, tensor)| {
            let (part, rest) = number(rest.strip_prefix(before)?)?;
            (rest == *after).then(|| Found { tensor: tensor(block), part: Some(part) })
        })
    }

    /// Returns the name with this meaning.
    pub fn name(&self, found: Found) -> Option<String> {
        let Some(block) = found.tensor.block() else {
            let (name, _) = self.outside.iter().find(|(_, known)| *known == found.tensor)?;
            return found.part.is_none().then(|| (*name).to_owned());
        };
        if let Some(part) = found.part {
            let is_it = |(_, _, known): &&ExpertName| known(block) == found.tensor;
            let (before, after, _) = self.expert.iter().find(is_it)?;
            return Some(format!("{LAYERS}{block}.{before}{part}{after}"));
        }
        let (name, _) = self.layer_names().find(|(_, known)| known(block) == found.tensor)?;
        Some(format!("{LAYERS}{block}.{name}"))
    }

    fn layer_names(&self) -> impl Iterator<Item = &'static LayerName> {
        self.layer.iter().copied().flatten()
    }
}

/// Splits off the number at the beginning of a name. `03` and `+3` are refused, as second names of the same
/// tensor.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some((number, rest))
}

/// Embedding, norm and head of most families.
pub(crate) const OUTSIDE: &[(&str, ModelTensor)] = &[
    ("model.embed_tokens.weight", ModelTensor::TokenEmbedding),
    ("model.norm.weight", ModelTensor::OutputNorm),
    ("lm_head.weight", ModelTensor::Output),
];

/// Separate projections of attention.
pub(crate) const ATTENTION: &[LayerName] = &[
    ("self_attn.q_proj.weight", |block| ModelTensor::AttnQ { block }),
    ("self_attn.k_proj.weight", |block| ModelTensor::AttnK { block }),
    ("self_attn.v_proj.weight", |block| ModelTensor::AttnV { block }),
    ("self_attn.o_proj.weight", |block| ModelTensor::AttnOutput { block }),
    ("self_attn.q_proj.bias", |block| ModelTensor::AttnQBias { block }),
    ("self_attn.k_proj.bias", |block| ModelTensor::AttnKBias { block }),
    ("self_attn.v_proj.bias", |block| ModelTensor::AttnVBias { block }),
    ("self_attn.o_proj.bias", |block| ModelTensor::AttnOutputBias { block }),
];

/// Norms of queries and keys.
pub(crate) const QK_NORMS: &[LayerName] = &[
    ("self_attn.q_norm.weight", |block| ModelTensor::AttnQNorm { block }),
    ("self_attn.k_norm.weight", |block| ModelTensor::AttnKNorm { block }),
];

/// A norm before each half of a layer.
pub(crate) const PRE_NORMS: &[LayerName] = &[
    ("input_layernorm.weight", |block| ModelTensor::AttnNorm { block }),
    ("post_attention_layernorm.weight", |block| ModelTensor::FfnNorm { block }),
];

/// A norm before and after each half of a layer.
pub(crate) const SANDWICH_NORMS: &[LayerName] = &[
    ("input_layernorm.weight", |block| ModelTensor::AttnNorm { block }),
    ("post_attention_layernorm.weight", |block| ModelTensor::PostAttnNorm { block }),
    ("pre_feedforward_layernorm.weight", |block| ModelTensor::FfnNorm { block }),
    ("post_feedforward_layernorm.weight", |block| ModelTensor::PostFfnNorm { block }),
];

/// Separate projections of a gated feed-forward.
pub(crate) const FEED_FORWARD: &[LayerName] = &[
    ("mlp.gate_proj.weight", |block| ModelTensor::FfnGate { block }),
    ("mlp.up_proj.weight", |block| ModelTensor::FfnUp { block }),
    ("mlp.down_proj.weight", |block| ModelTensor::FfnDown { block }),
];
