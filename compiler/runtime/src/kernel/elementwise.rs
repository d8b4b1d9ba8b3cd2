//! Kernels that process each token separately: norm, rotary embedding, activations.

use mc_graph::rotary::RotaryPairing;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernel::cpu_path::{self, Kernel};
use crate::lanes;
use mc_tensor::cpu_path::CpuPath;
use mc_tensor::math;

/// Number of elements per task; rows are never split.
const TASK_LEN: usize = 16 * 1024;

/// `row / sqrt(mean(row^2) + epsilon) * weight` for every row of `weight.len()` numbers.
///
/// The mean is a sum in sixteen lanes divided by the length; the square root is exact.
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

/// `x / (1 + exp(-x))`, number by number.
pub(crate) fn silu(path: CpuPath, input: &[f32]) -> Vec<f32> {
    in_tasks(input, |values| cpu_path::run(path, Silu { values }))
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, number by number.
pub(crate) fn gelu_tanh(path: CpuPath, input: &[f32]) -> Vec<f32> {
    in_tasks(input, |values| cpu_path::run(path, GeluTanh { values }))
}

/// `cap * tanh(x / cap)`, number by number.
pub(crate) fn soft_cap(path: CpuPath, input: &[f32], cap: f32) -> Vec<f32> {
    in_tasks(input, |values| cpu_path::run(path, SoftCap { values, cap }))
}

fn in_tasks(input: &[f32], run: impl Fn(&mut [f32]) + Send + Sync) -> Vec<f32> {
    let mut out = input.to_vec();
    out.par_chunks_mut(TASK_LEN).for_each(run);
    out
}

struct Silu<'a> {
    values: &'a mut [f32],
}

impl Kernel for Silu<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        for value in self.values.iter_mut() {
            *value /= 1.0 + math::exp_f32(-*value);
        }
    }
}

struct GeluTanh<'a> {
    values: &'a mut [f32],
}

impl Kernel for GeluTanh<'_> {
    /// `x / 2 * (1 + tanh(u))` is `x / (1 + exp(-2 u))`.
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        // 2 sqrt(2 / pi), and the factor of the cube.
        const TWICE_ROOT: f32 = 1.595_769;
        const CUBIC: f32 = 0.044_715;
        for value in self.values.iter_mut() {
            let inner = TWICE_ROOT * (*value + CUBIC * *value * *value * *value);
            *value /= 1.0 + math::exp_f32(-inner);
        }
    }
}

struct SoftCap<'a> {
    values: &'a mut [f32],
    cap: f32,
}

impl Kernel for SoftCap<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        for value in self.values.iter_mut() {
            *value = self.cap * math::tanh_f32(*value / self.cap);
        }
    }
}

/// Cosines and sines of a batch's positions, `[n_tokens, n_pairs]` each.
#[derive(Clone, Copy)]
pub(crate) struct Angles<'a> {
    pub(crate) cosines: &'a [f32],
    pub(crate) sines: &'a [f32],
    pub(crate) n_pairs: usize,
}

/// Rotates the pairs of every head by the angles of the token's position.
///
/// * `input`: `[n_tokens, n_heads * head_dim]`
///
/// `(a, b)` becomes `(a cos - b sin, a sin + b cos)`.
pub(crate) fn rotate(
    input: &[f32],
    row_len: usize,
    head_dim: usize,
    pairing: RotaryPairing,
    angles: Angles<'_>,
) -> Vec<f32> {
    let mut out = input.to_vec();
    let rows_per_task = (TASK_LEN / row_len).max(1);
    out.par_chunks_mut(rows_per_task * row_len).enumerate().for_each(|(task, rows)| {
        for (i, row) in rows.chunks_exact_mut(row_len).enumerate() {
            let first = (task * rows_per_task + i) * angles.n_pairs;
            let (cosines, sines) =
                (&angles.cosines[first..][..angles.n_pairs], &angles.sines[first..][..angles.n_pairs]);
            for head in row.chunks_exact_mut(head_dim) {
                rotate_head(head, cosines, sines, pairing);
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
