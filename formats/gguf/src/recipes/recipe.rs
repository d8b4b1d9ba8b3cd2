//! Recipes: a mix of codecs that assigns one to every tensor of a model.
//!
//! All tensors are resolved together before any is built, because a choice may depend on the number of layers and on
//! the number of preceding tensors with the same part.
//!
//! Source of the choices: llama.cpp's quantizer, compared tensor by tensor in `tests/recipes.rs`.

use std::collections::BTreeMap;

use mc_encoding::blocks::{plain, q3_k, q4_k, q5_k, q6_k, q8_0};
use mc_encoding::codec::{Codec, Importance};
use mc_tensor::model_tensor::ModelTensor;

use crate::recipes::overrides::Overrides;
use crate::recipes::tensor_position::{ModelShape, Part, TensorPosition};

/// A mix of codecs.
pub struct Recipe {
    /// Its name: `Q4_K_M`.
    pub name: &'static str,
    /// Its number in GGUF's `general.file_type`.
    pub file_type: u32,
    /// The codec of tensors that no rule names.
    pub default: &'static Codec,
    /// The codec of the output, or of the embedding if it is also the output, if rows are a whole number of the
    /// default's blocks; otherwise Q8_0 is used.
    pub head: &'static Codec,
    /// The codec of an embedding that is not also the output.
    pub embedding: &'static Codec,
    /// The codec of any other tensor; `None` for the default.
    pub choose: fn(&TensorPosition) -> Option<&'static Codec>,
    /// Adjusts the chosen codec; `lift_small_attention` in most recipes.
    pub lift: fn(&TensorPosition, &'static Codec) -> &'static Codec,
    /// Codecs that this recipe uses only with an imatrix, besides those that require one themselves.
    pub expects_imatrix: &'static [&'static Codec],
}

/// The codec of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The codec.
    pub codec: &'static Codec,
    /// True for a fallback, used because a row is not a whole number of the wanted codec's blocks.
    pub is_fallback: bool,
}

impl Recipe {
    /// One codec for everything but the head: the base of a mix.
    pub(crate) const fn uniform(name: &'static str, file_type: u32, default: &'static Codec) -> Self {
        Self {
            name,
            file_type,
            default,
            head: &q6_k::CODEC,
            embedding: default,
            choose: |_| None,
            lift: lift_small_attention,
            expects_imatrix: &[],
        }
    }

    /// Assigns a codec to every tensor.
    ///
    /// * `tensors`: the purpose and the shape (rows last) of each; only those with at least two dimensions are
    ///   quantized
    pub fn resolve(
        &self,
        model: ModelShape,
        tensors: &[(ModelTensor, Vec<u64>)],
        overrides: &Overrides,
        has_imatrix: bool,
    ) -> Vec<Choice> {
        let positions = positions(model, tensors, overrides, has_imatrix);
        let is_tied = !tensors.iter().any(|(tensor, _)| *tensor == ModelTensor::Output);
        let choose = |(tensor, dims): &(ModelTensor, Vec<u64>)| {
            if !is_quantized(*tensor, dims) {
                return Choice { codec: &plain::F32, is_fallback: false };
            }
            let n_cols = dims.last().map_or(0, |n_cols| usize::try_from(*n_cols).unwrap_or(usize::MAX));
            let wanted = if let Some(codec) = overrides.by_tensor.get(tensor) {
                codec
            } else if overrides.is_pure || self.is_plain() {
                self.default
            } else if *tensor == ModelTensor::Output || is_tied && *tensor == ModelTensor::TokenEmbedding {
                if self.default.fits(n_cols) { self.head } else { &q8_0::CODEC }
            } else if *tensor == ModelTensor::TokenEmbedding {
                self.embedding
            } else {
                let position = &positions[tensor];
                (self.lift)(position, (self.choose)(position).unwrap_or(self.default))
            };
            fit(wanted, n_cols)
        };
        tensors.iter().map(choose).collect()
    }

    /// The tensors that this recipe does not quantize without an imatrix, in the given order; empty if there are none.
    ///
    /// Embedding and output never count, because an imatrix has no data for them.
    pub fn needs_imatrix(
        &self,
        model: ModelShape,
        tensors: &[(ModelTensor, Vec<u64>)],
        overrides: &Overrides,
    ) -> Vec<ModelTensor> {
        let choices = self.resolve(model, tensors, overrides, false);
        let needs = |codec: &'static Codec| {
            matches!(codec.importance, Importance::Expected | Importance::Required)
                || self.expects_imatrix.contains(&codec)
        };
        tensors
            .iter()
            .zip(choices)
            .filter(|((tensor, _), choice)| {
                !matches!(tensor, ModelTensor::TokenEmbedding | ModelTensor::Output) && needs(choice.codec)
            })
            .map(|((tensor, _), _)| *tensor)
            .collect()
    }

    /// Returns true if nothing is quantized.
    fn is_plain(&self) -> bool {
        self.default.block_len == 1
    }
}

/// Returns true if the recipe chooses the codec of a tensor.
fn is_quantized(tensor: ModelTensor, dims: &[u64]) -> bool {
    tensor.is_quantizable() && dims.len() >= 2
}

/// The position of every quantized tensor.
fn positions(
    model: ModelShape,
    tensors: &[(ModelTensor, Vec<u64>)],
    overrides: &Overrides,
    has_imatrix: bool,
) -> BTreeMap<ModelTensor, TensorPosition> {
    let mut by_part: BTreeMap<Part, Vec<(Option<u32>, ModelTensor, usize)>> = BTreeMap::new();
    for (tensor, dims) in tensors.iter().filter(|(tensor, dims)| is_quantized(*tensor, dims)) {
        by_part.entry(Part::of(*tensor)).or_default().push((tensor.block(), *tensor, dims.len()));
    }
    let mut positions = BTreeMap::new();
    for (part, mut of_part) in by_part {
        of_part.sort();
        let n = if part.is_feed_forward() { model.n_blocks } else { of_part.len() };
        let mut i = 0;
        for (block, tensor, n_dims) in of_part {
            let layer = block.and_then(|block| usize::try_from(block).ok());
            let depth = layer.filter(|_| part.is_feed_forward() && model.n_experts > 1).unwrap_or(i);
            let position = TensorPosition { part, i, depth, n, is_stacked: n_dims > 2, model, has_imatrix };
            positions.insert(tensor, position);
            // llama.cpp does not count a tensor with a named codec, so the next one takes its index.
            i += usize::from(!overrides.by_tensor.contains_key(&tensor));
        }
    }
    positions
}

/// The codec itself, or its fallback if rows are not a whole number of its blocks.
///
/// If the fallback does not fit either, or there is none, the codec is F16.
fn fit(wanted: &'static Codec, n_cols: usize) -> Choice {
    if wanted.fits(n_cols) {
        return Choice { codec: wanted, is_fallback: false };
    }
    let codec = wanted.fallback.filter(|fallback| fallback.fits(n_cols)).unwrap_or(&plain::F16);
    Choice { codec, is_fallback: true }
}

/// Gives keys and values more bits if they are small: in the 80-layer Llama, whose eight query heads share one value
/// head, and in models with eight experts.
pub(crate) fn lift_small_attention(position: &TensorPosition, chosen: &'static Codec) -> &'static Codec {
    let is_seventy_billion = position.model.n_blocks == 80 && position.model.heads_per_kv_head() > 1;
    match position.part {
        Part::Key | Part::Value if position.has_eight_experts() => &q8_0::CODEC,
        Part::Value if is_seventy_billion && [&q3_k::CODEC, &q4_k::CODEC].contains(&chosen) => &q5_k::CODEC,
        _ => chosen,
    }
}

/// Returns the chosen codec unchanged.
pub(crate) fn as_chosen(_: &TensorPosition, chosen: &'static Codec) -> &'static Codec {
    chosen
}
