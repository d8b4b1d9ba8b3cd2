//! `add_stacked(OF, UP, DOWN, 40000000, output-first)`: adds a low-rank product to each matrix of a stack of experts.
//!
//! `UP` holds the ranks of each output, with all experts of a rank adjacent; `DOWN` holds the experts one after
//! another, each with all its ranks. Sums run over rank in ascending order, as in `add_low_rank`.

use std::fmt;

use mc_tensor::low_rank::add_low_rank;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::{Float, Numbers};

const NAME: OperatorName = OperatorName::new("add_stacked");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Adds a low-rank product to each matrix of a stack of experts.
#[derive(Clone)]
pub struct AddStacked {
    /// The weights `[experts, out, in]`, or `[experts, in, out]` if `is_input_first`.
    pub of: TensorExpr,
    /// `B`, `[out, rank * experts]`.
    pub up: TensorExpr,
    /// `A`, `[experts * rank, in]`.
    pub down: TensorExpr,
    /// Factor of the product.
    pub scale: f32,
    /// True if the rows of a matrix are its inputs.
    pub is_input_first: bool,
}

const INPUT_FIRST: &str = "input-first";
const OUTPUT_FIRST: &str = "output-first";

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let of = parser.expression()?;
    let up = parser.then(Parser::expression)?;
    let down = parser.then(Parser::expression)?;
    let scale = parser.then(Parser::float)?;
    let orders = [(INPUT_FIRST, true), (OUTPUT_FIRST, false)];
    let is_input_first = parser.then(|parser| parser.one_of(&orders, "`input-first` or `output-first`"))?;
    Ok(TensorExpr::new(AddStacked { of, up, down, scale, is_input_first }))
}

impl Operator for AddStacked {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, up, down, scale, is_input_first } = self;
        let order = if *is_input_first { INPUT_FIRST } else { OUTPUT_FIRST };
        write!(formatter, "{of}, {up}, {down}, {}, {order}", Float(*scale))
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self {
            of: self.of.map_inputs(renumber),
            up: self.up.map_inputs(renumber),
            down: self.down.map_inputs(renumber),
            ..*self
        })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let shape = self.of.shape();
        let [n_experts, n_rows, _] = shape.as_slice() else {
            let message = format!("A stack of experts has the shape {}", Numbers(&shape));
            return Err(EvaluationError::misfit(message));
        };
        let of = Evaluator::new(&self.of, inputs)?;
        let [up, down] = [Factor::new(&self.up, inputs)?, Factor::new(&self.down, inputs)?];
        let experts = self.experts(&up, &down, *n_experts, *n_rows)?;
        Ok(Box::new(Sum { of, experts, n_rows_per_expert: *n_rows, scale: self.scale }))
    }
}

/// All elements of one of the two matrices.
struct Factor {
    values: Vec<f32>,
    n_rows: usize,
    n_cols: usize,
}

impl Factor {
    fn new(of: &TensorExpr, inputs: &dyn Inputs) -> Result<Self, EvaluationError> {
        let of = Evaluator::new(of, inputs)?;
        // `all` has allocated this many elements, so the conversion is exact.
        Ok(Self { values: of.all(inputs)?, n_rows: of.n_rows() as usize, n_cols: of.n_cols() })
    }
}

/// The factors of one expert.
struct Expert {
    /// `[rows, rank]`.
    up: Vec<f32>,
    /// `[rank, columns]`.
    down: Vec<f32>,
    rank: usize,
}

struct Sum {
    of: Evaluator,
    experts: Vec<Expert>,
    n_rows_per_expert: u64,
    scale: f32,
}

impl AddStacked {
    fn experts(
        &self,
        up: &Factor,
        down: &Factor,
        n_experts: u64,
        n_rows: u64,
    ) -> Result<Vec<Expert>, EvaluationError> {
        let n_ranks = down.n_rows;
        let n_experts = usize::try_from(n_experts).map_err(EvaluationError::misfit)?;
        let rank = n_ranks.checked_div(n_experts).unwrap_or(0);
        let rows = if self.is_input_first { down.n_cols } else { up.n_rows };
        let is_fitting = rank * n_experts == n_ranks && up.n_cols == n_ranks && rows as u64 == n_rows;
        if !is_fitting || rank == 0 || rows == 0 {
            let found = format!("[{}, {}] and [{}, {}]", up.n_rows, up.n_cols, down.n_rows, down.n_cols);
            let message = format!("Factors of {n_experts} experts have shapes {found}");
            return Err(EvaluationError::misfit(message));
        }
        // `[outputs, rank]` of one expert: its ranks are `n_experts` apart.
        let outputs = |expert: usize| -> Vec<f32> {
            let row = |output: usize| &up.values[output * n_ranks..][..n_ranks];
            let ranks = |output: usize| (0..rank).map(move |k| row(output)[k * n_experts + expert]);
            (0..up.n_rows).flat_map(ranks).collect()
        };
        // `[rank, inputs]` of one expert.
        let n_inputs = down.n_cols;
        let inputs = |expert: usize| down.values[expert * rank * n_inputs..][..rank * n_inputs].to_vec();
        let expert = |expert: usize| {
            let (outputs, inputs) = (outputs(expert), inputs(expert));
            let (up, down) = match self.is_input_first {
                false => (outputs, inputs),
                true => (transposed(&inputs, n_inputs), transposed(&outputs, rank)),
            };
            Expert { up, down, rank }
        };
        Ok((0..n_experts).map(expert).collect())
    }
}

fn transposed(matrix: &[f32], n_cols: usize) -> Vec<f32> {
    let n_rows = matrix.len() / n_cols.max(1);
    (0..n_cols).flat_map(|col| (0..n_rows).map(move |row| matrix[row * n_cols + col])).collect()
}

impl Rows for Sum {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        for (row, values) in (first..).zip(out.chunks_exact_mut(n_cols)) {
            let Expert { up, down, rank } = &self.experts[(row / self.n_rows_per_expert) as usize];
            let within = (row % self.n_rows_per_expert) as usize;
            let up = &up[within * rank..][..*rank];
            add_low_rank(values, up, down, n_cols, *rank, self.scale).map_err(EvaluationError::misfit)?;
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
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let [n_experts, n_rows, n_cols] = shape else { return None };
        let (rank, is_input_first) = (1 + draw.below(3), draw.below(2) == 0);
        let (n_outputs, n_inputs) = if is_input_first { (n_cols, n_rows) } else { (n_rows, n_cols) };
        Some(TensorExpr::new(AddStacked {
            of: draw.expression(shape),
            up: draw.expression(&[*n_outputs, rank * n_experts]),
            down: draw.expression(&[rank * n_experts, *n_inputs]),
            scale: draw.float(),
            is_input_first,
        }))
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn each_expert_gets_its_own_product() {
        let stacked = |is_input_first, n_ranks| {
            let (up, down) = (load(1, &[1, n_ranks]), load(2, &[n_ranks, 2]));
            let of = load(0, if is_input_first { &[2, 2, 1] } else { &[2, 1, 2] });
            TensorExpr::new(AddStacked { of, up, down, scale: 2.0, is_input_first })
        };
        assert_eq!(
            stacked(false, 4).map_inputs(&|input| input + 5).to_string(),
            "add_stacked(load($5, F32, [2, 1, 2]), load($6, F32, [1, 4]), load($7, F32, [4, 2]), 40000000, \
             output-first)"
        );
        // Two ranks: those of the first expert are 1 and 3, those of the second 10 and 30.
        let up = [1.0, 10.0, 3.0, 30.0];
        let down = [1.0, 2.0, 0.5, 0.25, 3.0, 4.0, 0.125, 1.0];
        let expected = [5.0, 5.5, 67.5, 140.0];
        assert_eq!(all(&stacked(false, 4), &[&[0.0; 4], &up, &down]), expected);
        assert_eq!(all(&stacked(true, 4), &[&[0.0; 4], &up, &down]), expected);
        assert_eq!(
            misfit(&stacked(false, 3), &[&[0.0; 4], &up[..3], &down[..6]]),
            "Factors of 2 experts have shapes [1, 3] and [3, 2]"
        );
    }
}
