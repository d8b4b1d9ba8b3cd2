//! The words with which a target selects the encoding of its matrices.

use mc_exporter::quantization::Quantization;

use crate::element_type::ElementType;

/// Floats of 32 bits.
pub(crate) const F32: &str = "f32";
/// Floats of 16 bits, for weights and activations.
pub(crate) const F16: &str = "f16";

const fn blocks(
    name: &'static str,
    doc: &'static str,
    grid: &'static str,
    bits_per_weight: f32,
) -> Quantization {
    Quantization { name, doc, grid: Some(grid), bits_per_weight }
}

const fn floats(name: &'static str, doc: &'static str, bits_per_weight: f32) -> Quantization {
    Quantization { name, doc, grid: None, bits_per_weight }
}

/// Every word, the default first.
pub(crate) static QUANTIZATIONS: &[Quantization] =
    &[floats(F32, "32-bit floats.", 32.0), floats(F16, "16-bit floats, for weights and activations.", 16.0)];

/// The word, or the default for an empty one.
pub(crate) fn by_name(name: &str) -> Option<&'static Quantization> {
    QUANTIZATIONS.iter().find(|word| name.is_empty() || word.name == name)
}

/// The type of activations with this word for the model.
pub(crate) fn activations(word: &str) -> ElementType {
    if word == F16 { ElementType::Float16 } else { ElementType::Float }
}
