//! Kernels that take each token by itself: norm, rotary embedding, gate, bias.

use mc_decoder::program::{Activation, RotaryPairing};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernel::cpu_path::{self, Kernel};
use crate::lanes;
use crate::rotary::RotaryTable;
use mc_tensor::cpu_path::CpuPath;
use mc_tensor::math;

/// Numbers that one task handles; rows are never cut.
const TASK_LEN: usize = 16 * 1024;

/// `row / sqrt(mean(row^2) + epsilon) * weight` for every row of `weight.len()` numbers.
///
/// The mean is a sum in sixteen lanes divided by the length; the root is exact.
pub(crate) fn rms_norm(path: CpuPath, input: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = input.to_vec();
    let task_len = (TASK_LEN / weight.len()).max(1) * weight.len();
    out.par_chunks_mut(task_len).for_each(|rows| cpu_path::run(path, RmsNorm { rows, weight, epsilon }));
    out
}

struct RmsNorm<'a> {
    rows: &'a mut [f32],
    weight: &'a [f32],
    epsilon: f32,
}

impl Kernel for RmsNorm<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        for row in self.rows.chunks_exact_mut(self.weight.len()) {
            let mean = lanes::sum_of_squares(row) / self.weight.len() as f32;
            let scale = 1.0 / (mean + self.epsilon).sqrt();
            for (value, weight) in row.iter_mut().zip(self.weight) {
                *value = *value * scale * weight;
            }
        }
    }
}

/// `activation(gate) * up`, number by number.
pub(crate) fn gate(path: CpuPath, gate: &[f32], up: &[f32], activation: Activation) -> Vec<f32> {
    let mut out = gate.to_vec();
    out.par_chunks_mut(TASK_LEN).enumerate().for_each(|(task, gate)| {
        let up = &up[task * TASK_LEN..][..gate.len()];
        match activation {
            Activation::Silu => cpu_path::run(path, SiluGate { gate, up }),
            Activation::GeluTanh => cpu_path::run(path, GeluGate { gate, up }),
        }
    });
    out
}

struct SiluGate<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Kernel for SiluGate<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate = *gate / (1.0 + math::exp_f32(-*gate)) * up;
        }
    }
}

struct GeluGate<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Kernel for GeluGate<'_> {
    /// `x / 2 * (1 + tanh(u))` is `x / (1 + exp(-2 u))`.
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        // 2 sqrt(2 / pi), and the cube's factor.
        const TWICE_ROOT: f32 = 1.595_769;
        const CUBIC: f32 = 0.044_715;
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            let inner = TWICE_ROOT * (*gate + CUBIC * *gate * *gate * *gate);
            *gate = *gate / (1.0 + math::exp_f32(-inner)) * up;
        }
    }
}

/// Turns the pairs of every head by the angles of the token's position.
///
/// * `input`: `[n_tokens, n_heads * head_dim]`; the table's row `i` belongs to token `i`
///
/// `(a, b)` becomes `(a cos - b sin, a sin + b cos)`.
pub(crate) fn rotate(input: &[f32], row_len: usize, head_dim: usize, table: &RotaryTable) -> Vec<f32> {
    let mut out = input.to_vec();
    let rows_per_task = (TASK_LEN / row_len).max(1);
    out.par_chunks_mut(rows_per_task * row_len).enumerate().for_each(|(task, rows)| {
        for (i, row) in rows.chunks_exact_mut(row_len).enumerate() {
            let (cosines, sines) = table.row(task * rows_per_task + i);
            for head in row.chunks_exact_mut(head_dim) {
                rotate_head(head, cosines, sines, table.pairing());
            }
        }
    });
    out
}

fn rotate_head(head: &mut [f32], cosines: &[f32], sines: &[f32], pairing: RotaryPairing) {
    let n_pairs = cosines.len();
    match pairing {
        RotaryPairing::HalfSplit => {
            let (first, second) = head.split_at_mut(n_pairs);
            for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
        RotaryPairing::Interleaved => {
            for (([a, b], cos), sin) in head.as_chunks_mut().0.iter_mut().zip(cosines).zip(sines) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
    }
}

/// Adds the bias to every row.
pub(crate) fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}
