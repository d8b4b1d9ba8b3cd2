//! The table of encodings: the modes of MLX's quantizer, the mixtures of `mlx_lm.convert`, and floating-point types.

use mc_exporter::quantization::Quantization;
use mc_tensor::dtype::DType;

use crate::mixed::{MIXTURES, Mixture};
use crate::scheme::{SCHEMES, Scheme};

/// The floating-point types: a word for matrices that are not quantized.
const FLOATS: [(&str, DType, &str); 3] = [
    ("bf16", DType::BF16, "All weights as BF16."),
    ("f16", DType::F16, "All weights as F16."),
    ("f32", DType::F32, "All weights as F32."),
];

const fn of_scheme(scheme: Scheme) -> Quantization {
    let affine = "Integers with a scale and a bias per group: bits per weight, and columns per group.";
    let float4 = "Floats of 4 bits, with a power of two per 32 columns.";
    let float8 = "Floats of 8 bits, with a power of two per 32 columns.";
    let nvfp4 = "Floats of 4 bits, with a float of 8 bits per 16 columns.";
    let (doc, bits_per_scale) = match (scheme.mode.as_bytes()[0], scheme.bits) {
        (b'a', _) => (affine, 32.0),
        (b'n', _) => (nvfp4, 8.0),
        (_, 4) => (float4, 8.0),
        _ => (float8, 8.0),
    };
    let bits_per_weight = scheme.bits as f32 + bits_per_scale / scheme.group_size as f32;
    Quantization { name: scheme.grid, doc, grid: Some(scheme.grid), bits_per_weight }
}

const fn of_mixture(mixture: &Mixture) -> Quantization {
    let (low, high) = (mixture.low.bits as f32, mixture.high.bits as f32);
    // A quarter of the weights: down projections and values of about half of the layers.
    let bits_per_weight = low + (high - low) / 4.0 + 0.5;
    Quantization { name: mixture.name, doc: mixture.doc, grid: Some(mixture.low.grid), bits_per_weight }
}

const fn table() -> [Quantization; 28] {
    let mut table = [of_scheme(SCHEMES[0]); 28];
    let mut index = 0;
    while index < SCHEMES.len() {
        table[index] = of_scheme(SCHEMES[index]);
        index += 1;
    }
    index = 0;
    while index < MIXTURES.len() {
        table[SCHEMES.len() + index] = of_mixture(&MIXTURES[index]);
        index += 1;
    }
    index = 0;
    while index < FLOATS.len() {
        let (name, dtype, doc) = FLOATS[index];
        let bits_per_weight = if matches!(dtype, DType::F32) { 32.0 } else { 16.0 };
        table[SCHEMES.len() + MIXTURES.len() + index] =
            Quantization { name, doc, grid: None, bits_per_weight };
        index += 1;
    }
    table
}

/// Every word, the default first.
pub static QUANTIZATIONS: [Quantization; 28] = table();

/// The type that a word of the table of floats names; also for the setting `dtype`.
pub(crate) fn float(word: &str) -> Option<DType> {
    FLOATS.iter().find(|(name, _, _)| *name == word).map(|(_, dtype, _)| *dtype)
}

/// The words of the setting `dtype`.
pub fn float_words() -> Vec<&'static str> {
    FLOATS.iter().map(|(name, _, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_once() {
        let mut names: Vec<&str> = QUANTIZATIONS.iter().map(|quantization| quantization.name).collect();
        assert_eq!((names[0], names.len()), ("affine-4-g64", 28));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 28);
    }
}
