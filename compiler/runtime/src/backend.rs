//! Backends: kernels for operators on candle's tensors.
//!
//! The interpreter (`model`) knows only this trait. [`crate::cpu_exact::CpuExact`] is the backend for everything that
//! is hashed; [`crate::candle_backend::CandleBackend`] computes the same graph with candle's own operators on any of
//! its devices, with different bits. So a backend has an id, which is part of the digest of every action that runs a
//! model.
//!
//! Operators without a kernel in a backend reach it decomposed; primitive ones among them are computed by their
//! reference evaluation, on the host.

use std::any::Any;
use std::fmt;

use candle_core::{Device, Result, Tensor};
use mc_graph::graph::State;
use mc_graph::ids::StateId;
use mc_graph::operator::Operator;
use mc_graph::scope::Lengths;

use crate::weight::Weight;

/// Identifies the arithmetic behind a number; equal ids guarantee equal bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId {
    /// The backend's name (`cpu-exact`).
    pub name: &'static str,
    /// Raised whenever a result may change in its last bit.
    pub version: u32,
}

impl fmt::Display for BackendId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.name, self.version)
    }
}

/// Kernels for operators. Values are contiguous f32 tensors, integers are u32, on the backend's device.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Identifies the arithmetic.
    fn id(&self) -> BackendId;

    /// The device that holds the values.
    fn device(&self) -> &Device;

    /// Returns true if there is a kernel for an operator.
    fn has(&self, operator: &dyn Operator) -> bool;

    /// Converts a weight to the form that the kernels need, once when a model is built.
    ///
    /// # Errors
    /// If candle fails.
    fn load(&self, weight: Weight) -> Result<Weight>;

    /// Computes the outputs of an operator that has a kernel.
    ///
    /// # Errors
    /// If candle fails, or the inputs violate the operator's shape rule.
    fn run(&self, call: &mut Call<'_>) -> Result<Vec<Value>>;

    /// Creates empty storage for a state.
    fn new_state(&self, state: &State) -> Box<dyn StateRows>;
}

/// An operator to be computed.
#[derive(Debug)]
pub struct Call<'a> {
    /// The operator.
    pub operator: &'a dyn Operator,
    /// Its inputs, in the operator's order.
    pub inputs: Vec<Input<'a>>,
    /// The position of the batch in the sequence.
    pub lengths: Lengths,
    /// The device for the outputs.
    pub device: &'a Device,
    /// Rows of each state.
    pub states: &'a mut [Box<dyn StateRows>],
}

/// An input of an operator.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A computed value.
    Value(&'a Value),
    /// A weight of the model.
    Weight(&'a Weight),
}

/// A computed value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Numbers.
    Tensor(Tensor),
    /// All rows of a state, not copied.
    State(StateId),
}

/// The rows of a state, one per position.
pub trait StateRows: fmt::Debug + Send + Sync {
    /// Drops all rows after the first `n`.
    ///
    /// # Errors
    /// If candle fails.
    fn truncate(&mut self, n: usize) -> Result<()>;

    /// A copy.
    fn copy(&self) -> Box<dyn StateRows>;

    /// Access for the backend that created it.
    fn as_any(&self) -> &dyn Any;

    /// Access for the backend that created it.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
