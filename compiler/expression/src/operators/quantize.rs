//! `quantize(Q4_K@1, $3, OF)`: a tensor encoded with a block codec, with optional importance of its columns.
//!
//! Only allowed as the last operator of an expression: the caller evaluates the operand and encodes its rows.

use std::fmt;

use mc_encoding::codec::Codec;

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::new("quantize");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// A tensor encoded with a block codec.
#[derive(Clone)]
pub struct Quantize {
    /// The codec.
    pub codec: &'static Codec,
    /// Version of the codec's algorithm.
    pub version: u32,
    /// Number of the input with one importance weight per column (F32), if any.
    pub importance: Option<usize>,
    /// The operand.
    pub of: TensorExpr,
}

impl Quantize {
    /// Creates the operator with the current version of the codec.
    pub fn new(codec: &'static Codec, importance: Option<usize>, of: TensorExpr) -> Self {
        Self { codec, version: codec.version, importance, of }
    }
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let codec = parser.codec()?;
    parser.eat("@", "`@` and the codec's version")?;
    let version = parser.small_number()?;
    parser.eat(", ", "`, `")?;
    let importance = parser.importance()?;
    Ok(TensorExpr::new(Quantize { codec, version, importance, of: parser.expression()? }))
}

impl Operator for Quantize {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}, ", self.codec, self.version)?;
        if let Some(input) = self.importance {
            write!(formatter, "${input}, ")?;
        }
        write!(formatter, "{}", self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        let (importance, of) = (self.importance.map(renumber), self.of.map_inputs(renumber));
        TensorExpr::new(Self { importance, of, ..*self })
    }

    fn evaluate(&self, _inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        Err(EvaluationError::misfit("`quantize` can only be the last operator of an expression"))
    }
}

#[cfg(test)]
mod tests {
    use mc_encoding::blocks::{iq2_xxs, q8_0};
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::misfit;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        draw.is_wild().then(|| {
            let codec = draw.one_of(&[&q8_0::CODEC, &iq2_xxs::CODEC]);
            let importance = (draw.below(2) == 0).then(|| draw.below(1 << 32) as usize);
            let (version, of) = (draw.any() as u32, draw.expression(shape));
            TensorExpr::new(Quantize { codec, version, importance, of })
        })
    }

    #[test]
    fn the_text_shows_codec_version_and_importance() {
        let of = || TensorExpr::new(Load { input: 0, dtype: DType::BF16, shape: vec![4, 32] });
        let plain = TensorExpr::new(Quantize::new(&q8_0::CODEC, None, of()));
        assert_eq!(plain.to_string(), "quantize(Q8_0@1, load($0, BF16, [4, 32]))");
        assert_eq!(plain.n_inputs(), 1);
        let weighted = TensorExpr::new(Quantize::new(&iq2_xxs::CODEC, Some(1), of()));
        assert_eq!(
            weighted.map_inputs(&|input| input + 2).to_string(),
            format!("quantize(IQ2_XXS@{}, $3, load($2, BF16, [4, 32]))", iq2_xxs::CODEC.version)
        );
        assert_eq!(weighted.n_inputs(), 2);
        assert_eq!(misfit(&plain, &[]), "`quantize` can only be the last operator of an expression");
    }
}
