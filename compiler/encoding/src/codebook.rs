//! The codebooks of the IQ1, IQ2 and IQ3 codecs (ggml calls them grids): short vectors of codes, some of which a block
//! names by index.
//!
//! Few of all possible vectors are points of a grid. For every other vector, the codebook lists the nearby points, from
//! which an encoder chooses by its own error measure.
//!
//! Source: `iq2xs_init_impl` and `iq3xs_init_impl` of ggml-quants.c. The order of points and of neighbors is part of
//! the format.

mod iq1;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
pub mod lanes;

use std::sync::LazyLock;

/// A codebook: points in the lattice of vectors of `DIM` codes.
pub(crate) struct Codebook<const DIM: usize> {
    /// The codes are `0..n_codes`.
    n_codes: usize,
    points: Vec<[u8; DIM]>,
    /// For each vector of codes (see [`Self::vector_idx`]), the index of its point, or [`NO_POINT`].
    point_at: Vec<u16>,
    /// For each vector the end of its neighbors; those of the next vector begin there.
    neighbors_end: Vec<u32>,
    neighbors: Vec<u16>,
}

const NO_POINT: u16 = u16::MAX;

/// The number of points of every grid is a multiple of this.
const CHUNK: usize = 16;

/// The position of a vector of codes relative to the grid.
pub(crate) enum Place<'a> {
    /// It is the point with this index.
    Point(u16),
    /// It is not a point; these are the nearby points, nearest first, equally near ones by index. Never empty.
    Between(&'a [u16]),
}

/// The grid of IQ1_S and IQ1_M.
pub(crate) static IQ1: LazyLock<Codebook<8>> = LazyLock::new(|| Codebook::unpack(&iq1::PACKED, 2, 3, 3));
/// The grid of IQ2_XXS.
pub(crate) static IQ2_XXS: LazyLock<Codebook<8>> =
    LazyLock::new(|| Codebook::unpack(&iq2_xxs::PACKED, 2, 3, 2));
/// The grid of IQ2_XS.
pub(crate) static IQ2_XS: LazyLock<Codebook<8>> =
    LazyLock::new(|| Codebook::unpack(&iq2_xs::PACKED, 2, 3, 2));
/// The grid of IQ2_S.
pub(crate) static IQ2_S: LazyLock<Codebook<8>> = LazyLock::new(|| Codebook::unpack(&iq2_s::PACKED, 2, 3, 1));
/// The grid of IQ3_XXS.
pub(crate) static IQ3_XXS: LazyLock<Codebook<4>> =
    LazyLock::new(|| Codebook::unpack(&iq3_xxs::PACKED, 3, 8, 2));
/// The grid of IQ3_S.
pub(crate) static IQ3_S: LazyLock<Codebook<4>> = LazyLock::new(|| Codebook::unpack(&iq3_s::PACKED, 3, 8, 3));

impl<const DIM: usize> Codebook<DIM> {
    /// Unpacks a grid and finds the neighbors of every vector that is not a point.
    ///
    /// * `packed`: the points, `code_bits` bits per code, the first code lowest
    /// * `n_shells`: the number of different distances among the neighbors of a vector; every vector has points at that
    ///   many
    fn unpack(packed: &[u16], code_bits: usize, n_codes: usize, n_shells: usize) -> Self {
        let code_mask = (1_u16 << code_bits) - 1;
        let points: Vec<[u8; DIM]> = packed
            .iter()
            .map(|packed| std::array::from_fn(|i| (packed >> (code_bits * i) & code_mask) as u8))
            .collect();
        let n_vectors = n_codes.pow(DIM as u32);
        let mut grid = Self {
            n_codes,
            points,
            point_at: vec![NO_POINT; n_vectors],
            neighbors_end: Vec::with_capacity(n_vectors),
            neighbors: Vec::new(),
        };
        for (point_idx, point) in grid.points.iter().enumerate() {
            let vector_idx = grid.vector_idx(point);
            grid.point_at[vector_idx] = point_idx as u16;
        }
        grid.find_neighbors(n_shells);
        grid
    }

    fn find_neighbors(&mut self, n_shells: usize) {
        // The contribution of a code at a position to the squared distance of every point; at most 4 * 7^2 or 8 * 2^2
        // in total.
        let squares: [Vec<Vec<u8>>; DIM] = std::array::from_fn(|i| {
            let column = |code: u8| self.points.iter().map(|point| point[i].abs_diff(code).pow(2)).collect();
            (0..self.n_codes as u8).map(column).collect()
        });
        let mut distances = vec![0_u8; self.points.len()];
        for vector_idx in 0..self.point_at.len() {
            if self.point_at[vector_idx] == NO_POINT {
                let vector = self.vector(vector_idx);
                distances.fill(0);
                for (squares, code) in squares.iter().zip(vector) {
                    for (distance, square) in distances.iter_mut().zip(&squares[usize::from(code)]) {
                        *distance = distance.saturating_add(*square);
                    }
                }
                let mut inner = 0;
                for _ in 0..n_shells {
                    let beyond = |distance: u8| if distance >= inner { distance } else { u8::MAX };
                    let shell = distances.iter().fold(u8::MAX, |min, distance| min.min(beyond(*distance)));
                    for (chunk_idx, chunk) in distances.as_chunks::<CHUNK>().0.iter().enumerate() {
                        // Most chunks have none, which this detects at once.
                        if chunk.iter().fold(false, |is_any, distance| is_any | (*distance == shell)) {
                            let in_shell = (0..CHUNK).filter(|i| chunk[*i] == shell);
                            self.neighbors.extend(in_shell.map(|i| (chunk_idx * CHUNK + i) as u16));
                        }
                    }
                    inner = shell + 1;
                }
            }
            self.neighbors_end.push(self.neighbors.len() as u32);
        }
    }

    /// The index of a vector among all vectors of codes: its codes as digits, the first lowest.
    #[inline(always)]
    fn vector_idx(&self, codes: &[u8; DIM]) -> usize {
        codes.iter().rev().fold(0, |idx, code| idx * self.n_codes + usize::from(*code))
    }

    /// Number of all vectors of codes.
    pub(crate) fn n_vectors(&self) -> usize {
        self.point_at.len()
    }

    /// The vector with this index.
    pub(crate) fn vector(&self, mut vector_idx: usize) -> [u8; DIM] {
        std::array::from_fn(|_| {
            let code = vector_idx % self.n_codes;
            vector_idx /= self.n_codes;
            code as u8
        })
    }

    /// The largest code.
    #[inline(always)]
    pub(crate) fn max_code(&self) -> i32 {
        self.n_codes as i32 - 1
    }

    /// The codes of a point.
    #[inline(always)]
    pub(crate) fn point(&self, point_idx: u16) -> &[u8; DIM] {
        &self.points[usize::from(point_idx)]
    }

    /// The position of a vector of codes; all codes are at most [`Self::max_code`].
    #[inline(always)]
    pub(crate) fn place(&self, codes: &[u8; DIM]) -> Place<'_> {
        let vector_idx = self.vector_idx(codes);
        match self.point_at[vector_idx] {
            NO_POINT => {
                let start = if vector_idx == 0 { 0 } else { self.neighbors_end[vector_idx - 1] as usize };
                Place::Between(&self.neighbors[start..self.neighbors_end[vector_idx] as usize])
            }
            point_idx => Place::Point(point_idx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every vector is a point or has neighbors in order, and no omitted point is nearer than the farthest neighbor.
    fn check<const DIM: usize>(grid: &Codebook<DIM>, n_points: usize, n_shells: usize) {
        assert_eq!(grid.points.len(), n_points);
        assert_eq!(*grid.point(0), [0; DIM]);
        for vector_idx in 0..grid.point_at.len() {
            let vector = grid.vector(vector_idx);
            assert_eq!(grid.vector_idx(&vector), vector_idx);
            let distance = |point_idx: u16| -> i32 {
                let differences = grid.point(point_idx).iter().zip(vector);
                differences.map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2)).sum()
            };
            match grid.place(&vector) {
                Place::Point(point_idx) => assert_eq!(*grid.point(point_idx), vector),
                Place::Between(neighbors) => {
                    let keys: Vec<(i32, u16)> = neighbors.iter().map(|idx| (distance(*idx), *idx)).collect();
                    assert!(keys.is_sorted());
                    let mut shells: Vec<i32> = keys.iter().map(|(distance, _)| *distance).collect();
                    shells.dedup();
                    assert_eq!(shells.len(), n_shells);
                    let n_within =
                        (0..n_points as u16).filter(|idx| distance(*idx) <= shells[n_shells - 1]).count();
                    assert_eq!(n_within, neighbors.len());
                }
            }
        }
    }

    #[test]
    fn neighbors_are_the_nearest_points_in_order() {
        check(&IQ1, 2048, 3);
        check(&IQ2_XXS, 256, 2);
        check(&IQ2_XS, 512, 2);
        check(&IQ2_S, 1024, 1);
        check(&IQ3_XXS, 256, 2);
        check(&IQ3_S, 512, 3);
    }
}
