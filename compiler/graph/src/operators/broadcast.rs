//! Broadcasts two shapes as NumPy does: aligned at the last dimension; a dimension that is 1 or missing is repeated.

use crate::error::GraphError;
use crate::operators::rule;
use crate::tensor::{Tensor, strides};
use crate::value_type::{Dim, ValueType};

/// The type of an elementwise result.
pub(crate) fn types(operator: &'static str, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
    let [left, right] = rule::reals(operator, inputs)?;
    let dims = dims(&left.dims, &right.dims);
    let dims =
        dims.ok_or_else(|| rule::misfit(operator, "shapes that agree, or 1 where they do not", inputs))?;
    Ok(vec![ValueType::real(dims)])
}

/// The broadcast dimensions.
pub(crate) fn dims(left: &[Dim], right: &[Dim]) -> Option<Vec<Dim>> {
    let n_dims = left.len().max(right.len());
    let at = |dims: &[Dim], axis: usize| {
        let missing = n_dims - dims.len();
        if axis < missing { Dim::Fixed(1) } else { dims[axis - missing] }
    };
    let one = |axis: usize| match (at(left, axis), at(right, axis)) {
        (left, right) if left == right => Some(left),
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Some(other),
        _ => None,
    };
    (0..n_dims).map(one).collect()
}

/// Computes an elementwise result.
pub(crate) fn map(left: &Tensor, right: &Tensor, compute: impl Fn(f32, f32) -> f32) -> Tensor {
    let n_dims = left.shape.len().max(right.shape.len());
    let (left_shape, right_shape) = (padded(&left.shape, n_dims), padded(&right.shape, n_dims));
    let shape: Vec<usize> =
        left_shape.iter().zip(&right_shape).map(|(a, b)| if *a == 1 { *b } else { *a }).collect();
    let (steps, left_steps, right_steps) = (strides(&shape), steps(&left_shape), steps(&right_shape));
    let element = |index: usize| {
        let (mut a, mut b) = (0, 0);
        for axis in 0..n_dims {
            let place = index / steps[axis] % shape[axis];
            a += place * left_steps[axis];
            b += place * right_steps[axis];
        }
        compute(left.values[a], right.values[b])
    };
    let values = (0..shape.iter().product()).map(element).collect();
    Tensor::new(shape, values)
}

/// The shape, padded with leading ones to `n_dims` dimensions.
pub(crate) fn padded(shape: &[usize], n_dims: usize) -> Vec<usize> {
    let mut out = vec![1; n_dims - shape.len()];
    out.extend_from_slice(shape);
    out
}

/// Strides, with 0 for a repeated dimension.
pub(crate) fn steps(shape: &[usize]) -> Vec<usize> {
    let strides = strides(shape);
    strides.into_iter().zip(shape).map(|(stride, len)| if *len == 1 { 0 } else { stride }).collect()
}
