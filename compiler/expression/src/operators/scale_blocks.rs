//! `scale_blocks([128, 128], SCALES, OF)`: multiplies a weight by scales that blocks of its rows and columns share.
//!
//! Blocks at the edges may be smaller.

use std::fmt;

use mc_tensor::block_scales::BlockScales;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::{Rows, rows_and_columns};
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("scale_blocks");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Multiplies a weight by scales that blocks of its rows and columns share.
#[derive(Clone)]
pub struct ScaleBlocks {
    /// The weight `[rows, columns]`.
    pub of: TensorExpr,
    /// One number per block, row-major, in any shape.
    pub scales: TensorExpr,
    /// Rows and columns per block.
    pub block: [u64; 2],
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    parser.eat("[", "`[`")?;
    let block = [parser.positive()?, parser.then(Parser::positive)?];
    parser.eat("]", "`]`")?;
    let scales = parser.then(Parser::expression)?;
    Ok(TensorExpr::new(ScaleBlocks { of: parser.then(Parser::expression)?, scales, block }))
}

impl Operator for ScaleBlocks {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}, {}", Numbers(&self.block), self.scales, self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self {
            of: self.of.map_inputs(renumber),
            scales: self.scales.map_inputs(renumber),
            block: self.block,
        })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let scales = Evaluator::new(&self.scales, inputs)?;
        let of = Evaluator::new(&self.of, inputs)?;
        let shape = self.of.shape();
        let (n_rows, n_cols) = rows_and_columns(&shape);
        let n_blocks = n_rows.div_ceil(self.block[0]).saturating_mul(n_cols.div_ceil(self.block[1]));
        if scales.n_elements() as u64 != n_blocks {
            return Err(EvaluationError::misfit(format!(
                "A weight of shape {} in blocks of {} has {n_blocks} scales; found shape {}",
                Numbers(&shape),
                Numbers(&self.block),
                Numbers(&self.scales.shape())
            )));
        }
        let scales = BlockScales::new(scales.all(inputs)?, self.block, of.n_cols());
        Ok(Box::new(Scaled { of, scales }))
    }
}

struct Scaled {
    of: Evaluator,
    scales: BlockScales,
}

impl Rows for Scaled {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        self.scales.apply(first, n_cols, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{Memory, floats, in_tiles};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let block = [1 + draw.below(3), 1 + draw.below(3)];
        let (n_rows, n_cols) = rows_and_columns(shape);
        Some(TensorExpr::new(ScaleBlocks {
            of: draw.expression(shape),
            scales: draw.expression(&[n_rows.div_ceil(block[0]), n_cols.div_ceil(block[1])]),
            block,
        }))
    }

    #[test]
    fn weights_of_eight_bits_are_multiplied_by_the_scales_of_their_blocks() {
        // 1, 1.5 and 448 in three rows; blocks of two rows and one column.
        let inputs = Memory(vec![vec![0x38, 0x3c, 0x38, 0x3c, 0x7e, 0xb8], floats(&[2.0, 3.0, 0.5, 4.0])]);
        let load =
            |input, dtype, shape: &[u64]| TensorExpr::new(Load { input, dtype, shape: shape.to_vec() });
        let scaled = |scales: &[u64]| {
            TensorExpr::new(ScaleBlocks {
                of: load(0, DType::F8E4M3, &[3, 2]),
                scales: load(1, DType::F32, scales),
                block: [2, 1],
            })
        };
        for n_rows in 1..4 {
            let values = in_tiles(&scaled(&[2, 2]), &inputs, n_rows).unwrap();
            assert_eq!(values, [2.0, 4.5, 2.0, 4.5, 224.0, -4.0]);
        }
        assert_eq!(
            scaled(&[2, 2]).to_string(),
            "scale_blocks([2, 1], load($1, F32, [2, 2]), load($0, F8_E4M3, [3, 2]))"
        );
        let two = Memory(vec![inputs.0[0].clone(), floats(&[2.0, 3.0])]);
        assert_eq!(
            in_tiles(&scaled(&[2, 1]), &two, 1).unwrap_err().to_string(),
            "A weight of shape [3, 2] in blocks of [2, 1] has 4 scales; found shape [2, 1]"
        );
    }
}
