//! Causal attention of new tokens to all positions in the cache.
//!
//! For a query at position `p` and the positions `j` that it sees: `scores[j] = cap(scale * dot(q, k[j]))`, in sixteen
//! lanes; `e[j] = exp(scores[j] - max(scores))`;
//! `out = (sum over j, ascending, of e[j] * v[j]) / (sum of e in sixteen lanes)`. The result for a query depends only
//! on its position, not on the number of tokens in its batch.

use std::borrow::Cow;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernel::cpu_path::{self, Kernel};
use crate::kernel::head_rows::{Head, HeadRows};
use crate::kernel::matmul;
use crate::kernel::products::{Products, Rows};
use crate::lanes::{self, N_LANES};
use mc_tensor::cpu_path::CpuPath;
use mc_tensor::math;

/// Number of queries per task; a multiple of [`N_QUERIES`].
const TASK_QUERIES: usize = 32;

/// Number of queries whose values are summed together.
const N_QUERIES: usize = 8;

/// Keys and values of all positions, and the parameters of the scores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Keys.
    pub(crate) keys: &'a HeadRows,
    /// Values, with as many positions and heads.
    pub(crate) values: &'a HeadRows,
    /// Factor on the scores.
    pub(crate) scale: f32,
    /// Number of positions that a query sees, including itself.
    pub(crate) window: usize,
    /// Caps the scores: `cap * tanh(score / cap)`.
    pub(crate) soft_cap: Option<f32>,
}

/// Computes the attention of `queries`, which are the last positions of the context.
///
/// * `queries`: `[n_tokens, n_heads * head_dim]`; `n_heads` is a multiple of the context's heads
/// * returns `[n_tokens, n_heads * value_dim]`
pub(crate) fn attend(path: CpuPath, queries: &[f32], n_heads: usize, context: Context<'_>) -> Vec<f32> {
    let head_dim = context.keys.row_len();
    let value_dim = context.values.row_len();
    let row_len = n_heads * head_dim;
    let n_tokens = queries.len() / row_len;
    let first_position = context.keys.n_rows() - n_tokens;
    let n_shared = n_heads / context.keys.heads().len();
    let tasks_per_head = n_tokens.div_ceil(TASK_QUERIES);
    let padded_dim = lanes::padded(value_dim);
    let mut by_task = vec![0f32; tasks_per_head * TASK_QUERIES * n_heads * padded_dim];
    let run = |(task, out): (usize, &mut [f32])| {
        let (head, first) = (task / tasks_per_head, task % tasks_per_head * TASK_QUERIES);
        let rows = &queries[first * row_len..n_tokens.min(first + TASK_QUERIES) * row_len];
        let queries: Vec<f32> =
            rows.chunks_exact(row_len).flat_map(|row| &row[head * head_dim..][..head_dim]).copied().collect();
        let queries = matmul::pad_rows(&queries, head_dim);
        let head = HeadContext {
            keys: &context.keys.heads()[head / n_shared],
            values: &context.values.heads()[head / n_shared],
            context,
        };
        attend_head(path, queries, head, first_position + first, out);
    };
    if n_tokens == 1 {
        by_task.chunks_mut(TASK_QUERIES * padded_dim).enumerate().for_each(run);
    } else {
        by_task.par_chunks_mut(TASK_QUERIES * padded_dim).enumerate().for_each(run);
    }
    let mut out = Vec::with_capacity(n_tokens * n_heads * value_dim);
    for token in 0..n_tokens {
        for head in 0..n_heads {
            let task = head * tasks_per_head + token / TASK_QUERIES;
            let row = task * TASK_QUERIES + token % TASK_QUERIES;
            out.extend_from_slice(&by_task[row * padded_dim..][..value_dim]);
        }
    }
    out
}

/// The context of one head.
#[derive(Clone, Copy)]
struct HeadContext<'a> {
    keys: &'a Head,
    values: &'a Head,
    context: Context<'a>,
}

/// Computes consecutive queries of one head, the first at `first_position`.
fn attend_head(
    path: CpuPath,
    queries: Cow<'_, [f32]>,
    head: HeadContext<'_>,
    first_position: usize,
    out: &mut [f32],
) {
    let Context { scale, window, soft_cap, .. } = head.context;
    let padded_len = head.keys.padded_dim();
    let n_queries = queries.len() / padded_len;
    // The positions that at least one of the queries sees.
    let start = (first_position + 1).saturating_sub(window);
    let n_keys = first_position + n_queries - start;
    // Probabilities are zero where a query does not see a position, and in the padding to whole lanes and whole groups
    // of queries.
    let mut probabilities = vec![0f32; n_queries * n_keys];
    let left = Rows { values: head.keys.rows(start..start + n_keys), padded_len };
    cpu_path::run(
        path,
        Products { left, right: Rows { values: &queries, padded_len }, out: &mut probabilities },
    );
    let mut sums = [1f32; TASK_QUERIES];
    let rows = probabilities.chunks_exact_mut(n_keys).zip(&mut sums).enumerate();
    for (i, (scores, sum)) in rows {
        let position = first_position + i;
        let (seen, unseen) = scores.split_at_mut(position + 1 - start);
        unseen.fill(0.0);
        let (unseen, seen) = seen.split_at_mut((position + 1).saturating_sub(window).max(start) - start);
        unseen.fill(0.0);
        if let Some(cap) = soft_cap {
            cpu_path::run(path, SoftCap { scores: seen, scale, cap });
            cpu_path::run(path, Exponentials { scores: seen, scale: 1.0, sum });
        } else {
            cpu_path::run(path, Exponentials { scores: seen, scale, sum });
        }
    }
    let (values, padded_len) = (head.values.rows(start..start + n_keys), head.values.padded_dim());
    let right = Rows { values, padded_len };
    cpu_path::run(
        path,
        WeightedValues { probabilities: &probabilities, n_keys, sums: &sums, values: right, out },
    );
}

/// Replaces scores by `cap * tanh(scale * score / cap)`.
struct SoftCap<'a> {
    scores: &'a mut [f32],
    scale: f32,
    cap: f32,
}

impl Kernel for SoftCap<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        for score in self.scores.iter_mut() {
            *score = self.cap * math::tanh_f32(*score * self.scale / self.cap);
        }
    }
}

/// Replaces scores by `exp(scale * (score) - max)` and returns their sum.
struct Exponentials<'a> {
    scores: &'a mut [f32],
    scale: f32,
    sum: &'a mut f32,
}

impl Kernel for Exponentials<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(self) {
        let mut greatest = [f32::NEG_INFINITY; N_LANES];
        let (groups, rest) = self.scores.as_chunks_mut::<N_LANES>();
        for group in groups {
            for lane in 0..N_LANES {
                group[lane] *= self.scale;
                greatest[lane] = if group[lane] > greatest[lane] { group[lane] } else { greatest[lane] };
            }
        }
        for (value, greatest) in rest.iter_mut().zip(&mut greatest) {
            *value *= self.scale;
            *greatest = if *value > *greatest { *value } else { *greatest };
        }
        let greatest = greatest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        for score in self.scores.iter_mut() {
            *score = math::exp_f32(*score - greatest);
        }
        *self.sum = lanes::sum(self.scores);
    }
}

/// Sums the values weighted by their probabilities, position after position, and divides by the sum.
struct WeightedValues<'a> {
    probabilities: &'a [f32],
    n_keys: usize,
    sums: &'a [f32],
    values: Rows<'a>,
    out: &'a mut [f32],
}

impl WeightedValues<'_> {
    #[inline(always)]
    fn group<const W: usize, const Q: usize>(&mut self, first: usize) {
        let padded_len = self.values.padded_len;
        let probabilities: [&[f32]; Q] =
            std::array::from_fn(|i| &self.probabilities[(first + i) * self.n_keys..][..self.n_keys]);
        let values = self.values.values;
        for start in (0..padded_len).step_by(W) {
            let mut sums = [[0f32; W]; Q];
            for (position, row) in values.chunks_exact(padded_len).enumerate() {
                let mut group = [0f32; W];
                group.copy_from_slice(&row[start..start + W]);
                for query in 0..Q {
                    let probability = probabilities[query][position];
                    for lane in 0..W {
                        sums[query][lane] += probability * group[lane];
                    }
                }
            }
            for (query, lanes) in sums.iter().enumerate() {
                let out = &mut self.out[(first + query) * padded_len + start..][..W];
                for (out, lane) in out.iter_mut().zip(lanes) {
                    *out = lane / self.sums[first + query];
                }
            }
        }
    }
}

impl Kernel for WeightedValues<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(mut self) {
        let n_queries = self.probabilities.len() / self.n_keys;
        let n_whole = n_queries - n_queries % N_QUERIES;
        for first in (0..n_whole).step_by(N_QUERIES) {
            self.group::<W, N_QUERIES>(first);
        }
        for first in n_whole..n_queries {
            self.group::<W, 1>(first);
        }
    }
}
