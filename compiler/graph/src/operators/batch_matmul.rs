//! Products of matrices, `a b^T` for each: `[…, m, k]` and `[…, n, k]` to `[…, m, n]`. Primitive.
//!
//! Leading dimensions are broadcast as in [`crate::operators::add`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::matmul::dot;
use crate::operators::{broadcast, rule};
use crate::scope::Scope;
use crate::tensor::{Tensor, strides};
use crate::value_type::ValueType;

/// `a b^T` for each pair of matrices.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct BatchMatmul {}

/// Its name.
pub(crate) const NAME: &str = "batch_matmul";

impl Operator for BatchMatmul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [left, right] = rule::reals(NAME, inputs)?;
        let misfit = || rule::misfit(NAME, "matrices whose rows have one length", inputs);
        let ([batch @ .., m, k], [other_batch @ .., n, other_k]) = (&left.dims[..], &right.dims[..]) else {
            return Err(misfit());
        };
        let mut dims = broadcast::dims(batch, other_batch).filter(|_| k == other_k).ok_or_else(misfit)?;
        dims.extend([*m, *n]);
        Ok(vec![ValueType::real(dims)])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let n_batch = inputs[0].shape.len().max(inputs[1].shape.len()) - 2;
        let [left, right] =
            [inputs[0], inputs[1]].map(|tensor| broadcast::padded(&tensor.shape, n_batch + 2));
        let (m, n, k) = (left[n_batch], right[n_batch], left[n_batch + 1]);
        let batch: Vec<usize> = (0..n_batch).map(|axis| left[axis].max(right[axis])).collect();
        let (steps, left_steps, right_steps) =
            (strides(&batch), broadcast::steps(&left), broadcast::steps(&right));
        let mut values = Vec::new();
        for index in 0..batch.iter().product() {
            let place = |steps_of: &[usize]| -> usize {
                (0..n_batch).map(|axis| index / steps[axis] % batch[axis] * steps_of[axis]).sum()
            };
            let (a, b) = (place(&left_steps), place(&right_steps));
            for row in inputs[0].values[a..a + m * k].chunks_exact(k.max(1)) {
                values.extend(
                    inputs[1].values[b..b + n * k].chunks_exact(k.max(1)).map(|other| dot(row, other)),
                );
            }
        }
        let mut shape = batch;
        shape.extend([m, n]);
        vec![Tensor::new(shape, values)]
    }
}
