//! Low-rank updates: apply an adapter to a weight.

use crate::cpu_path::{CpuPath, Width};

/// The shapes of the matrices do not agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A low-rank update needs weight rows x {n_cols} columns, `B` rows x {rank} and `A` {rank} x {n_cols}; \
     found {n_weight}, {n_up} and {n_down} elements"
)]
pub struct ShapeError {
    n_cols: usize,
    rank: usize,
    n_weight: usize,
    n_up: usize,
    n_down: usize,
}

/// Adds a low-rank update in place: `W += scale * (B A)`.
///
/// * `weight`: rows of `W` `[out, in]`, row-major f32
/// * `up` (`B`): the same rows of `[out, rank]`
/// * `down` (`A`): all of `[rank, in]`
/// * `n_cols`: `in`
/// * `scale`: `alpha / rank`, or `alpha / sqrt(rank)` for rank-stabilized LoRA; no unit
///
/// The product is summed over `rank` in ascending order in f32, multiply then add; then scaled, then added. So equal
/// inputs give equal bytes on every machine, and any subset of rows can be updated separately.
///
/// # Errors
/// [`ShapeError`] if the matrices do not agree on rows, columns and rank.
///
/// Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; rsLoRA: arXiv:2312.03732. The order of operations is that of
/// `delta = (B @ A) * scale; W + delta` in PEFT.
pub fn add_low_rank(
    weight: &mut [f32],
    up: &[f32],
    down: &[f32],
    n_cols: usize,
    rank: usize,
    scale: f32,
) -> Result<(), ShapeError> {
    let n_rows = weight.len().checked_div(n_cols).unwrap_or(0);
    if weight.len() != n_rows * n_cols
        || up.len() != n_rows * rank
        || down.len() != rank * n_cols
        || rank == 0
    {
        let (n_weight, n_up, n_down) = (weight.len(), up.len(), down.len());
        return Err(ShapeError { n_cols, rank, n_weight, n_up, n_down });
    }
    let update = Update { up, down, n_cols, rank, scale };
    update.run(CpuPath::detect(), weight);
    Ok(())
}

/// A low-rank update whose shapes agree.
#[derive(Clone, Copy)]
struct Update<'a> {
    up: &'a [f32],
    down: &'a [f32],
    n_cols: usize,
    rank: usize,
    scale: f32,
}

impl Update<'_> {
    /// Applies the update with the vectors of a path; the bits are the same on all paths.
    #[cfg_attr(
        target_arch = "x86_64",
        expect(
            unsafe_code,
            reason = "calling code compiled for more than the baseline requires CPU detection"
        )
    )]
    fn run(self, path: CpuPath, weight: &mut [f32]) {
        match path.width() {
            Width::Baseline | Width::Portable => self.add::<32>(weight),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only a CPU that has AVX2 has a path of this width.
            Width::Avx2 => unsafe { self.add_avx2(weight) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only a CPU that has AVX-512 has a path of this width.
            Width::Avx512 => unsafe { self.add_avx512(weight) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(self, weight: &mut [f32]) {
        self.add::<64>(weight);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn add_avx512(self, weight: &mut [f32]) {
        self.add::<128>(weight);
    }

    /// Processes `W` columns of all rows at a time: their sums stay in registers, their part of `A` in the cache.
    #[inline(always)]
    fn add<const W: usize>(self, weight: &mut [f32]) {
        let n_whole = self.n_cols / W * W;
        for first in (0..n_whole).step_by(W) {
            for (row, up) in weight.chunks_exact_mut(self.n_cols).zip(self.up.chunks_exact(self.rank)) {
                let mut sums = [0.0_f32; W];
                for (factor, down) in up.iter().zip(self.down.chunks_exact(self.n_cols)) {
                    let down = &down[first..][..W];
                    for (sum, value) in sums.iter_mut().zip(down) {
                        *sum += factor * value;
                    }
                }
                for (value, sum) in row[first..][..W].iter_mut().zip(&sums) {
                    *value += sum * self.scale;
                }
            }
        }
        for (row, up) in weight.chunks_exact_mut(self.n_cols).zip(self.up.chunks_exact(self.rank)) {
            for (col, value) in row.iter_mut().enumerate().skip(n_whole) {
                let mut sum = 0.0_f32;
                for (factor, down) in up.iter().zip(self.down.chunks_exact(self.n_cols)) {
                    sum += factor * down[col];
                }
                *value += sum * self.scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_update_is_the_formula() {
        let mut weight = [1.0, 2.0, 3.0, 4.0];
        add_low_rank(&mut weight, &[1.0, 2.0], &[10.0, 20.0], 2, 1, 0.5).unwrap();
        assert_eq!(weight, [6.0, 12.0, 13.0, 24.0]);
    }

    #[test]
    fn shapes_that_disagree_are_refused() {
        assert!(add_low_rank(&mut [0.0; 4], &[0.0; 2], &[0.0; 3], 2, 1, 1.0).is_err());
        assert!(add_low_rank(&mut [0.0; 4], &[0.0; 3], &[0.0; 2], 2, 1, 1.0).is_err());
        assert!(add_low_rank(&mut [0.0; 4], &[], &[], 2, 0, 1.0).is_err());
    }

    #[test]
    fn every_path_follows_the_formula_to_the_bit() {
        let (n_rows, n_cols, rank) = (5, 300, 7);
        let number = |i: usize| (i * 7919 % 1009) as f32 / 137.0 - 3.1;
        let up: Vec<f32> = (0..n_rows * rank).map(number).collect();
        let down: Vec<f32> = (0..rank * n_cols).map(|i| number(i + 77)).collect();
        let weight: Vec<f32> = (0..n_rows * n_cols).map(|i| number(i + 1234)).collect();
        let mut expected = weight.clone();
        for (i, value) in expected.iter_mut().enumerate() {
            let (row, col) = (i / n_cols, i % n_cols);
            let mut sum = 0.0_f32;
            for k in 0..rank {
                sum += up[row * rank + k] * down[k * n_cols + col];
            }
            *value += sum * 0.3;
        }
        let update = Update { up: &up, down: &down, n_cols, rank, scale: 0.3 };
        for path in CpuPath::available() {
            let mut found = weight.clone();
            update.run(path, &mut found);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&expected), "{}", path.name());
        }
    }

    proptest! {
        #[test]
        fn separate_rows_equal_all_rows_at_once(
            values in proptest::collection::vec(-1.0_f32..1.0, 6 * 8 + 6 * 3 + 3 * 8),
        ) {
            let (weight, rest) = values.split_at(48);
            let (up, down) = rest.split_at(18);
            let mut whole = weight.to_vec();
            add_low_rank(&mut whole, up, down, 8, 3, 0.7).unwrap();
            let mut pieces = weight.to_vec();
            for (piece, up) in pieces.chunks_mut(16).zip(up.chunks(6)) {
                add_low_rank(piece, up, down, 8, 3, 0.7).unwrap();
            }
            prop_assert_eq!(&whole, &pieces);
            for (row, (got, weight)) in whole.chunks(8).zip(weight.chunks(8)).enumerate() {
                for col in 0..8 {
                    let sum: f64 = (0..3).map(|r| f64::from(up[row * 3 + r]) * f64::from(down[r * 8 + col])).sum();
                    let exact = f64::from(weight[col]) + sum * f64::from(0.7_f32);
                    prop_assert!((f64::from(got[col]) - exact).abs() < 1e-5);
                }
            }
        }
    }
}
