//! `linear@1(true, TERM, …)`: the sum of `weight * term`, optionally divided by the sum of the weights.

use std::fmt;

use mc_tensor::blend::{divide, sum_of};

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::operators::blend::term::{self, Term, Terms};
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::versioned("linear", 1);

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// The sum of `weight * term`, divided by the sum of the weights if `divide` is true.
#[derive(Clone)]
pub struct Linear {
    /// True if the sum is divided.
    pub divide: bool,
    /// The models' weights, in order; all of one shape.
    pub terms: Vec<Term>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(Linear { divide: parser.truth()?, terms: term::parse(parser)? }))
}

impl Operator for Linear {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.divide)?;
        term::print(&self.terms, formatter)
    }

    fn shape(&self) -> Vec<u64> {
        term::shape(&self.terms)
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { divide: self.divide, terms: term::map_inputs(&self.terms, renumber) })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let terms = Terms::new(&self.terms, &self.shape(), inputs)?;
        let divisor = self.divide.then(|| sum_of(&terms.weights));
        Ok(Box::new(Mean { terms, divisor }))
    }
}

struct Mean {
    terms: Terms,
    divisor: Option<f32>,
}

impl Rows for Mean {
    fn rows(&self, first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.terms.sum(&self.terms.weights, first, out)?;
        if let Some(divisor) = self.divisor {
            divide(out, divisor);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::blend::term::Keep;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let n_terms = if draw.is_wild() { draw.below(3) } else { 1 + draw.below(3) };
        let terms = term::tests::draw(draw, n_terms, shape);
        Some(TensorExpr::new(Linear { divide: draw.below(2) == 0, terms }))
    }

    fn term(input: usize, weight: f32, shape: &[u64]) -> Term {
        let of = TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() });
        Term { of, weight, keep: Keep::All }
    }

    #[test]
    fn linear_is_the_weighted_sum_or_mean() {
        let linear = |divide| {
            let terms = vec![term(0, 0.75, &[2, 2]), term(1, 0.5, &[2, 2])];
            TensorExpr::new(Linear { divide, terms })
        };
        assert_eq!(
            linear(true).map_inputs(&|input| input + 5).to_string(),
            "linear@1(true, [3f400000, all, load($5, F32, [2, 2])], [3f000000, all, load($6, F32, [2, 2])])"
        );
        let values: [&[f32]; 2] = [&[1.0, 2.0, 3.0, 4.0], &[8.0, 6.0, 4.0, 2.0]];
        assert_eq!(all(&linear(false), &values), [4.75, 4.5, 4.25, 4.0]);
        assert_eq!(all(&linear(true), &values), [3.8, 3.6, 3.4, 3.2]);
    }

    #[test]
    fn terms_have_the_same_shape() {
        let terms = vec![term(0, 1.0, &[2, 2]), term(1, 1.0, &[4])];
        let message = misfit(&TensorExpr::new(Linear { divide: true, terms }), &[&[0.0; 4], &[0.0; 4]]);
        assert_eq!(message, "Only weights of the same shape can be blended");
    }
}
