//! Tensor expressions: how a tensor of an artifact is computed from the bytes of its inputs.
//!
//! ```text
//! quantize(Q4_K@1, $3, permute(8, cast(BF16, add_low_rank(load($0, BF16, [256, 256]), …, …, 40000000))))
//! ```
//!
//! The text is canonical and part of the action's digest. So equal expressions over equal bytes are one action,
//! whichever target, variant or file they belong to. `$n` is the number of an input of the action.
//!
//! This module does not know the operators: each is a file in `operators/` that implements the trait.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use mc_encoding::codec::Codec;
use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::inputs::Inputs;
use crate::rows::Rows;

/// One tensor, as a formula over inputs. Two expressions are equal if their texts are.
#[derive(Clone)]
pub struct TensorExpr(Arc<dyn Operator>);

/// The name of an operator in the text: `cast`, or `linear@1` if the formula has a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorName {
    /// The word, unique among operators.
    pub word: &'static str,
    /// Raised when the formula may give other bytes for the same parameters.
    pub version: Option<u32>,
}

/// One operator with its parameters and its operands.
///
/// A file in `operators/` contains the type that implements it, its parser and its row of
/// [`OPERATORS`](crate::operators::OPERATORS).
pub trait Operator: Any + Send + Sync {
    /// The name before the parenthesis.
    fn name(&self) -> OperatorName;

    /// Writes the text between the parentheses: every parameter and every operand.
    ///
    /// # Errors
    /// If the formatter fails.
    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The shape of the result, slowest dimension first.
    fn shape(&self) -> Vec<u64>;

    /// The same operator with every input number mapped by `renumber`, in it and in its operands.
    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr;

    /// The type that holds the result exactly, if its elements are stored in it or were rounded to it; otherwise F32.
    fn element_type(&self) -> DType {
        DType::F32
    }

    /// The codec in which the result is stored, if no operation is applied to it.
    fn stored_codec(&self) -> Option<&'static Codec> {
        None
    }

    /// Opens the inputs and precomputes the values that every row needs.
    ///
    /// # Errors
    /// If an input cannot be read, or the operands do not match.
    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError>;
}

impl OperatorName {
    /// A name without a version.
    pub(crate) const fn new(word: &'static str) -> Self {
        Self { word, version: None }
    }

    /// A name with the version of its formula.
    pub(crate) const fn versioned(word: &'static str, version: u32) -> Self {
        Self { word, version: Some(version) }
    }
}

impl TensorExpr {
    /// Creates the expression with `operator` at its root.
    pub fn new(operator: impl Operator) -> Self {
        Self(Arc::new(operator))
    }

    /// The root operator, if it is an `O`.
    pub fn get<O: Operator>(&self) -> Option<&O> {
        let operator: &dyn Any = &*self.0;
        operator.downcast_ref()
    }

    /// The shape of the result, slowest dimension first.
    pub fn shape(&self) -> Vec<u64> {
        self.0.shape()
    }

    /// The type that holds the result exactly, if its elements are stored in it or were rounded to it; F32 if blocks or
    /// scales are read, or something is computed.
    pub fn element_type(&self) -> DType {
        self.0.element_type()
    }

    /// The codec in which the tensor is stored, if no operation is applied to it.
    pub fn stored_codec(&self) -> Option<&'static Codec> {
        self.0.stored_codec()
    }

    /// Number of inputs: one more than the highest input number.
    pub fn n_inputs(&self) -> usize {
        let n_inputs = Cell::new(0);
        drop(self.map_inputs(&|input| {
            n_inputs.set(n_inputs.get().max(input + 1));
            input
        }));
        n_inputs.get()
    }

    /// The same expression with every input number mapped by `renumber`.
    #[must_use]
    pub fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> Self {
        self.0.map_inputs(renumber)
    }

    /// Opens the inputs; [`crate::evaluator::Evaluator`] also stores the size of the result.
    ///
    /// # Errors
    /// If an input cannot be read, or the operands do not match.
    pub(crate) fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        self.0.evaluate(inputs)
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            None => formatter.write_str(self.word),
            Some(version) => write!(formatter, "{}@{version}", self.word),
        }
    }
}

impl fmt::Display for TensorExpr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}(", self.0.name())?;
        self.0.print(formatter)?;
        formatter.write_str(")")
    }
}

impl fmt::Debug for TensorExpr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl PartialEq for TensorExpr {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.to_string() == other.to_string()
    }
}

impl Eq for TensorExpr {}
