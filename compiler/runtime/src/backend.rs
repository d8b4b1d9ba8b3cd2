//! Backends: kernels for operators, over candle's tensors.
//!
//! The interpreter (`model`) knows only this trait. [`crate::cpu_exact::CpuExact`] is the backend that everything hashed
//! is made with; [`crate::candle_backend::CandleBackend`] computes the same graph with candle's own operators on any of
//! its devices, to other bits. So a backend has an id, and the id is part of the digest of every action that runs a model.
//!
//! Operators for which a backend has no kernel reach it decomposed; primitive ones among them are computed by their
//! reference evaluation, on the host.

use std::any::Any;
use std::fmt;

use candle_core::{Device, Result, Tensor};
use mc_graph::graph::State;
use mc_graph::ids::StateId;
use mc_graph::operator::Operator;
use mc_graph::scope::Lengths;

use crate::weight::Weight;

/// The arithmetic that a number was made with; equal ids promise equal bits.
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

/// Kernels for operators. Values are contiguous f32 tensors, whole numbers are u32, on the backend's device.
pub trait Backend: fmt::Debug + Send + Sync {
    /// The arithmetic.
    fn id(&self) -> BackendId;

    /// The device that values are on.
    fn device(&self) -> &Device;

    /// Tells whether there is a kernel for an operator.
    fn has(&self, operator: &dyn Operator) -> bool;

    /// A weight as its kernels want it, made once when a model is built.
    ///
    /// # Errors
    /// If candle fails.
    fn load(&self, weight: Weight) -> Result<Weight>;

    /// Computes the outputs of an operator that it has a kernel for.
    ///
    /// # Errors
    /// If candle fails, or the inputs are not what the operator's shape rule lets through.
    fn run(&self, call: &mut Call<'_>) -> Result<Vec<Value>>;

    /// Storage for a state, empty.
    fn new_state(&self, state: &State) -> Box<dyn StateRows>;
}

/// An operator that is about to be computed.
#[derive(Debug)]
pub struct Call<'a> {
    /// The operator.
    pub operator: &'a dyn Operator,
    /// Its inputs, in its order.
    pub inputs: Vec<Input<'a>>,
    /// The place of the batch in the sequence.
    pub lengths: Lengths,
    /// The device that outputs are put on.
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
    /// All rows of a state, left where they are.
    State(StateId),
}

/// Rows that a state holds, one for each position.
pub trait StateRows: fmt::Debug + Send + Sync {
    /// Forgets all rows but the first `n`.
    ///
    /// # Errors
    /// If candle fails.
    fn truncate(&mut self, n: usize) -> Result<()>;

    /// A copy.
    fn copy(&self) -> Box<dyn StateRows>;

    /// For the backend that made it.
    fn as_any(&self) -> &dyn Any;

    /// For the backend that made it.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
