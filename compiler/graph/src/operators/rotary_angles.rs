//! Cosines and sines of the rotary angles of a batch's positions: two tensors `[tokens, n_dims / 2]`. Primitive.
//!
//! The inputs are divisors of the frequencies `[n_dims / 2]` that come with the weights: none, one for all contexts, or
//! one for contexts longer than the original and one for the others.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::rotary::{Frequencies, RotaryScaling};
use crate::scope::{Lengths, Scope};
use crate::tensor::Tensor;
use crate::value_type::{Dim, TOKENS, ValueType};

/// Cosines and sines of a batch's positions.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RotaryAngles {
    /// Number of dimensions of a head that rotate; even.
    pub n_dims: u32,
    /// Base of the frequencies: `base^(-2i / n_dims)`.
    pub base: f32,
    /// The scaling of the frequencies for a longer context.
    pub scaling: RotaryScaling,
}

/// Its name.
pub(crate) const NAME: &str = "rotary_angles";

impl RotaryAngles {
    /// The frequencies for a sequence of these lengths.
    ///
    /// * `divisors`: the inputs
    pub fn frequencies(&self, divisors: &[&[f32]], lengths: Lengths) -> Frequencies {
        let is_long = match &self.scaling {
            RotaryScaling::LongRope { original_context, .. } => {
                lengths.n_positions_at_most.max(lengths.n_positions()) > *original_context as usize
            }
            _ => false,
        };
        let divisors = match divisors {
            [long, short] => Some(if is_long { *long } else { *short }),
            [divisors] => Some(*divisors),
            _ => None,
        };
        Frequencies::new(self.n_dims, self.base, &self.scaling, divisors, is_long)
    }
}

impl Operator for RotaryAngles {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let n_pairs = Dim::Fixed(self.n_dims / 2);
        let is_fitting = inputs.len() <= 2 && inputs.iter().all(|input| input.dims == [n_pairs]);
        let is_rotary =
            self.n_dims > 0 && self.n_dims.is_multiple_of(2) && self.base > 0.0 && self.base.is_finite();
        if !is_fitting || !is_rotary {
            let expected = format!("one divisor per pair of {} dimensions", self.n_dims);
            return Err(rule::misfit(NAME, expected, inputs));
        }
        Ok(vec![ValueType::real([TOKENS, n_pairs]); 2])
    }

    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        let divisors: Vec<&[f32]> = inputs.iter().map(|input| input.values.as_slice()).collect();
        let Lengths { first_position, n_tokens, .. } = scope.lengths;
        let (cosines, sines) = self.frequencies(&divisors, scope.lengths).angles(first_position, n_tokens);
        let table = |values| Tensor::new(vec![n_tokens, self.n_dims as usize / 2], values);
        vec![table(cosines), table(sines)]
    }
}
