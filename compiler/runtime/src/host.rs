//! Access to the numbers of values and weights on the host.

use std::borrow::Cow;

use candle_core::{Result, Storage, Tensor, WithDType};

use crate::backend::{Input, Value};

/// Passes the numbers of a contiguous tensor on the CPU, row-major, to `reader`.
///
/// # Errors
/// If it is on another device, not contiguous or of another type.
pub(crate) fn with_numbers<T: WithDType, R>(tensor: &Tensor, reader: impl FnOnce(&[T]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("expected a tensor on the CPU");
    };
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("expected a contiguous tensor, found strides {:?}", layout.stride());
    };
    Ok(reader(&storage.as_slice::<T>()?[start..end]))
}

impl<'a> Input<'a> {
    /// The input, if it is a computed tensor.
    ///
    /// # Errors
    /// If it is a weight or a state.
    pub fn tensor(self) -> Result<&'a Tensor> {
        match self {
            Input::Value(Value::Tensor(tensor)) => Ok(tensor),
            Input::Value(Value::State(_)) => candle_core::bail!("expected a tensor, found a state"),
            Input::Weight(_) => candle_core::bail!("expected a tensor, found a weight"),
        }
    }

    /// The shape of a tensor or a weight.
    ///
    /// # Errors
    /// If it is a state.
    pub fn shape(self) -> Result<Vec<usize>> {
        match self {
            Input::Weight(weight) => Ok(weight.shape().to_vec()),
            Input::Value(_) => Ok(self.tensor()?.dims().to_vec()),
        }
    }

    /// Passes the numbers of a tensor or a weight, as f32, to `reader`.
    ///
    /// # Errors
    /// If it is a state.
    pub(crate) fn with_floats<R>(self, reader: impl FnOnce(&[f32]) -> R) -> Result<R> {
        match self {
            Input::Weight(weight) => Ok(reader(&match weight.floats() {
                Some(floats) => Cow::Borrowed(floats),
                None => Cow::Owned(weight.to_f32()),
            })),
            Input::Value(_) => with_numbers(self.tensor()?, reader),
        }
    }
}
