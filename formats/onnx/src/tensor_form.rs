//! The stored form of each tensor: quantized matrices, and floats in the type in which they are used.

use mc_encoding::blocks::plain;
use mc_encoding::encoding::Encoding;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::quantization::{Quantization, UnencodedTensor};
use mc_exporter::refusal::Refusal;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::element_type::ElementType;
use crate::quantizations::{F16, QUANTIZATIONS};
use crate::settings::{STREAM, Settings};

/// The end of the names of grids whose scales have 32 bits; the runtime requires scales of the type of activations.
const SCALES_OF_32_BITS: &str = "-f32";

/// The form of a tensor with a word.
///
/// # Errors
/// If the rows are not whole blocks, with the words that fit.
pub(crate) fn of(
    settings: &Settings,
    tensor: &UnencodedTensor<'_>,
    quantization: &Quantization,
) -> Result<StoredForm, Refusal> {
    if !is_matrix(tensor) {
        return Ok(floats(type_of(settings, tensor.tensor)));
    }
    let Some(grid) = quantization.grid else {
        let is_half = quantization.name == F16;
        return Ok(floats(if is_half { ElementType::Float16 } else { ElementType::Float }));
    };
    let is_half = settings.activations == ElementType::Float16;
    let grid = if is_half { grid.trim_end_matches(SCALES_OF_32_BITS) } else { grid };
    let encoding: Encoding = grid.parse().map_err(|error| Refusal::new(format!("{error}")))?;
    let n_cols = tensor.shape.last().map_or(0, |columns| *columns as usize);
    if !encoding.grid.fits(n_cols) {
        let message = format!(
            "Tensor `{}` has {n_cols} columns, which are not whole blocks of `{}`",
            tensor.name, quantization.name
        );
        let fitting: Vec<String> = QUANTIZATIONS
            .iter()
            .filter(|word| fits(word, n_cols))
            .map(|word| format!("`{}`", word.name))
            .collect();
        return Err(Refusal::new(message).help(format!("these fit: {}", fitting.join(", "))));
    }
    let weights = if is_half { DType::F16 } else { DType::F32 };
    Ok(StoredForm::Planes { encoding, weights })
}

fn is_matrix(tensor: &UnencodedTensor<'_>) -> bool {
    tensor.tensor.is_quantizable() && tensor.shape.len() == 2
}

fn fits(word: &Quantization, n_cols: usize) -> bool {
    word.grid.and_then(mc_encoding::grids::by_name).is_none_or(|grid| grid.fits(n_cols))
}

/// The type of a tensor that is never quantized: that of the values with which it is combined.
fn type_of(settings: &Settings, tensor: ModelTensor) -> ElementType {
    match tensor {
        ModelTensor::OutputNorm
        | ModelTensor::AttnNorm { .. }
        | ModelTensor::PostAttnNorm { .. }
        | ModelTensor::FfnNorm { .. }
        | ModelTensor::PostFfnNorm { .. } => STREAM,
        _ => settings.activations,
    }
}

fn floats(element: ElementType) -> StoredForm {
    StoredForm::Blocks(if element == ElementType::Float16 { &plain::F16 } else { &plain::F32 })
}
