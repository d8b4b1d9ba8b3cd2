//! The backend `cpu-exact`: the same bits on every CPU, at every vector width and for every number of threads.
//!
//! Candle holds the tensors; the arithmetic is ours, put in as custom operations, because the bits of candle's own
//! matrix product depend on the CPU's width and on the number of threads. Work runs on the current rayon pool.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Storage, Tensor};
use mc_decoder::program::{Activation, Attention};

use crate::backend::{Backend, BackendId};
use crate::kernel::attention::{self, AttentionShape};
use crate::kernel::{elementwise, matmul};
use crate::kv_cache::BlockCache;
use crate::rotary::RotaryTable;
use crate::weight::Weight;
use mc_tensor::cpu_path::CpuPath;

/// The id of this backend.
pub const CPU_EXACT: BackendId = BackendId { name: "cpu-exact", version: 1 };

/// The exact CPU backend.
#[derive(Clone, Copy, Debug)]
pub struct CpuExact {
    path: CpuPath,
}

impl CpuExact {
    /// On the widest path of this CPU.
    pub fn new() -> Self {
        Self { path: CpuPath::detect() }
    }

    /// On one path; the results are the same.
    pub fn on_path(path: CpuPath) -> Self {
        Self { path }
    }
}

impl Default for CpuExact {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for CpuExact {
    fn id(&self) -> BackendId {
        CPU_EXACT
    }

    fn rows(&self, table: &Weight, tokens: &[u32]) -> Result<Tensor> {
        let n_columns = table.n_columns();
        let mut values = vec![0f32; tokens.len() * n_columns];
        for (token, row) in tokens.iter().zip(values.chunks_exact_mut(n_columns)) {
            let token = *token as usize;
            table.decode_rows(token..token + 1, n_columns, row);
        }
        Tensor::from_vec(values, (tokens.len(), n_columns), &Device::Cpu)
    }

    fn norm(&self, input: &Tensor, weight: &[f32], epsilon: f32) -> Result<Tensor> {
        map(input, "rms-norm", weight.len(), |rows| elementwise::rms_norm(self.path, rows, weight, epsilon))
    }

    fn matmul(&self, input: &Tensor, weight: &Weight, bias: Option<&[f32]>) -> Result<Tensor> {
        map(input, "matmul", weight.n_rows(), |rows| {
            let mut out = matmul::matmul(self.path, rows, weight);
            if let Some(bias) = bias {
                elementwise::add_bias(&mut out, bias);
            }
            out
        })
    }

    fn rotate(&self, input: &Tensor, head_dim: usize, table: &RotaryTable) -> Result<Tensor> {
        let row_len = input.dim(1)?;
        map(input, "rotary", row_len, |rows| elementwise::rotate(rows, row_len, head_dim, table))
    }

    fn attend(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        cache: &mut BlockCache,
        attention: &Attention,
    ) -> Result<Tensor> {
        with_values(keys, |keys| with_values(values, |values| cache.extend(keys, values)))??;
        let shape = AttentionShape {
            n_heads: attention.n_heads as usize,
            head_dim: attention.head_dim as usize,
            scale: attention.scale,
        };
        map(queries, "attention", queries.dim(1)?, |rows| attention::attend(self.path, rows, cache, shape))
    }

    fn gate(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        let compute = |gate: &[f32], up: &[f32]| elementwise::gate(self.path, gate, up, activation);
        gate.apply_op2_no_bwd(up, &Zip { name: "gate", compute })
    }

    fn add(&self, left: &Tensor, right: &Tensor) -> Result<Tensor> {
        let compute = |left: &[f32], right: &[f32]| left.iter().zip(right).map(|(a, b)| a + b).collect();
        left.apply_op2_no_bwd(right, &Zip { name: "add", compute })
    }

    fn read(&self, tensor: &Tensor, reader: &mut dyn FnMut(&[f32])) -> Result<()> {
        with_values(tensor, reader)
    }
}

/// A tensor of as many rows and `n_columns` columns.
fn map(
    input: &Tensor,
    name: &'static str,
    n_columns: usize,
    compute: impl Fn(&[f32]) -> Vec<f32>,
) -> Result<Tensor> {
    input.apply_op1_no_bwd(&Map { name, n_columns, compute })
}

struct Map<F> {
    name: &'static str,
    n_columns: usize,
    compute: F,
}

impl<F: Fn(&[f32]) -> Vec<f32>> CustomOp1 for Map<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = (self.compute)(values(storage, layout)?);
        Ok((CpuStorage::F32(out), Shape::from((layout.dims()[0], self.n_columns))))
    }
}

/// Two tensors of one shape, number by number.
struct Zip<F> {
    name: &'static str,
    compute: F,
}

impl<F: Fn(&[f32], &[f32]) -> Vec<f32>> CustomOp2 for Zip<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        left: &CpuStorage,
        left_layout: &Layout,
        right: &CpuStorage,
        right_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = (self.compute)(values(left, left_layout)?, values(right, right_layout)?);
        Ok((CpuStorage::F32(out), left_layout.shape().clone()))
    }
}

/// The numbers of a contiguous f32 storage.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("expected a contiguous tensor, found strides {:?}", layout.stride());
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Lends the numbers of a contiguous f32 tensor on the CPU.
fn with_values<T>(tensor: &Tensor, reader: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(reader(values(storage, layout)?)),
        _ => candle_core::bail!("expected a tensor on the CPU"),
    }
}
