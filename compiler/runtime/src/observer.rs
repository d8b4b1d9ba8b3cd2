//! A window on what enters the matrix products.

use mc_tensor::model_tensor::ModelTensor;

/// Sees the inputs of every matrix product of a forward pass, in the order of the program.
pub trait ActivationObserver {
    /// The rows that are about to be multiplied with each of `tensors` (which share them, as q, k and v do).
    ///
    /// * `inputs`: `[n_tokens, n_columns]`, row-major, tokens in ascending position
    fn observe(&mut self, tensors: &[ModelTensor], inputs: &[f32], n_columns: usize);
}

/// Lends an observer for a shorter while.
pub(crate) fn lend<'a>(
    observer: &'a mut Option<&mut dyn ActivationObserver>,
) -> Option<&'a mut dyn ActivationObserver> {
    match observer {
        Some(observer) => Some(&mut **observer),
        None => None,
    }
}
