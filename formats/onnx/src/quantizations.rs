//! The words with which a target selects the encoding of its matrices.

use mc_exporter::quantization::Quantization;

use crate::element_type::ElementType;

/// Floats of 16 bits.
pub(crate) const F16: &str = "f16";

const fn floats(name: &'static str, doc: &'static str, bits_per_weight: f32) -> Quantization {
    Quantization { name, doc, grid: None, bits_per_weight }
}

/// A word for codes in blocks.
macro_rules! blocks {
    ($kind:literal, $bits:literal, $len:literal, $n_bits_of_block:literal, $doc:literal) => {
        Quantization {
            name: concat!($kind, "-g", $len),
            doc: concat!($doc, ", blocks of ", $len, " columns."),
            grid: Some(concat!($kind, "-g", $len, "-f32")),
            bits_per_weight: $bits as f32 + $n_bits_of_block as f32 / $len as f32,
        }
    };
}

/// Every word, the default first.
pub(crate) static QUANTIZATIONS: &[Quantization] = &[
    blocks!("int4", 4, 32, 32, "Symmetric 4-bit integers"),
    blocks!("int4", 4, 16, 32, "Symmetric 4-bit integers"),
    blocks!("int4", 4, 64, 32, "Symmetric 4-bit integers"),
    blocks!("int4", 4, 128, 32, "Symmetric 4-bit integers"),
    blocks!("int4", 4, 256, 32, "Symmetric 4-bit integers"),
    blocks!("uint4", 4, 16, 36, "4-bit integers with a zero point"),
    blocks!("uint4", 4, 32, 36, "4-bit integers with a zero point"),
    blocks!("uint4", 4, 64, 36, "4-bit integers with a zero point"),
    blocks!("uint4", 4, 128, 36, "4-bit integers with a zero point"),
    blocks!("uint4", 4, 256, 36, "4-bit integers with a zero point"),
    blocks!("int8", 8, 16, 32, "Symmetric 8-bit integers"),
    blocks!("int8", 8, 32, 32, "Symmetric 8-bit integers"),
    blocks!("int8", 8, 64, 32, "Symmetric 8-bit integers"),
    blocks!("int8", 8, 128, 32, "Symmetric 8-bit integers"),
    blocks!("int8", 8, 256, 32, "Symmetric 8-bit integers"),
    blocks!("uint8", 8, 16, 40, "8-bit integers with a zero point"),
    blocks!("uint8", 8, 32, 40, "8-bit integers with a zero point"),
    blocks!("uint8", 8, 64, 40, "8-bit integers with a zero point"),
    blocks!("uint8", 8, 128, 40, "8-bit integers with a zero point"),
    blocks!("uint8", 8, 256, 40, "8-bit integers with a zero point"),
    floats("f32", "32-bit floats.", 32.0),
    floats(F16, "16-bit floats for weights and activations; 32-bit sums and norms.", 16.0),
];

/// The words for the type of activations.
pub(crate) const ACTIVATIONS: [&str; 2] = ["f32", F16];

/// The type of activations with this word for activations, or with this word for the matrices.
pub(crate) fn activations(word: &str) -> ElementType {
    if word == F16 { ElementType::Float16 } else { ElementType::Float }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_grid_with_scales_of_32_bits() {
        for word in QUANTIZATIONS {
            let Some(name) = word.grid else { continue };
            let grid = mc_encoding::grids::by_name(name).unwrap();
            assert_eq!(name, format!("{}-f32", word.name));
            assert!(word.name.contains(&grid.bits.to_string()), "{name}");
        }
    }
}
