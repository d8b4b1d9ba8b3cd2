//! All dot products between two sets of rows.

use crate::kernel::cpu_path::Kernel;
use crate::lanes;

/// Number of left rows multiplied at once.
const N_LEFT: usize = 4;

/// Rows of equal, padded length, contiguous in memory.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The rows, one after another.
    pub(crate) values: &'a [f32],
    /// Length of a row, a multiple of the number of lanes.
    pub(crate) padded_len: usize,
}

impl<'a> Rows<'a> {
    fn n_rows(self) -> usize {
        self.values.len() / self.padded_len
    }

    /// `N` rows from `first`, in groups of `W`.
    #[inline(always)]
    fn groups<const W: usize, const N: usize>(self, first: usize) -> [&'a [[f32; W]]; N] {
        std::array::from_fn(|i| {
            let start = (first + i) * self.padded_len;
            self.values[start..start + self.padded_len].as_chunks().0
        })
    }
}

/// Writes `out[right][left]`, the dot product of a right row with a left row, for all pairs.
///
/// Left rows are processed four at a time and stay in the first-level cache while the kernel iterates over all right
/// rows.
pub(crate) struct Products<'a> {
    /// The rows of the inner dimension of the result.
    pub(crate) left: Rows<'a>,
    /// The rows of the outer dimension of the result.
    pub(crate) right: Rows<'a>,
    /// `[n_right, n_left]`, row-major.
    pub(crate) out: &'a mut [f32],
}

impl Products<'_> {
    #[inline(always)]
    fn tile<const W: usize, const M: usize, const N: usize>(&mut self, left: usize, right: usize) {
        let tile = lanes::dot_tile::<W, M, N>(self.left.groups(left), self.right.groups(right));
        let n_left = self.left.n_rows();
        for (column, products) in tile.iter().enumerate() {
            for (row, product) in products.iter().enumerate() {
                self.out[(right + row) * n_left + left + column] = *product;
            }
        }
    }

    #[inline(always)]
    fn strip<const W: usize, const M: usize, const N: usize>(&mut self, left: usize) {
        let n_right = self.right.n_rows();
        let n_whole = n_right - n_right % N;
        for right in (0..n_whole).step_by(N) {
            self.tile::<W, M, N>(left, right);
        }
        for right in n_whole..n_right {
            self.tile::<W, M, 1>(left, right);
        }
    }
}

impl Kernel for Products<'_> {
    #[inline(always)]
    fn run<const W: usize, const N: usize>(mut self) {
        let n_left = self.left.n_rows();
        let n_whole = n_left - n_left % N_LEFT;
        for left in (0..n_whole).step_by(N_LEFT) {
            self.strip::<W, N_LEFT, N>(left);
        }
        for left in n_whole..n_left {
            self.strip::<W, 1, N>(left);
        }
    }
}
