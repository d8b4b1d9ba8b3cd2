//! `[3f000000, largest(32768), OF]`: one model's weight in a blend.

use std::fmt;

use mc_tensor::blend::add_weighted;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::TensorExpr;
use crate::inputs::Inputs;
use crate::parser::{Parsed, Parser};
use crate::text::Float;

/// One model's weight in a blend.
#[derive(Clone)]
pub struct Term {
    /// The weight.
    pub of: TensorExpr,
    /// Its factor.
    pub weight: f32,
    /// The elements of its difference from the base that are kept.
    pub keep: Keep,
}

/// The elements of a difference that are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// All.
    All,
    /// This many elements of the largest magnitude.
    Largest(u64),
    /// Elements whose 32-bit random number is below a bound, multiplied by a factor.
    Random {
        /// The stream of random numbers.
        stream: u64,
        /// The bound.
        below: u64,
        /// The factor.
        factor: f32,
    },
}

impl Term {
    /// The same term with every input number mapped by `renumber`.
    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> Self {
        Self { of: self.of.map_inputs(renumber), ..*self }
    }
}

/// The shape of a blend without a base: the shape of every term.
pub(crate) fn shape(terms: &[Term]) -> Vec<u64> {
    terms.first().map(|term| term.of.shape()).unwrap_or_default()
}

/// The same terms with every input number mapped by `renumber`.
pub(crate) fn map_inputs(terms: &[Term], renumber: &dyn Fn(usize) -> usize) -> Vec<Term> {
    terms.iter().map(|term| term.map_inputs(renumber)).collect()
}

/// Writes the terms after the parameters of a blend.
pub(crate) fn print(terms: &[Term], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    terms.iter().try_for_each(|term| write!(formatter, ", {term}"))
}

/// Reads the terms after the parameters of a blend.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Parsed<Vec<Term>> {
    let mut terms = Vec::new();
    while parser.is_at(",") {
        terms.push(parser.then(term)?);
    }
    Ok(terms)
}

fn term(parser: &mut Parser<'_>) -> Parsed<Term> {
    parser.eat("[", "`[`")?;
    let weight = parser.float()?;
    let keep = parser.then(keep)?;
    let of = parser.then(Parser::expression)?;
    parser.eat("]", "`]`")?;
    Ok(Term { of, weight, keep })
}

fn keep(parser: &mut Parser<'_>) -> Parsed<Keep> {
    let words = [("all", "all"), ("largest", "largest"), ("random", "random")];
    let keep = match parser.one_of(&words, "`all`, `largest` or `random`")? {
        "all" => return Ok(Keep::All),
        "largest" => {
            parser.eat("(", "`(`")?;
            Keep::Largest(parser.number()?)
        }
        _ => {
            parser.eat("(", "`(`")?;
            let stream = parser.hex(16, "16 hex digits of a stream")?;
            let below = parser.then(Parser::number)?;
            Keep::Random { stream, below, factor: parser.then(Parser::float)? }
        }
    };
    parser.eat(")", "`)`")?;
    Ok(keep)
}

impl fmt::Display for Term {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}, {}, {}]", Float(self.weight), self.keep, self.of)
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Largest(count) => write!(formatter, "largest({count})"),
            Self::Random { stream, below, factor } => {
                write!(formatter, "random({stream:016x}, {below}, {})", Float(*factor))
            }
        }
    }
}

/// The terms of a blend with opened inputs.
pub(crate) struct Terms {
    pub(crate) of: Vec<Evaluator>,
    pub(crate) weights: Vec<f32>,
}

impl Terms {
    /// Opens the inputs of terms that have the shape of the blend.
    pub(crate) fn new(terms: &[Term], shape: &[u64], inputs: &dyn Inputs) -> Result<Self, EvaluationError> {
        if terms.iter().any(|term| term.of.shape() != shape) {
            return Err(EvaluationError::misfit("Only weights of the same shape can be blended"));
        }
        let of = terms.iter().map(|term| Evaluator::new(&term.of, inputs)).collect::<Result<_, _>>()?;
        Ok(Self { of, weights: terms.iter().map(|term| term.weight).collect() })
    }

    /// The sum of the terms, each multiplied by a factor, in order.
    pub(crate) fn sum(&self, factors: &[f32], first: u64, out: &mut [f32]) -> Result<(), EvaluationError> {
        out.fill(0.0);
        let mut values = vec![0.0; out.len()];
        for (term, factor) in self.of.iter().zip(factors) {
            term.rows(first, &mut values)?;
            add_weighted(out, &values, *factor);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::draw::Draw;

    /// Some terms of a shape.
    pub(crate) fn draw(draw: &mut Draw, n_terms: u64, shape: &[u64]) -> Vec<Term> {
        let n_elements = shape.iter().fold(1_u64, |product, n| product.saturating_mul(*n));
        let term = |draw: &mut Draw| {
            let keep = match draw.below(3) {
                1 if n_elements > 0 => {
                    let count = (1 + draw.below(5)).min(n_elements);
                    Keep::Largest(draw.number(count))
                }
                _ => Keep::Random { stream: draw.any(), below: draw.number(1 << 31), factor: draw.float() },
            };
            Term { weight: draw.float(), keep, of: draw.expression(shape) }
        };
        (0..n_terms).map(|_| term(draw)).collect()
    }

    #[test]
    fn the_forms_of_keep_read_back() {
        let message = |text: &str| keep(&mut Parser::new(text, &[])).unwrap_err().to_string();
        assert!(message("some").contains("expected `all`, `largest` or `random`, found `some`"));
        assert!(message("largest(x)").contains("byte 8: expected a number below 2^64"));
        assert!(message("random(7, 1, 0)").contains("expected 16 hex digits of a stream"));
    }
}
