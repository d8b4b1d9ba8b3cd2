//! What an adapter does to a tensor beyond adding a low-rank product, as parts of a tensor expression.
//!
//! ```text
//! normalize_rows(add_low_rank(load($0, BF16, [256, 256]), $1, $2, 2), load($3, F32, [256]))
//! ```
//!
//! Says what to compute. Evaluation is in `rules`.

use std::fmt;

use crate::expression::TensorExpr;

/// One step of applying an adapter, or of writing it to a file of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum AdapterExpr {
    /// Each row brought to a given length: `of[row] * (magnitude[row] / ||of[row]||)` (DoRA).
    NormalizeRows {
        /// The matrix `[out, in]`.
        of: Box<TensorExpr>,
        /// The lengths `[out]`; a load.
        magnitude: Box<TensorExpr>,
    },
    /// Each column brought to a given length: `of[.., col] * (magnitude[col] / ||of[.., col]||)` (DoRA of embeddings).
    NormalizeColumns {
        /// The matrix `[out, in]`.
        of: Box<TensorExpr>,
        /// The lengths `[in]`; a load.
        magnitude: Box<TensorExpr>,
    },
    /// Some rows taken from elsewhere (trained tokens).
    ReplaceRows {
        /// The matrix `[out, in]`.
        of: Box<TensorExpr>,
        /// Which rows, in the order of `with`.
        rows: Vec<u64>,
        /// The new rows `[rows, in]`; a load.
        with: Box<TensorExpr>,
    },
    /// A low-rank product added to each matrix of a stack of experts.
    ///
    /// `up` holds, for each output, the ranks with all experts of a rank side by side; `down` the experts one after
    /// another, each with all its ranks.
    AddStacked {
        /// The weights `[experts, out, in]`, or `[experts, in, out]` when `is_input_first`.
        of: Box<TensorExpr>,
        /// `B`, `[out, rank * experts]`; a load.
        up: Box<TensorExpr>,
        /// `A`, `[experts * rank, in]`; a load.
        down: Box<TensorExpr>,
        /// Factor on the product.
        scale: f32,
        /// Whether the rows of a matrix are its inputs.
        is_input_first: bool,
    },
    /// A matrix with rows and columns exchanged; only of a load.
    Transpose {
        /// The load.
        of: Box<TensorExpr>,
    },
    /// Every number times a factor.
    Scale {
        /// What is scaled.
        of: Box<TensorExpr>,
        /// The factor.
        factor: f32,
    },
}

impl AdapterExpr {
    /// The shape of the result.
    pub fn shape(&self) -> Vec<u64> {
        match self {
            Self::NormalizeRows { of, .. }
            | Self::NormalizeColumns { of, .. }
            | Self::ReplaceRows { of, .. }
            | Self::AddStacked { of, .. }
            | Self::Scale { of, .. } => of.shape(),
            Self::Transpose { of } => of.shape().into_iter().rev().collect(),
        }
    }

    /// The same step with every part changed by `map`.
    #[must_use]
    pub fn map_parts(&self, map: &dyn Fn(&TensorExpr) -> Box<TensorExpr>) -> Self {
        match self {
            Self::NormalizeRows { of, magnitude } => {
                Self::NormalizeRows { of: map(of), magnitude: map(magnitude) }
            }
            Self::NormalizeColumns { of, magnitude } => {
                Self::NormalizeColumns { of: map(of), magnitude: map(magnitude) }
            }
            Self::ReplaceRows { of, rows, with } => {
                Self::ReplaceRows { of: map(of), rows: rows.clone(), with: map(with) }
            }
            Self::AddStacked { of, up, down, scale, is_input_first } => Self::AddStacked {
                of: map(of),
                up: map(up),
                down: map(down),
                scale: *scale,
                is_input_first: *is_input_first,
            },
            Self::Transpose { of } => Self::Transpose { of: map(of) },
            Self::Scale { of, factor } => Self::Scale { of: map(of), factor: *factor },
        }
    }
}

impl fmt::Display for AdapterExpr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NormalizeRows { of, magnitude } => write!(formatter, "normalize_rows({of}, {magnitude})"),
            Self::NormalizeColumns { of, magnitude } => {
                write!(formatter, "normalize_columns({of}, {magnitude})")
            }
            Self::ReplaceRows { of, rows, with } => {
                write!(formatter, "replace_rows({of}, {rows:?}, {with})")
            }
            Self::AddStacked { of, up, down, scale, is_input_first } => {
                let order = if *is_input_first { "input-first" } else { "output-first" };
                write!(formatter, "add_stacked({of}, {up}, {down}, {:08x}, {order})", scale.to_bits())
            }
            Self::Transpose { of } => write!(formatter, "transpose({of})"),
            Self::Scale { of, factor } => write!(formatter, "scale({of}, {:08x})", factor.to_bits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;

    fn load(input: usize, shape: &[u64]) -> Box<TensorExpr> {
        Box::new(TensorExpr::Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn every_step_shows_its_parameters_and_renumbers_its_inputs() {
        let (of, vector) = (load(0, &[4, 8]), load(1, &[4]));
        let stacked = AdapterExpr::AddStacked {
            of: load(0, &[2, 4, 8]),
            up: load(1, &[4, 6]),
            down: load(2, &[6, 8]),
            scale: 2.0,
            is_input_first: false,
        };
        let steps = [
            (
                AdapterExpr::NormalizeRows { of: of.clone(), magnitude: vector.clone() },
                "normalize_rows(load($5, F32, [4, 8]), load($6, F32, [4]))",
            ),
            (
                AdapterExpr::NormalizeColumns { of: of.clone(), magnitude: vector },
                "normalize_columns(load($5, F32, [4, 8]), load($6, F32, [4]))",
            ),
            (
                AdapterExpr::ReplaceRows { of: of.clone(), rows: vec![3, 1], with: load(1, &[2, 8]) },
                "replace_rows(load($5, F32, [4, 8]), [3, 1], load($6, F32, [2, 8]))",
            ),
            (
                stacked,
                "add_stacked(load($5, F32, [2, 4, 8]), load($6, F32, [4, 6]), load($7, F32, [6, 8]), 40000000, \
                 output-first)",
            ),
            (AdapterExpr::Scale { of: of.clone(), factor: 2.0 }, "scale(load($5, F32, [4, 8]), 40000000)"),
            (AdapterExpr::Transpose { of }, "transpose(load($5, F32, [4, 8]))"),
        ];
        for (step, text) in steps {
            let moved = TensorExpr::Adapter(step).map_inputs(&|input| input + 5);
            assert_eq!(moved.to_string(), text);
        }
        let turned = AdapterExpr::Transpose { of: load(0, &[4, 8]) };
        assert_eq!(TensorExpr::Adapter(turned).shape(), [8, 4]);
    }
}
