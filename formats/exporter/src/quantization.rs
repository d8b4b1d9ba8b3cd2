//! The words with which a target selects the encoding of its tensors in one format.
//!
//! GGUF has none of these: its recipes are `mc_gguf::recipes`.

use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

/// A word of a format: `affine-4-g64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The word.
    pub name: &'static str,
    /// Its meaning in one sentence, for the manual.
    pub doc: &'static str,
    /// The name of the grid of matrices: [`mc_encoding::grids::by_name`]; `None` if matrices stay floating-point numbers.
    pub grid: Option<&'static str>,
    /// Approximate number of bits per weight of a matrix, with its scales.
    pub bits_per_weight: f32,
}

/// A tensor for which a format selects an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnencodedTensor<'a> {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// Its name in the checkpoint, for messages and for formats that keep it.
    pub name: &'a str,
    /// Its type in the checkpoint.
    pub dtype: DType,
    /// Its shape, rows last, after the format's change.
    pub shape: &'a [u64],
}
