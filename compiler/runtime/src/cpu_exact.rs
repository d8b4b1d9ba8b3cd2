//! The backend `cpu-exact`: the same bits on every CPU, at every vector width and for every number of threads.
//!
//! Candle holds the tensors; the arithmetic is our own, because the bits of candle's matrix product depend on the CPU's
//! vector width and on the number of threads. Work runs on the current rayon pool. A kernel is one function and one row
//! of `KERNELS`.

use candle_core::{Device, Result, Tensor, WithDType};
use mc_graph::graph::State;
use mc_graph::ids::StateId;
use mc_graph::operator::Operator;
use mc_graph::operators::attention::Attention;
use mc_graph::operators::cache_update::CacheUpdate;
use mc_graph::operators::recent_rows::RecentRows;
use mc_graph::operators::reshape::Reshape;
use mc_graph::operators::rms_norm::RmsNorm;
use mc_graph::operators::rope::Rope;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::operators::scale::Scale;
use mc_graph::operators::slice::Slice;
use mc_graph::operators::soft_cap::SoftCap;
use mc_graph::operators::top_k::{self, TopK};
use mc_tensor::cpu_path::CpuPath;
use mc_tensor::math;

use crate::backend::{Backend, BackendId, Call, Input, StateRows, Value};
use crate::fallback;
use crate::host::with_numbers;
use crate::kernel::attention::{self, Context};
use crate::kernel::elementwise::{self, Angles};
use crate::kernel::head_rows::HeadRows;
use crate::kernel::{experts, matmul};
use crate::weight::Weight;

/// The id of this backend.
pub const CPU_EXACT: BackendId = BackendId { name: "cpu-exact", version: 1 };

/// A kernel: an operator's name, and the function that computes it.
type Kernel = (&'static str, fn(CpuPath, &mut Call<'_>) -> Result<Vec<Value>>);

/// Every operator with a kernel here; the others are decomposed into these and reference evaluations.
const KERNELS: &[Kernel] = &[
    ("add", add),
    ("attention", attend),
    ("cache_update", cache_update),
    ("concat", reference),
    ("conv1d", conv1d),
    ("div", reference),
    ("gather", gather),
    ("gather_matmul", gather_matmul),
    ("gelu_tanh", gelu_tanh),
    ("matmul", matmul_of),
    ("mul", mul),
    ("recent_rows", recent_rows),
    ("reduce_sum", reference),
    ("reshape", reshape),
    ("rms_norm", rms_norm),
    ("rope", rope),
    ("rotary_angles", rotary_angles),
    ("scale", scale),
    ("silu", silu),
    ("slice", slice),
    ("soft_cap", soft_cap),
    ("softmax", softmax),
    ("top_k", top_k_of),
    ("weighted_sum", weighted_sum),
];

/// The exact CPU backend.
#[derive(Clone, Copy, Debug)]
pub struct CpuExact {
    path: CpuPath,
}

impl CpuExact {
    /// Uses the widest path of this CPU.
    pub fn new() -> Self {
        Self { path: CpuPath::detect() }
    }

    /// Uses the given path; the results are the same.
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

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn has(&self, operator: &dyn Operator) -> bool {
        KERNELS.iter().any(|(name, _)| *name == operator.name())
    }

    fn load(&self, weight: Weight) -> Result<Weight> {
        Ok(weight.prepared())
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Vec<Value>> {
        let name = call.operator.name();
        match KERNELS.iter().find(|(known, _)| *known == name) {
            Some((_, kernel)) => kernel(self.path, call),
            None => candle_core::bail!("no kernel for `{name}`"),
        }
    }

    fn new_state(&self, state: &State) -> Box<dyn StateRows> {
        let (n_heads, row_len) = match state.row.as_slice() {
            [n_heads, row_len] => (*n_heads, *row_len),
            row => (1, row.iter().product()),
        };
        Box::new(HeadRows::new(n_heads as usize, row_len as usize))
    }
}

/// Floats in a shape.
fn tensor<T: WithDType>(values: Vec<T>, shape: Vec<usize>) -> Result<Vec<Value>> {
    Ok(vec![Value::Tensor(Tensor::from_vec(values, shape, &Device::Cpu)?)])
}

/// The attributes, as the type that belongs to the operator's name.
fn attributes<'a, T: Operator>(call: &Call<'a>) -> Result<&'a T> {
    match call.operator.get() {
        Some(operator) => Ok(operator),
        None => candle_core::bail!("`{}` is not the operator of that name", call.operator.name()),
    }
}

/// Applies a function to the numbers of an input; the shape stays.
fn map(input: Input<'_>, compute: impl FnOnce(&[f32]) -> Vec<f32>) -> Result<Vec<Value>> {
    tensor(input.with_floats(compute)?, input.shape()?)
}

/// The shape with another last dimension.
fn with_width(mut shape: Vec<usize>, width: usize) -> Vec<usize> {
    if let Some(last) = shape.last_mut() {
        *last = width;
    }
    shape
}

fn reference(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    fallback::run(call)
}

fn gather(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let [Input::Weight(table), rows] = call.inputs[..] else { return fallback::run(call) };
    let n_columns = table.n_columns();
    let values = with_numbers(rows.tensor()?, |rows: &[u32]| {
        let mut values = vec![0_f32; rows.len() * n_columns];
        for (row, out) in rows.iter().zip(values.chunks_exact_mut(n_columns)) {
            let row = *row as usize;
            table.decode_rows(row..row + 1, n_columns, out);
        }
        values
    })?;
    tensor(values, vec![call.lengths.n_tokens, n_columns])
}

fn matmul_of(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let [input, Input::Weight(weight)] = call.inputs[..] else { return fallback::run(call) };
    let out = input.with_floats(|rows| matmul::matmul(path, rows, weight))?;
    tensor(out, with_width(input.shape()?, weight.n_rows()))
}

fn gather_matmul(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let [input, Input::Weight(weights), chosen] = call.inputs[..] else {
        candle_core::bail!("expected experts among the weights");
    };
    let n_used = chosen.shape()?[1];
    let out = with_numbers(chosen.tensor()?, |chosen: &[u32]| {
        input.with_floats(|rows| experts::gather_matmul(path, rows, weights, chosen))
    })??;
    let Some(out) = out else { candle_core::bail!("expected a stack of experts, and their indices") };
    let n_tokens = input.shape()?[0];
    tensor(out, vec![n_tokens, n_used, weights.shape()[1]])
}

fn rms_norm(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let RmsNorm { epsilon } = *attributes(call)?;
    let [input, weight] = call.inputs[..] else { candle_core::bail!("expected rows and a weight") };
    weight.with_floats(|weight| map(input, |rows| elementwise::rms_norm(path, rows, weight, epsilon)))?
}

fn rotary_angles(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let angles: &RotaryAngles = attributes(call)?;
    let inputs =
        call.inputs.iter().map(|input| input.with_floats(<[f32]>::to_vec)).collect::<Result<Vec<_>>>()?;
    let divisors: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let (first, n_tokens) = (call.lengths.first_position, call.lengths.n_tokens);
    let (cosines, sines) = angles.frequencies(&divisors, call.lengths).angles(first, n_tokens);
    let shape = vec![n_tokens, angles.n_dims as usize / 2];
    let mut values = tensor(cosines, shape.clone())?;
    values.extend(tensor(sines, shape)?);
    Ok(values)
}

fn rope(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let Rope { pairing } = *attributes(call)?;
    let [input, cosines, sines] = call.inputs[..] else { candle_core::bail!("expected heads and angles") };
    let (shape, angles_shape) = (input.shape()?, cosines.shape()?);
    let (row_len, head_dim, n_pairs) = (shape[1] * shape[2], shape[2], angles_shape[1]);
    cosines.with_floats(|cosines| {
        sines.with_floats(|sines| {
            let angles = Angles { cosines, sines, n_pairs };
            map(input, |rows| elementwise::rotate(rows, row_len, head_dim, pairing, angles))
        })
    })??
}

fn cache_update(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let CacheUpdate { state } = *attributes(call)?;
    let input = call.inputs[0];
    let rows = rows_mut(call.states, state)?;
    input.with_floats(|values| rows.extend(values))?;
    Ok(vec![Value::State(state)])
}

fn recent_rows(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let RecentRows { state, n_before } = *attributes(call)?;
    let input = call.inputs[0];
    let rows = rows_mut(call.states, state)?;
    input.with_floats(|values| rows.extend(values))?;
    let (n_before, first) = (n_before as usize, call.lengths.first_position);
    let width = rows.row_len();
    let mut values = vec![0.0; n_before.saturating_sub(first) * width];
    let head = &rows.heads()[0];
    for row in head.rows(first.saturating_sub(n_before)..rows.n_rows()).chunks_exact(head.padded_dim()) {
        values.extend_from_slice(&row[..width]);
    }
    tensor(values, vec![call.lengths.n_tokens + n_before, width])
}

fn rows_mut(states: &mut [Box<dyn StateRows>], state: StateId) -> Result<&mut HeadRows> {
    match states.get_mut(state.index()).and_then(|rows| rows.as_any_mut().downcast_mut()) {
        Some(rows) => Ok(rows),
        None => candle_core::bail!("the state is not one of this backend"),
    }
}

fn attend(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let Attention { scale, window, soft_cap } = *attributes(call)?;
    let [queries, keys, values] = call.inputs[..] else {
        candle_core::bail!("expected queries, keys and values")
    };
    let (computed_keys, computed_values) = (computed_rows(keys)?, computed_rows(values)?);
    let context = Context {
        keys: rows(keys, computed_keys.as_ref(), call.states)?,
        values: rows(values, computed_values.as_ref(), call.states)?,
        scale,
        window: window.map_or(usize::MAX, |window| window as usize),
        soft_cap,
    };
    let shape = queries.shape()?;
    let out = queries.with_floats(|rows| attention::attend(path, rows, shape[1], context))?;
    tensor(out, with_width(shape, context.values.row_len()))
}

/// Keys or values that are not stored in a state.
fn computed_rows(input: Input<'_>) -> Result<Option<HeadRows>> {
    if let Input::Value(Value::State(_)) = input {
        return Ok(None);
    }
    let shape = input.shape()?;
    let mut rows = HeadRows::new(shape[1], shape[2]);
    input.with_floats(|values| rows.extend(values))?;
    Ok(Some(rows))
}

fn rows<'a>(
    input: Input<'_>,
    computed: Option<&'a HeadRows>,
    states: &'a [Box<dyn StateRows>],
) -> Result<&'a HeadRows> {
    let of_state = match input {
        Input::Value(Value::State(state)) => {
            states.get(state.index()).and_then(|rows| rows.as_any().downcast_ref())
        }
        _ => computed,
    };
    match of_state {
        Some(rows) => Ok(rows),
        None => candle_core::bail!("the state is not one of this backend"),
    }
}

fn conv1d(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let [input, weight] = call.inputs[..] else { candle_core::bail!("expected rows and kernels") };
    let (shape, len) = (input.shape()?, weight.shape()?[1]);
    let width = shape[1];
    let n_tokens = call.lengths.n_tokens;
    let out = weight.with_floats(|kernels| {
        input.with_floats(|rows| {
            let mut out = vec![0_f32; n_tokens * width];
            for (token, out) in out.chunks_exact_mut(width).enumerate() {
                for i in 0..len {
                    let row = &rows[(token + i) * width..][..width];
                    for (channel, (out, x)) in out.iter_mut().zip(row).enumerate() {
                        *out += kernels[channel * len + i] * x;
                    }
                }
            }
            out
        })
    })??;
    tensor(out, vec![n_tokens, width])
}

fn silu(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    map(call.inputs[0], |values| elementwise::silu(path, values))
}

fn gelu_tanh(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    map(call.inputs[0], |values| elementwise::gelu_tanh(path, values))
}

fn soft_cap(path: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let SoftCap { cap } = *attributes(call)?;
    map(call.inputs[0], |values| elementwise::soft_cap(path, values, cap))
}

fn scale(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let Scale { factor } = *attributes(call)?;
    map(call.inputs[0], |values| values.iter().map(|value| factor * value).collect())
}

fn add(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    by_element(call, |a, b| a + b)
}

fn mul(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    by_element(call, |a, b| a * b)
}

/// Combines two tensors of one shape, or a tensor and one row that is repeated.
fn by_element(call: &Call<'_>, compute: impl Fn(f32, f32) -> f32 + Copy) -> Result<Vec<Value>> {
    let [left, right] = call.inputs[..] else { candle_core::bail!("expected two tensors") };
    let (shape, other) = (left.shape()?, right.shape()?);
    if shape != other && (other.len() != 1 || shape.last() != other.last()) {
        return fallback::run(call);
    }
    right.with_floats(|right| {
        map(left, |left| {
            let mut out = Vec::with_capacity(left.len());
            for row in left.chunks_exact(right.len()) {
                out.extend(row.iter().zip(right).map(|(a, b)| compute(*a, *b)));
            }
            out
        })
    })?
}

fn softmax(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let width = call.inputs[0].shape()?.last().copied().unwrap_or(1);
    map(call.inputs[0], |values| {
        let mut out = values.to_vec();
        for row in out.chunks_exact_mut(width) {
            let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|value| *value = math::exp_f32(*value - greatest));
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= sum);
        }
        out
    })
}

fn top_k_of(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let TopK { k } = *attributes(call)?;
    let (input, k) = (call.inputs[0], k as usize);
    let shape = input.shape()?;
    let width = shape.last().copied().unwrap_or(1);
    let (values, places): (Vec<f32>, Vec<u32>) = input.with_floats(|values| {
        let greatest = |row: &[f32]| {
            let places = top_k::places(row, k);
            places.map(|place| (row[place], place as u32)).collect::<Vec<_>>()
        };
        values.chunks_exact(width).flat_map(greatest).unzip()
    })?;
    let shape = with_width(shape, k);
    let mut out = tensor(values, shape.clone())?;
    out.extend(tensor(places, shape)?);
    Ok(out)
}

fn weighted_sum(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let [rows, shares] = call.inputs[..] else { candle_core::bail!("expected rows and shares") };
    let shape = rows.shape()?;
    let [n_tokens, n, width] = shape[..] else { candle_core::bail!("expected rows for each token") };
    let out = shares.with_floats(|shares| {
        rows.with_floats(|rows| {
            let mut out = vec![0_f32; n_tokens * width];
            for (number, (row, share)) in rows.chunks_exact(width).zip(shares).enumerate() {
                for (sum, value) in out[number / n * width..][..width].iter_mut().zip(row) {
                    *sum += share * value;
                }
            }
            out
        })
    })??;
    tensor(out, vec![n_tokens, width])
}

fn slice(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let Slice { start, len } = *attributes(call)?;
    let (start, len) = (start as usize, len as usize);
    let shape = call.inputs[0].shape()?;
    let width = shape.last().copied().unwrap_or(1);
    let out = call.inputs[0].with_floats(|values| {
        let mut out = Vec::with_capacity(values.len() / width * len);
        for row in values.chunks_exact(width) {
            out.extend_from_slice(&row[start..start + len]);
        }
        out
    })?;
    tensor(out, with_width(shape, len))
}

fn reshape(_: CpuPath, call: &mut Call<'_>) -> Result<Vec<Value>> {
    let Reshape { dims } = attributes(call)?;
    let shape: Vec<usize> = dims.iter().map(|dim| dim.length(call.lengths)).collect();
    Ok(vec![Value::Tensor(call.inputs[0].tensor()?.reshape(shape)?)])
}
