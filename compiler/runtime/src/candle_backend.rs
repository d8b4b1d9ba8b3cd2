//! The backend `candle`: runs the same graph on candle's own operators, on any of its devices.
//!
//! It has kernels only for the primitive operators; all others reach it decomposed. Its numbers differ from those of
//! [`crate::cpu_exact`] in the last bits, and between devices: the device is part of its name.

use std::any::Any;

use candle_core::{D, Device, Result, Tensor};
use mc_graph::graph::State;
use mc_graph::ids::StateId;
use mc_graph::operator::Operator;
use mc_graph::operators::cache_update::CacheUpdate;
use mc_graph::operators::offset::Offset;
use mc_graph::operators::recent_rows::RecentRows;
use mc_graph::operators::reshape::Reshape;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::operators::scale::Scale;
use mc_graph::operators::slice::Slice;
use mc_graph::operators::top_k::{self, TopK};
use mc_graph::operators::transpose::Transpose;

use crate::backend::{Backend, BackendId, Call, Input, StateRows, Value};
use crate::weight::Weight;

/// A kernel: an operator's name, and the function that computes it.
type Kernel = (&'static str, fn(&mut Call<'_>) -> Result<Vec<Tensor>>);

/// Every operator with a kernel here.
const KERNELS: &[Kernel] = &[
    ("add", |call| both(call, Tensor::broadcast_add)),
    ("batch_matmul", batch_matmul),
    ("cache_update", cache_update),
    ("concat", concat),
    ("conv1d", conv1d),
    ("div", |call| both(call, Tensor::broadcast_div)),
    ("exp", |call| one(first(call)?.exp()?)),
    ("gather", |call| both(call, |table, rows| table.index_select(rows, 0))),
    ("gather_matmul", gather_matmul),
    ("gelu_tanh", |call| one(first(call)?.gelu()?)),
    ("matmul", matmul),
    ("mul", |call| both(call, Tensor::broadcast_mul)),
    ("offset", offset),
    ("recent_rows", recent_rows),
    ("reduce_max", |call| one(first(call)?.max_keepdim(D::Minus1)?)),
    ("reduce_mean", |call| one(first(call)?.mean_keepdim(D::Minus1)?)),
    ("reduce_sum", |call| one(first(call)?.sum_keepdim(D::Minus1)?)),
    ("reshape", reshape),
    ("rotary_angles", rotary_angles),
    ("rsqrt", |call| one(first(call)?.sqrt()?.recip()?)),
    ("scale", scale),
    ("silu", |call| one(first(call)?.silu()?)),
    ("slice", slice),
    ("sub", |call| both(call, Tensor::broadcast_sub)),
    ("tanh", |call| one(first(call)?.tanh()?)),
    ("top_k", top_k_of),
    ("transpose", transpose),
];

/// The id on the CPU.
pub const CPU: BackendId = BackendId { name: "candle-cpu", version: 1 };

/// The id on a CUDA device.
#[cfg(feature = "cuda")]
pub const CUDA: BackendId = BackendId { name: "candle-cuda", version: 1 };

/// The id on a Metal device.
#[cfg(feature = "metal")]
pub const METAL: BackendId = BackendId { name: "candle-metal", version: 1 };

/// Candle's operators on a device.
#[derive(Clone, Debug)]
pub struct CandleBackend {
    id: BackendId,
    device: Device,
}

impl CandleBackend {
    /// Opens the CPU.
    pub fn cpu() -> Self {
        Self { id: CPU, device: Device::Cpu }
    }

    /// Opens the first CUDA device.
    ///
    /// # Errors
    /// If there is none.
    #[cfg(feature = "cuda")]
    pub fn cuda() -> Result<Self> {
        Ok(Self { id: CUDA, device: Device::new_cuda(0)? })
    }

    /// Opens the first Metal device.
    ///
    /// # Errors
    /// If there is none.
    #[cfg(feature = "metal")]
    pub fn metal() -> Result<Self> {
        Ok(Self { id: METAL, device: Device::new_metal(0)? })
    }
}

impl Backend for CandleBackend {
    fn id(&self) -> BackendId {
        self.id
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn has(&self, operator: &dyn Operator) -> bool {
        KERNELS.iter().any(|(name, _)| *name == operator.name())
    }

    fn load(&self, weight: Weight) -> Result<Weight> {
        weight.on_device(&self.device)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Vec<Value>> {
        let name = call.operator.name();
        let Some((_, kernel)) = KERNELS.iter().find(|(known, _)| *known == name) else {
            candle_core::bail!("no kernel for `{name}`");
        };
        let contiguous = |tensor: Tensor| Ok(Value::Tensor(tensor.contiguous()?));
        kernel(call)?.into_iter().map(contiguous).collect()
    }

    fn new_state(&self, _: &State) -> Box<dyn StateRows> {
        Box::new(CandleRows(None))
    }
}

/// The rows of a state, `[n, …]`.
#[derive(Clone, Debug)]
struct CandleRows(Option<Tensor>);

impl StateRows for CandleRows {
    fn truncate(&mut self, n: usize) -> Result<()> {
        self.0 = match self.0.take() {
            Some(rows) if n > 0 => Some(rows.narrow(0, 0, n.min(rows.dim(0)?))?.contiguous()?),
            _ => None,
        };
        Ok(())
    }

    fn copy(&self) -> Box<dyn StateRows> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn one(tensor: Tensor) -> Result<Vec<Tensor>> {
    Ok(vec![tensor])
}

/// An input as a tensor, either computed or a weight.
fn tensor<'a>(call: &Call<'a>, index: usize) -> Result<&'a Tensor> {
    match call.inputs.get(index) {
        Some(Input::Weight(weight)) => match weight.device_tensor() {
            Some(tensor) => Ok(tensor),
            None => candle_core::bail!("expected a weight on the device"),
        },
        Some(input) => input.tensor(),
        None => candle_core::bail!("expected more inputs"),
    }
}

fn first<'a>(call: &Call<'a>) -> Result<&'a Tensor> {
    tensor(call, 0)
}

fn pair<'a>(call: &Call<'a>) -> Result<(&'a Tensor, &'a Tensor)> {
    Ok((tensor(call, 0)?, tensor(call, 1)?))
}

fn both(call: &Call<'_>, compute: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Vec<Tensor>> {
    let (left, right) = pair(call)?;
    one(compute(left, right)?)
}

/// The attributes, as the type that belongs to the operator's name.
fn attributes<'a, T: Operator>(call: &Call<'a>) -> Result<&'a T> {
    match call.operator.get() {
        Some(operator) => Ok(operator),
        None => candle_core::bail!("`{}` is not the operator of that name", call.operator.name()),
    }
}

fn scale(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let Scale { factor } = *attributes(call)?;
    one(first(call)?.affine(f64::from(factor), 0.0)?)
}

fn offset(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let Offset { term } = *attributes(call)?;
    one(first(call)?.affine(1.0, f64::from(term))?)
}

fn matmul(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let (rows, weight) = pair(call)?;
    let width = rows.dim(D::Minus1)?;
    let product = rows.reshape(((), width))?.matmul(&weight.t()?)?;
    let mut shape = rows.dims().to_vec();
    *shape.last_mut().expect("rows have a last dimension") = weight.dim(0)?;
    one(product.reshape(shape)?)
}

fn batch_matmul(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let (left, right) = pair(call)?;
    let n_dims = left.rank().max(right.rank());
    let padded = |tensor: &Tensor| {
        let ones = std::iter::repeat_n(1, n_dims - tensor.rank());
        tensor.reshape(ones.chain(tensor.dims().iter().copied()).collect::<Vec<_>>())
    };
    let right = padded(right)?.transpose(D::Minus1, D::Minus2)?.contiguous()?;
    one(padded(left)?.contiguous()?.broadcast_matmul(&right)?)
}

fn gather_matmul(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let (rows, weights) = pair(call)?;
    let chosen = tensor(call, 2)?;
    let (n_tokens, n_used) = chosen.dims2()?;
    let width = rows.dim(D::Minus1)?;
    let flat = rows.reshape(((), width))?;
    let n_per_row = n_tokens * n_used / flat.dim(0)?;
    let chosen: Vec<u32> = chosen.flatten_all()?.to_vec1()?;
    let (mut products, mut order) = (Vec::new(), vec![0_u32; chosen.len()]);
    let mut n_done = 0_u32;
    for expert in 0..weights.dim(0)? {
        let places = (0..chosen.len()).filter(|place| chosen[*place] as usize == expert);
        let mut rows_of_expert = Vec::new();
        for place in places {
            rows_of_expert.push((place / n_per_row) as u32);
            order[place] = n_done;
            n_done += 1;
        }
        if !rows_of_expert.is_empty() {
            let index = Tensor::new(rows_of_expert, flat.device())?;
            products.push(flat.index_select(&index, 0)?.matmul(&weights.get(expert)?.t()?)?);
        }
    }
    let products = Tensor::cat(&products, 0)?;
    let ordered = products.index_select(&Tensor::new(order, products.device())?, 0)?;
    one(ordered.reshape((n_tokens, n_used, weights.dim(1)?))?)
}

fn slice(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let Slice { start, len } = *attributes(call)?;
    one(first(call)?.narrow(D::Minus1, start as usize, len as usize)?)
}

fn concat(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let tensors: Vec<&Tensor> =
        (0..call.inputs.len()).map(|index| tensor(call, index)).collect::<Result<_>>()?;
    one(Tensor::cat(&tensors, D::Minus1)?)
}

fn reshape(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let Reshape { dims } = attributes(call)?;
    let shape: Vec<usize> = dims.iter().map(|dim| dim.length(call.lengths)).collect();
    one(first(call)?.reshape(shape)?)
}

fn transpose(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let Transpose { order } = attributes(call)?;
    one(first(call)?.permute(order.iter().map(|axis| *axis as usize).collect::<Vec<_>>())?)
}

fn rotary_angles(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let angles: &RotaryAngles = attributes(call)?;
    let divisor = |index: usize| tensor(call, index)?.to_vec1::<f32>();
    let divisors: Vec<Vec<f32>> = (0..call.inputs.len()).map(divisor).collect::<Result<_>>()?;
    let divisors: Vec<&[f32]> = divisors.iter().map(Vec::as_slice).collect();
    let (n_tokens, n_pairs) = (call.lengths.n_tokens, angles.n_dims as usize / 2);
    let (cosines, sines) =
        angles.frequencies(&divisors, call.lengths).angles(call.lengths.first_position, n_tokens);
    let device = call.device;
    let table = |values| Tensor::from_vec(values, (n_tokens, n_pairs), device);
    Ok(vec![table(cosines)?, table(sines)?])
}

fn top_k_of(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let TopK { k } = *attributes(call)?;
    let input = first(call)?;
    let (width, k) = (input.dim(D::Minus1)?, k as usize);
    let places = |row: &[f32]| top_k::places(row, k).map(|place| place as u32).collect::<Vec<_>>();
    let values: Vec<f32> = input.flatten_all()?.to_vec1()?;
    let places: Vec<u32> = values.chunks_exact(width).flat_map(places).collect();
    let mut shape = input.dims().to_vec();
    *shape.last_mut().expect("the shape rule asks for a last dimension") = k;
    let places = Tensor::from_vec(places, shape, input.device())?;
    Ok(vec![input.gather(&places, D::Minus1)?, places])
}

fn conv1d(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let (rows, kernels) = pair(call)?;
    let n_tokens = call.lengths.n_tokens;
    let mut sum = rows.narrow(0, 0, n_tokens)?.zeros_like()?;
    for i in 0..kernels.dim(1)? {
        let column = kernels.narrow(1, i, 1)?.t()?;
        sum = (sum + rows.narrow(0, i, n_tokens)?.broadcast_mul(&column)?)?;
    }
    one(sum)
}

fn cache_update(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let CacheUpdate { state } = *attributes(call)?;
    let rows = first(call)?;
    one(extend(call, state, rows)?)
}

fn recent_rows(call: &mut Call<'_>) -> Result<Vec<Tensor>> {
    let RecentRows { state, n_before } = *attributes(call)?;
    let rows = first(call)?;
    let all = extend(call, state, rows)?;
    let (first, n_before) = (call.lengths.first_position, n_before as usize);
    let start = first.saturating_sub(n_before);
    let recent = all.narrow(0, start, all.dim(0)? - start)?;
    one(recent.pad_with_zeros(0, n_before.saturating_sub(first), 0)?)
}

/// Appends rows to a state and returns all rows.
fn extend(call: &mut Call<'_>, state: StateId, rows: &Tensor) -> Result<Tensor> {
    let stored = call.states.get_mut(state.index()).and_then(|rows| rows.as_any_mut().downcast_mut());
    let Some(CandleRows(stored)) = stored else { candle_core::bail!("the state is not one of this backend") };
    let all = match stored {
        Some(earlier) => Tensor::cat(&[&*earlier, rows], 0)?,
        None => rows.clone(),
    };
    *stored = Some(all.clone());
    Ok(all)
}
