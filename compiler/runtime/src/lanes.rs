//! The fixed order of every sum: sixteen lanes, then a fixed tree.
//!
//! Element `i` of a sum goes to lane `i mod 16`; each lane adds its elements in ascending order, multiplying first and
//! never fusing; the lanes are folded 16 → 8 → 4 → 2 → 1, upper half onto lower. A row is padded with zeros to a
//! multiple of sixteen. So a sum has the same bits on every CPU, whatever its vector width.

/// Number of lanes of every sum.
pub(crate) const N_LANES: usize = 16;

/// The length of a row of `n` numbers, padded to whole lanes.
pub(crate) fn padded(n: usize) -> usize {
    n.next_multiple_of(N_LANES)
}

/// Adds the sixteen lanes of one sum in the fixed tree.
#[inline(always)]
pub(crate) fn fold(lanes: &[f32; N_LANES]) -> f32 {
    fold_each([lanes])[0]
}

/// Adds the sixteen lanes of each of `N` sums in the fixed tree; the last two levels process all sums together.
#[inline(always)]
fn fold_each<const N: usize>(sums: [&[f32; N_LANES]; N]) -> [f32; N] {
    let mut four = [[0f32; N]; 4];
    for (sum, lanes) in sums.into_iter().enumerate() {
        let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
        for (lane, row) in four.iter_mut().enumerate() {
            row[sum] = eight[lane] + eight[lane + 4];
        }
    }
    std::array::from_fn(|sum| (four[0][sum] + four[2][sum]) + (four[1][sum] + four[3][sum]))
}

/// Dot products of each of `M` rows with each of `N` rows.
///
/// * `left`, `right`: rows of equal length in groups of `W`; the length is a multiple of [`N_LANES`]
#[inline(always)]
pub(crate) fn dot_tile<const W: usize, const M: usize, const N: usize>(
    left: [&[[f32; W]]; M],
    right: [&[[f32; W]]; N],
) -> [[f32; N]; M] {
    let n_steps = left[0].len();
    let left = left.map(|row| &row[..n_steps]);
    let right = right.map(|row| &row[..n_steps]);
    let mut lanes = [[[0f32; N_LANES]; N]; M];
    // One pass per group of W lanes keeps all accumulators in registers at every width.
    for first in 0..N_LANES / W {
        let mut sums = [[[0f32; W]; N]; M];
        let mut step = first;
        while step < n_steps {
            let columns: [[f32; W]; N] = std::array::from_fn(|column| right[column][step]);
            for row in 0..M {
                let factor = left[row][step];
                for column in 0..N {
                    for lane in 0..W {
                        sums[row][column][lane] += factor[lane] * columns[column][lane];
                    }
                }
            }
            step += N_LANES / W;
        }
        for row in 0..M {
            for column in 0..N {
                lanes[row][column][first * W..][..W].copy_from_slice(&sums[row][column]);
            }
        }
    }
    lanes.each_ref().map(|row| fold_each(row.each_ref()))
}

/// The sum of a slice.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0f32; N_LANES];
    let (groups, rest) = values.as_chunks::<N_LANES>();
    for group in groups {
        for lane in 0..N_LANES {
            lanes[lane] += group[lane];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    fold(&lanes)
}

/// The sum of the squares of a slice.
#[inline(always)]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    let mut lanes = [0f32; N_LANES];
    let (groups, rest) = values.as_chunks::<N_LANES>();
    for group in groups {
        for lane in 0..N_LANES {
            lanes[lane] += group[lane] * group[lane];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value * value;
    }
    fold(&lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule in the module documentation, one number at a time.
    fn dot_by_definition(left: &[f32], right: &[f32]) -> f32 {
        let mut lanes = [0f32; N_LANES];
        for (i, (a, b)) in left.iter().zip(right).enumerate() {
            lanes[i % N_LANES] += a * b;
        }
        let mut n = N_LANES;
        while n > 1 {
            n /= 2;
            for lane in 0..n {
                lanes[lane] += lanes[lane + n];
            }
        }
        lanes[0]
    }

    #[test]
    fn every_width_follows_the_definition_to_the_bit() {
        let left: Vec<f32> = (0..208).map(|i| (i * 7919 % 1001) as f32 / 371.0 - 1.3).collect();
        let right: Vec<f32> = (0..208).map(|i| (i * 6007 % 997) as f32 / 173.0 - 2.9).collect();
        let expected = dot_by_definition(&left, &right).to_bits();
        fn dot<const W: usize>(left: &[f32], right: &[f32]) -> u32 {
            dot_tile::<W, 1, 1>([left.as_chunks().0], [right.as_chunks().0])[0][0].to_bits()
        }
        assert_eq!(dot::<4>(&left, &right), expected);
        assert_eq!(dot::<8>(&left, &right), expected);
        assert_eq!(dot::<16>(&left, &right), expected);
    }

    #[test]
    fn a_sum_is_a_dot_product_with_ones() {
        let values: Vec<f32> = (0..77).map(|i| (i * 7919 % 1001) as f32 / 371.0 - 1.3).collect();
        assert_eq!(sum(&values).to_bits(), dot_by_definition(&values, &[1.0; 77]).to_bits());
        assert_eq!(sum_of_squares(&values).to_bits(), dot_by_definition(&values, &values).to_bits());
    }
}
