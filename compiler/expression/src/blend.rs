//! Blends in tensor expressions: the same weight of several models made into one.
//!
//! ```text
//! deltas@1(true, true, 3f800000, load($0, …), [3f000000, largest(32768), load($1, …)], …)
//! ```
//!
//! Shares are resolved before they come here: a density is a count of elements, or a bound for random numbers, so that
//! equal steps have equal text. Numbers are written as their bits.

use std::fmt;

use crate::expression::TensorExpr;

/// Raised when a formula may give other bytes for the same parameters.
pub(crate) const VERSION: u32 = 1;

/// The same weight of several models, made into one.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// How.
    pub formula: Formula,
    /// The models' weights in order; all of one shape.
    pub terms: Vec<Term>,
}

/// How weights become one.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// `sum of weight * term`, divided by the sum of the weights if `divide` says so.
    Linear {
        /// Whether it is divided.
        divide: bool,
    },
    /// `t` of the way from the first of two terms to the second, along the sphere; weights mean nothing.
    Slerp {
        /// How far.
        t: f64,
    },
    /// `base + lambda * sum of weight * (term - base)`, of each difference what its `keep` says.
    Deltas {
        /// What the models were made of.
        base: TensorExpr,
        /// Whether only the differences of the elected sign are summed.
        elect: bool,
        /// Whether the sum is divided by the sum of the weights.
        divide: bool,
        /// Factor on the sum.
        lambda: f32,
    },
}

/// One model's weight in a blend.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The weight.
    pub of: TensorExpr,
    /// Its factor.
    pub weight: f32,
    /// What is kept of its difference from the base.
    pub keep: Keep,
}

/// What is kept of a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// All.
    All,
    /// So many of the largest magnitude.
    Largest(u64),
    /// Those whose random number of 32 bits is below a bound, times a factor.
    Random {
        /// The stream of random numbers.
        stream: u64,
        /// The bound.
        below: u64,
        /// The factor.
        factor: f32,
    },
}

impl Blend {
    /// The shape of the result: that of every term.
    pub fn shape(&self) -> Vec<u64> {
        match &self.formula {
            Formula::Deltas { base, .. } => base.shape(),
            Formula::Linear { .. } | Formula::Slerp { .. } => {
                self.terms.first().map(|term| term.of.shape()).unwrap_or_default()
            }
        }
    }

    /// The same blend with every input number changed by `renumber`.
    #[must_use]
    pub fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> Self {
        let formula = match &self.formula {
            Formula::Linear { divide } => Formula::Linear { divide: *divide },
            Formula::Slerp { t } => Formula::Slerp { t: *t },
            Formula::Deltas { base, elect, divide, lambda } => Formula::Deltas {
                base: base.map_inputs(renumber),
                elect: *elect,
                divide: *divide,
                lambda: *lambda,
            },
        };
        let term = |term: &Term| Term { of: term.of.map_inputs(renumber), ..*term };
        Self { formula, terms: self.terms.iter().map(term).collect() }
    }
}

impl fmt::Display for Blend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.formula {
            Formula::Linear { divide } => write!(formatter, "linear@{VERSION}({divide}")?,
            Formula::Slerp { t } => write!(formatter, "slerp@{VERSION}({:016x}", t.to_bits())?,
            Formula::Deltas { base, elect, divide, lambda } => {
                let lambda = lambda.to_bits();
                write!(formatter, "deltas@{VERSION}({elect}, {divide}, {lambda:08x}, {base}")?;
            }
        }
        for Term { of, weight, keep } in &self.terms {
            write!(formatter, ", [{:08x}, {keep}, {of}]", weight.to_bits())?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Largest(count) => write!(formatter, "largest({count})"),
            Self::Random { stream, below, factor } => {
                write!(formatter, "random({stream:016x}, {below}, {:08x})", factor.to_bits())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;

    fn load(input: usize) -> TensorExpr {
        TensorExpr::Load { input, dtype: DType::BF16, shape: vec![4] }
    }

    #[test]
    fn the_text_shows_every_parameter() {
        let keeps = [Keep::All, Keep::Largest(2), Keep::Random { stream: 7, below: 9, factor: 2.0 }];
        let term = |(index, keep): (usize, &Keep)| Term { of: load(index + 1), weight: 0.5, keep: *keep };
        let formula = Formula::Deltas { base: load(0), elect: true, divide: false, lambda: 1.0 };
        let blend = Blend { formula, terms: keeps.iter().enumerate().map(term).collect() };
        assert_eq!(
            blend.to_string(),
            "deltas@1(true, false, 3f800000, load($0, BF16, [4]), [3f000000, all, load($1, BF16, [4])], \
             [3f000000, largest(2), load($2, BF16, [4])], \
             [3f000000, random(0000000000000007, 9, 40000000), load($3, BF16, [4])])"
        );
        assert_eq!(blend.shape(), [4]);
        let moved = blend.map_inputs(&|input| input + 5).to_string();
        assert!(moved.contains("load($5") && moved.contains("load($8"), "{moved}");
    }

    #[test]
    fn formulas_do_not_share_their_text() {
        let terms = || vec![Term { of: load(0), weight: 1.0, keep: Keep::All }];
        let linear = |divide| Blend { formula: Formula::Linear { divide }, terms: terms() };
        let slerp = Blend { formula: Formula::Slerp { t: 0.5 }, terms: terms() };
        assert_ne!(linear(true).to_string(), linear(false).to_string());
        assert_ne!(linear(true).to_string(), slerp.to_string());
    }
}
