//! `encode(affine-4-g64@1, weighted@1, mlx@1, $3, OF)`: a tensor stored in planes, by a grid, a solver and a packing,
//! with optional importance of its columns.
//!
//! Only allowed as the last operator of an expression, like [`quantize`](crate::operators::quantize): the caller
//! evaluates the operand and encodes its rows.

use std::fmt;

use mc_encoding::encoding::Encoding;
use mc_encoding::{grids, packings, solvers};

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::new("encode");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// A tensor stored in planes.
#[derive(Clone)]
pub struct Encode {
    /// The grid, the solver and the packing.
    pub encoding: Encoding,
    /// Their versions.
    pub versions: [u32; 3],
    /// Number of the input with one importance weight per column (F32), if any.
    pub importance: Option<usize>,
    /// The operand; the type of its elements is that of the weights.
    pub of: TensorExpr,
}

impl Encode {
    /// Creates the operator with the current versions.
    pub fn new(encoding: Encoding, importance: Option<usize>, of: TensorExpr) -> Self {
        Self { encoding, versions: versions(&encoding), importance, of }
    }

    /// Returns true if the versions are the current ones.
    pub fn is_current(&self) -> bool {
        self.versions == versions(&self.encoding)
    }
}

fn versions(encoding: &Encoding) -> [u32; 3] {
    [encoding.grid.version, encoding.solver.version, encoding.packing.version]
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let (grid, of_grid) = parser.versioned(grids::by_name, "a grid such as `affine-4-g64`")?;
    let (solver, of_solver) =
        parser.then(|parser| parser.versioned(solvers::by_name, "a solver such as `nearest`"))?;
    let (packing, of_packing) =
        parser.then(|parser| parser.versioned(packings::by_name, "a packing such as `mlx`"))?;
    let encoding = Encoding::new(grid, solver, packing);
    let encoding =
        encoding.map_err(|_| parser.error("a solver and a packing before this that support the grid"))?;
    parser.eat(", ", "`, `")?;
    let importance = parser.importance()?;
    let versions = [of_grid, of_solver, of_packing];
    Ok(TensorExpr::new(Encode { encoding, versions, importance, of: parser.expression()? }))
}

impl Operator for Encode {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoding { grid, solver, packing } = self.encoding;
        let [of_grid, of_solver, of_packing] = self.versions;
        write!(formatter, "{grid}@{of_grid}, {solver}@{of_solver}, {packing}@{of_packing}, ")?;
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
        Err(EvaluationError::misfit("`encode` can only be the last operator of an expression"))
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::misfit;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        draw.is_wild().then(|| {
            let name = draw.one_of(&["affine-4-g64", "int4-g32:weighted:signed-nibbles", "int8-channel"]);
            let encoding = name.parse().expect("the name of an encoding");
            let importance = (draw.below(2) == 0).then(|| draw.below(1 << 32) as usize);
            let versions = [draw.any() as u32, draw.any() as u32, draw.any() as u32];
            TensorExpr::new(Encode { encoding, versions, importance, of: draw.expression(shape) })
        })
    }

    #[test]
    fn the_text_shows_every_part_with_its_version_and_importance() {
        let of = || TensorExpr::new(Load { input: 0, dtype: DType::BF16, shape: vec![4, 64] });
        let encode = |name: &str, importance| Encode::new(name.parse().unwrap(), importance, of());
        let plain = TensorExpr::new(encode("affine-4-g64", None));
        assert_eq!(plain.to_string(), "encode(affine-4-g64@1, nearest@1, mlx@1, load($0, BF16, [4, 64]))");
        let weighted = TensorExpr::new(encode("int4-g32:weighted", Some(1)));
        let text = "encode(int4-g32@1, weighted@1, offset-nibbles@1, $1, load($0, BF16, [4, 64]))";
        assert_eq!(weighted.to_string(), text);
        assert_eq!((weighted.n_inputs(), weighted.shape()), (2, vec![4, 64]));
        assert_eq!(TensorExpr::parse(text).unwrap(), weighted);
        assert!(weighted.get::<Encode>().unwrap().is_current());
        assert!(
            !TensorExpr::parse(&text.replace("weighted@1", "weighted@9"))
                .unwrap()
                .get::<Encode>()
                .unwrap()
                .is_current()
        );
        assert_eq!(misfit(&plain, &[]), "`encode` can only be the last operator of an expression");
    }

    #[test]
    fn incompatible_parts_are_refused() {
        let refusal = |parts: &str| {
            TensorExpr::parse(&format!("encode({parts}, load($0, BF16, [4, 64]))")).unwrap_err().to_string()
        };
        let unsuited = "expected a solver and a packing before this that support the grid, found ";
        assert!(refusal("int4-g32@1, nearest@1, offset-nibbles@1").contains(unsuited));
        assert!(refusal("int4-g32@1, absmax@1, mlx@1").contains(unsuited));
        assert!(refusal("int5-g32@1, absmax@1, mlx@1").contains("a grid such as `affine-4-g64`"));
        assert!(refusal("int4-g32@1, best@1, mlx@1").contains("a solver such as `nearest`"));
        assert!(refusal("int4-g32").contains("`@` and a version"));
    }
}
