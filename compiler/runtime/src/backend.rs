//! Who computes: the operations that the forward pass is made of, over candle's tensors.
//!
//! The forward pass (`model`) knows only this trait. [`crate::cpu_exact::CpuExact`] is the one that everything
//! hashed is made with; a backend on another device computes the same operations with candle's own kernels, to
//! other bits. So a backend has an id, and the id is part of the digest of every action that runs a model.

use std::fmt;

use candle_core::{Result, Tensor};
use mc_decoder::program::{Activation, Attention};

use crate::kv_cache::BlockCache;
use crate::rotary::RotaryTable;
use crate::weight::Weight;

/// Which arithmetic a number was made with; equal ids promise equal bits.
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

/// The operations of a decoder. Activations are `[n_tokens, width]`, f32, on the backend's device.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Which arithmetic this is.
    fn id(&self) -> BackendId;

    /// Rows of a table: `[tokens.len(), n_columns]`.
    fn rows(&self, table: &Weight, tokens: &[u32]) -> Result<Tensor>;

    /// Root-mean-square norm of every row.
    fn norm(&self, input: &Tensor, weight: &[f32], epsilon: f32) -> Result<Tensor>;

    /// `input * weight^T`, plus a bias on every row.
    fn matmul(&self, input: &Tensor, weight: &Weight, bias: Option<&[f32]>) -> Result<Tensor>;

    /// Rotary embedding of `[n_tokens, n_heads * head_dim]`.
    fn rotate(&self, input: &Tensor, head_dim: usize, table: &RotaryTable) -> Result<Tensor>;

    /// Adds keys and values to the cache, then attends over it.
    fn attend(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        cache: &mut BlockCache,
        attention: &Attention,
    ) -> Result<Tensor>;

    /// `activation(gate) * up`.
    fn gate(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor>;

    /// `left + right`.
    fn add(&self, left: &Tensor, right: &Tensor) -> Result<Tensor>;

    /// Lends the numbers of a tensor, row-major.
    ///
    /// # Errors
    /// If they cannot be brought to the host.
    fn read(&self, tensor: &Tensor, reader: &mut dyn FnMut(&[f32])) -> Result<()>;
}
