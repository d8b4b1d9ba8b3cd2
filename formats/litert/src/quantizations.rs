//! The words with which a target selects the encoding of matrices, and the stored form of each tensor.

use mc_encoding::blocks::plain;
use mc_encoding::encoding::Encoding;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::quantization::{Quantization, UnencodedTensor};
use mc_exporter::refusal::Refusal;
use mc_tensor::model_tensor::ModelTensor;

/// The grid with a scale per row of 8-bit codes, which tables of embeddings have if matrices have blocks.
const INT8_CHANNEL: &str = "int8-channel";

/// Every word, the default first.
pub(crate) const QUANTIZATIONS: &[Quantization] = &[
    Quantization {
        name: "int4-g32",
        doc: "4-bit codes with a 16-bit scale for each 32 columns. It runs on CPUs only.",
        grid: Some("int4-g32-bf16"),
        bits_per_weight: 4.5,
    },
    Quantization {
        name: "int4-channel",
        doc: "4-bit codes with one scale for each row. It also runs on GPUs, but loses far more than `int4-g32`.",
        grid: Some("int4-channel"),
        bits_per_weight: 4.01,
    },
    Quantization {
        name: INT8_CHANNEL,
        doc: "8-bit codes with one scale for each row. It also runs on GPUs.",
        grid: Some(INT8_CHANNEL),
        bits_per_weight: 8.01,
    },
    Quantization {
        name: "f32",
        doc: "32-bit floating-point numbers. It runs on CPUs only.",
        grid: None,
        bits_per_weight: 32.0,
    },
];

/// The stored form of a tensor.
///
/// # Errors
/// If rows of the tensor are not whole groups.
pub(crate) fn form(tensor: &UnencodedTensor<'_>, quantization: &Quantization) -> Result<StoredForm, Refusal> {
    let Some(grid) = quantization.grid.filter(|_| tensor.tensor.is_quantizable()) else {
        return Ok(StoredForm::Blocks(&plain::F32));
    };
    // `EMBEDDING_LOOKUP` reads rows with one scale each.
    let is_table = tensor.tensor == ModelTensor::TokenEmbedding;
    let grid = if is_table && !grid.ends_with("channel") { INT8_CHANNEL } else { grid };
    let packing = if grid.starts_with("int4") { "signed-nibbles" } else { "signed-bytes" };
    let encoding: Encoding = format!("{grid}:{packing}").parse().map_err(|error| {
        Refusal::new(format!("Tensor `{}` cannot be stored as `{grid}`: {error}", tensor.name))
    })?;
    let n_columns = tensor.shape.last().copied().unwrap_or(0);
    let fits = usize::try_from(n_columns).is_ok_and(|n_columns| encoding.grid.fits(n_columns));
    if !fits || (encoding.grid.bits == 4 && !n_columns.is_multiple_of(2)) {
        let message = format!(
            "Tensor `{}` has rows of {n_columns} columns, which `{}` cannot store in LiteRT",
            tensor.name, quantization.name
        );
        return Err(Refusal::new(message).help("`int8-channel` and `f32` store rows of any length"));
    }
    Ok(StoredForm::Planes { encoding, weights: tensor.dtype })
}
