//! Evaluates what an adapter does to a tensor beyond a low-rank product, a few rows at a time, in f32.
//!
//! Every sum has one order: ranks ascend, and the squares of a row are added in sixteen lanes of f64 (column `c` in
//! lane `c mod 16`) which are then folded by halves. No function of a platform's library is called: division and
//! square root are exact to the bit by IEEE 754.

use std::collections::BTreeMap;

use mc_expression::adapter_expression::AdapterExpr;
use mc_ir::action::{ActionContext, ActionError};
use mc_tensor::low_rank::add_low_rank;

use crate::expression::evaluate::{Node, rows_and_columns};
use crate::expression::factor::Factor;

/// A step with its inputs at hand.
pub(crate) enum AdapterNode {
    NormalizeRows { of: Box<Node>, lengths: Vec<f32> },
    NormalizeColumns { of: Box<Node>, factors: Vec<f32> },
    ReplaceRows { of: Box<Node>, places: BTreeMap<u64, u64>, with: Factor },
    AddStacked { of: Box<Node>, stack: Stack },
    Transpose(Factor),
    Scale { of: Box<Node>, factor: f32 },
}

/// The factors of all experts.
pub(crate) struct Stack {
    /// For each expert the rank's numbers of each row, `[rows, rank]`.
    ups: Vec<Vec<f32>>,
    /// For each expert `[rank, columns]`.
    downs: Vec<Vec<f32>>,
    n_rows_per_expert: u64,
    rank: usize,
    scale: f32,
}

/// Numbers that a first pass over the matrix holds at a time.
const TILE_ELEMENTS: usize = 1 << 18;

const N_LANES: usize = 16;

impl AdapterNode {
    /// Maps the inputs, and reads what every row needs.
    pub(crate) fn new(step: &AdapterExpr, ctx: &dyn ActionContext) -> Result<Self, ActionError> {
        Ok(match step {
            AdapterExpr::NormalizeRows { of, magnitude } => {
                let lengths = Factor::new(magnitude, ctx)?.all()?;
                Self::NormalizeRows { of: Box::new(Node::new(of, ctx)?), lengths }
            }
            AdapterExpr::NormalizeColumns { of, magnitude } => {
                let node = Node::new(of, ctx)?;
                let (n_rows, n_cols) = rows_and_columns(&of.shape());
                let magnitude = Factor::new(magnitude, ctx)?.all()?;
                let norms = column_norms(&node, n_rows, n_cols as usize)?;
                let factors = magnitude.iter().zip(norms).map(|(length, norm)| length / norm).collect();
                Self::NormalizeColumns { of: Box::new(node), factors }
            }
            AdapterExpr::ReplaceRows { of, rows, with } => {
                let places = rows.iter().copied().zip(0..).collect();
                let of = Box::new(Node::new(of, ctx)?);
                Self::ReplaceRows { of, places, with: Factor::new(with, ctx)? }
            }
            AdapterExpr::AddStacked { of, up, down, scale, is_input_first } => {
                let shape = of.shape();
                let [n_experts, n_rows, _] = shape.as_slice() else {
                    return Err(ActionError::failed(format!("A stack of experts has the shape {shape:?}")));
                };
                let factors = [Factor::new(up, ctx)?, Factor::new(down, ctx)?];
                let stack = Stack::new(&factors, *n_experts as usize, *n_rows, *scale, *is_input_first)?;
                Self::AddStacked { of: Box::new(Node::new(of, ctx)?), stack }
            }
            AdapterExpr::Transpose { .. } => Self::Transpose(Factor::new(
                &mc_expression::expression::TensorExpr::Adapter(step.clone()),
                ctx,
            )?),
            AdapterExpr::Scale { of, factor } => {
                Self::Scale { of: Box::new(Node::new(of, ctx)?), factor: *factor }
            }
        })
    }

    /// Computes the rows from `first` on, as many as fit into `out`.
    pub(crate) fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), ActionError> {
        match self {
            Self::NormalizeRows { of, lengths } => {
                of.rows(first, n_cols, out)?;
                for (row, length) in out.chunks_exact_mut(n_cols).zip(&lengths[first as usize..]) {
                    let factor = length / norm(row);
                    row.iter_mut().for_each(|value| *value *= factor);
                }
            }
            Self::NormalizeColumns { of, factors } => {
                of.rows(first, n_cols, out)?;
                for row in out.chunks_exact_mut(n_cols) {
                    row.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
                }
            }
            Self::ReplaceRows { of, places, with } => {
                of.rows(first, n_cols, out)?;
                let last = first + (out.len() / n_cols) as u64;
                for (row, place) in places.range(first..last) {
                    let start = (row - first) as usize * n_cols;
                    with.rows(*place, &mut out[start..start + n_cols])?;
                }
            }
            Self::AddStacked { of, stack } => {
                of.rows(first, n_cols, out)?;
                for (row, values) in (first..).zip(out.chunks_exact_mut(n_cols)) {
                    stack.add(row, n_cols, values)?;
                }
            }
            Self::Transpose(factor) => factor.rows(first, out)?,
            Self::Scale { of, factor } => {
                of.rows(first, n_cols, out)?;
                out.iter_mut().for_each(|value| *value *= factor);
            }
        }
        Ok(())
    }
}

impl Stack {
    fn new(
        [up, down]: &[Factor; 2],
        n_experts: usize,
        n_rows_per_expert: u64,
        scale: f32,
        is_input_first: bool,
    ) -> Result<Self, ActionError> {
        let rank = down.n_rows / n_experts.max(1);
        if rank * n_experts != down.n_rows || up.n_cols != down.n_rows {
            let found = format!("[{}, {}] and [{}, {}]", up.n_rows, up.n_cols, down.n_rows, down.n_cols);
            return Err(ActionError::failed(format!("Factors of {n_experts} experts have shapes {found}")));
        }
        let (b, a) = (up.all()?, down.all()?);
        let n_outputs = up.n_rows;
        let n_inputs = down.n_cols;
        // `[outputs, rank]` of one expert: its ranks stand `n_experts` apart.
        let outputs = |expert: usize| -> Vec<f32> {
            let row = |output: usize| &b[output * rank * n_experts..][..rank * n_experts];
            let ranks = |output: usize| (0..rank).map(move |k| row(output)[k * n_experts + expert]);
            (0..n_outputs).flat_map(ranks).collect()
        };
        // `[rank, inputs]` of one expert.
        let inputs = |expert: usize| a[expert * rank * n_inputs..][..rank * n_inputs].to_vec();
        let (ups, downs) = (0..n_experts)
            .map(|expert| {
                let (outputs, inputs) = (outputs(expert), inputs(expert));
                match is_input_first {
                    false => (outputs, inputs),
                    true => (transposed(&inputs, n_inputs), transposed(&outputs, rank)),
                }
            })
            .unzip();
        Ok(Self { ups, downs, n_rows_per_expert, rank, scale })
    }

    fn add(&self, row: u64, n_cols: usize, values: &mut [f32]) -> Result<(), ActionError> {
        let expert = (row / self.n_rows_per_expert) as usize;
        let within = (row % self.n_rows_per_expert) as usize;
        let up = &self.ups[expert][within * self.rank..][..self.rank];
        add_low_rank(values, up, &self.downs[expert], n_cols, self.rank, self.scale)
            .map_err(ActionError::failed)
    }
}

fn transposed(matrix: &[f32], n_cols: usize) -> Vec<f32> {
    let n_rows = matrix.len() / n_cols.max(1);
    (0..n_cols).flat_map(|col| (0..n_rows).map(move |row| matrix[row * n_cols + col])).collect()
}

/// The Euclidean length of a row: squares and their sum in f64, then the root, then rounded to f32.
fn norm(row: &[f32]) -> f32 {
    let mut lanes = [0.0_f64; N_LANES];
    let (whole, rest) = row.as_chunks::<N_LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += f64::from(*value) * f64::from(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*value) * f64::from(*value);
    }
    let mut width = N_LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0].sqrt() as f32
}

/// The Euclidean length of each column: squares summed in f64 from the first row to the last.
fn column_norms(node: &Node, n_rows: u64, n_cols: usize) -> Result<Vec<f32>, ActionError> {
    let mut sums = vec![0.0_f64; n_cols];
    let rows_per_tile = (TILE_ELEMENTS / n_cols.max(1)).max(1) as u64;
    let mut first = 0;
    while first < n_rows {
        let n_tile = rows_per_tile.min(n_rows - first);
        let mut values = vec![0.0; n_tile as usize * n_cols];
        node.rows(first, n_cols, &mut values)?;
        for row in values.chunks_exact(n_cols) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        first += n_tile;
    }
    Ok(sums.into_iter().map(|sum| sum.sqrt() as f32).collect())
}
