//! The sum of a token's rows, each multiplied by its weight: `[tokens, n, width]` and `[tokens, n]` to
//! `[tokens, width]`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::batch_matmul::BatchMatmul;
use crate::operators::reshape::Reshape;
use crate::operators::rule;
use crate::operators::transpose::Transpose;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, ValueType};

/// The sum of a token's rows, each multiplied by its weight.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct WeightedSum {}

/// Its name.
pub(crate) const NAME: &str = "weighted_sum";

impl Operator for WeightedSum {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [rows, shares] = rule::reals(NAME, inputs)?;
        match (rows.dims.as_slice(), shares.dims.as_slice()) {
            ([tokens, n, width], [of_tokens, of_n]) if (tokens, n) == (of_tokens, of_n) => {
                Ok(vec![ValueType::real([*tokens, *width])])
            }
            _ => Err(rule::misfit(NAME, "rows for each token, and a share for each row", inputs)),
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let (rows, shares) = (inputs[0], inputs[1]);
        let (n, width) = (shares.width(), rows.width());
        let mut values = vec![0.0; rows.shape[0] * width];
        for (number, (row, share)) in rows.rows().zip(&shares.values).enumerate() {
            let sum = &mut values[number / n * width..][..width];
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += share * value;
            }
        }
        vec![Tensor::new(vec![rows.shape[0], width], values)]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let [tokens, n, width] = fragment.value_type(inputs[0]).dims[..] else { return Ok(None) };
        let columns = fragment.one(Transpose { order: vec![0, 2, 1] }, &inputs[..1])?;
        let shares = fragment.one(Reshape { dims: vec![tokens, Dim::Fixed(1), n] }, &inputs[1..])?;
        let sums = fragment.one(BatchMatmul {}, &[columns, shares])?;
        Ok(Some(vec![fragment.one(Reshape { dims: vec![tokens, width] }, &[sums])?]))
    }
}
