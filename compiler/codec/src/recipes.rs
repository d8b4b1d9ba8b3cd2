//! The table of recipes, and what a recipe is: a mix of codecs that names one for every tensor of a model.
//!
//! All tensors are resolved together before any is built, because a choice may depend on how many layers there are
//! and on how many tensors of a role came before.
//!
//! Source of the choices: llama.cpp's quantizer, compared tensor by tensor in `tests/recipes.rs`.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::codec::Codec;
use crate::recipe::{plain, q4_0, q4_1, q4_k_m, q4_k_s, q5_0, q5_1, q5_k_m, q5_k_s, q6_k, q8_0};
use crate::{
    plain as plain_codec, q4_k, q5_0 as q5_0_codec, q5_1 as q5_1_codec, q5_k, q6_k as q6_k_codec,
    q8_0 as q8_0_codec,
};

/// Every recipe. Adding one is a file in `recipe/` and a row here.
pub static RECIPES: &[&Recipe] = &[
    &plain::F32,
    &plain::F16,
    &plain::BF16,
    &q8_0::RECIPE,
    &q4_0::RECIPE,
    &q4_1::RECIPE,
    &q5_0::RECIPE,
    &q5_1::RECIPE,
    &q4_k_s::RECIPE,
    &q4_k_m::RECIPE,
    &q5_k_s::RECIPE,
    &q5_k_m::RECIPE,
    &q6_k::RECIPE,
];

/// A mix of codecs.
pub struct Recipe {
    /// Its name: `Q4_K_M`.
    pub name: &'static str,
    /// Its number in GGUF's `general.file_type`.
    pub file_type: u32,
    /// The codec of tensors that no rule names.
    pub default: &'static Codec,
    /// The codec of a tensor, where it is not the default; embedding and output are not asked for.
    pub choose: fn(&Seat) -> Option<&'static Codec>,
}

/// Where a tensor stands among those of its role.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// What the tensor is for.
    pub tensor: ModelTensor,
    /// How many of the role came before, by layer.
    pub i: usize,
    /// How many of the role there are.
    pub n: usize,
    /// Query heads per key and value head.
    pub heads_per_kv_head: u32,
    /// How many layers the model has.
    pub n_blocks: usize,
    /// Whether importance weights are used.
    pub has_imatrix: bool,
}

/// What a recipe must know about a model besides its tensors.
#[derive(Clone, Copy, Debug)]
pub struct ModelShape {
    /// Layers.
    pub n_blocks: usize,
    /// Query heads.
    pub n_heads: u32,
    /// Key and value heads.
    pub n_kv_heads: u32,
}

/// The codec of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which codec.
    pub codec: &'static Codec,
    /// Whether it is a fallback, because a row is no whole number of the wanted codec's blocks.
    pub is_fallback: bool,
}

/// The recipe of a name.
pub fn by_name(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().copied().find(|recipe| recipe.name == name)
}

/// Every name, in the order of the table.
pub fn names() -> Vec<&'static str> {
    RECIPES.iter().map(|recipe| recipe.name).collect()
}

impl Recipe {
    /// The codec of every tensor.
    ///
    /// * `tensors`: what each is for, and the length of its rows; only those with two dimensions are quantized
    pub fn resolve(
        &self,
        shape: ModelShape,
        tensors: &[(ModelTensor, Vec<u64>)],
        has_imatrix: bool,
    ) -> Vec<Choice> {
        let mut by_role: BTreeMap<&'static str, Vec<ModelTensor>> = BTreeMap::new();
        for (tensor, _) in tensors {
            by_role.entry(tensor.role()).or_default().push(*tensor);
        }
        for tensors in by_role.values_mut() {
            tensors.sort();
        }
        let is_tied = !tensors.iter().any(|(tensor, _)| *tensor == ModelTensor::Output);
        let choose = |(tensor, dims): &(ModelTensor, Vec<u64>)| {
            if !tensor.is_quantizable() || dims.len() < 2 {
                return Choice { codec: &plain_codec::F32, is_fallback: false };
            }
            let n_cols = usize::try_from(dims[dims.len() - 1]).unwrap_or(usize::MAX);
            let of_role = &by_role[tensor.role()];
            let seat = Seat {
                tensor: *tensor,
                i: of_role.partition_point(|other| other < tensor),
                n: of_role.len(),
                heads_per_kv_head: shape.n_heads / shape.n_kv_heads.max(1),
                n_blocks: shape.n_blocks,
                has_imatrix,
            };
            let is_head = *tensor == ModelTensor::Output || is_tied && *tensor == ModelTensor::TokenEmbedding;
            let wanted = if is_head {
                self.head(n_cols)
            } else if *tensor == ModelTensor::TokenEmbedding {
                self.default
            } else {
                (self.choose)(&seat).unwrap_or(self.default)
            };
            fit(wanted, n_cols)
        };
        tensors.iter().map(choose).collect()
    }

    /// The codec of the output, or of the embedding that is the output too.
    fn head(&self, n_cols: usize) -> &'static Codec {
        if self.default.block_len == 1 {
            self.default
        } else if self.default == &q8_0_codec::CODEC || !self.default.fits(n_cols) {
            &q8_0_codec::CODEC
        } else {
            &q6_k_codec::CODEC
        }
    }
}

/// The codec itself, or what stands in for it when rows are no whole number of its blocks.
fn fit(wanted: &'static Codec, n_cols: usize) -> Choice {
    if wanted.fits(n_cols) {
        return Choice { codec: wanted, is_fallback: false };
    }
    let stand_in: &'static Codec = if wanted == &q4_k::CODEC {
        &q5_0_codec::CODEC
    } else if wanted == &q5_k::CODEC {
        &q5_1_codec::CODEC
    } else if wanted == &q6_k_codec::CODEC {
        &q8_0_codec::CODEC
    } else {
        &plain_codec::F16
    };
    let codec = if stand_in.fits(n_cols) { stand_in } else { &plain_codec::F16 };
    Choice { codec, is_fallback: true }
}

/// Whether a tensor is one of those that a mix gives more bits: the first and last eighth, and every third between.
pub(crate) fn deserves_more(seat: &Seat) -> bool {
    let eighth = seat.n / 8;
    seat.i < eighth || seat.i >= 7 * seat.n / 8 || (seat.i - eighth) % 3 == 2
}

/// What every mix does for the 80-layer Llama, whose eight query heads share one value head.
pub(crate) fn is_seventy_billion_value(seat: &Seat) -> bool {
    matches!(seat.tensor, ModelTensor::AttnV { .. }) && seat.n_blocks == 80 && seat.heads_per_kv_head > 1
}
