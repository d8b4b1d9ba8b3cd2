//! The grids of [`crate::codebook`] for lanes: one neighbor per lane, for one group's nearest-point search at a time.
//!
//! A point is packed with a nibble per code. Each nibble is the index of that code's contribution to the distance in a
//! table of all contributions of a group: see `Shares`.

use std::sync::LazyLock;

use crate::codebook::{self, Codebook, Place};
use crate::lanes::{MAX_LANES, Simd};

/// Number of neighbors read together.
const CHUNK: usize = MAX_LANES;
/// At least the number of vectors of codes in every grid; a power of two.
const MAX_VECTORS: usize = 8192;
/// Contributions of codes to a distance: this many numbers per group, `32 / DIM` per position.
pub(crate) const N_SHARES: usize = 32;
/// Maximum number of registers that hold the contributions.
const MAX_PARTS: usize = N_SHARES / 4;

/// The neighbors of all vectors of codes.
pub(crate) struct Near<const DIM: usize> {
    /// For each vector its list of neighbors: the number of chunks (zero for a point) and, above [`COUNT_BITS`], the
    /// first chunk.
    lists: Box<[i32; MAX_VECTORS]>,
    /// The point of each vector that is one.
    point_at: Box<[u16; MAX_VECTORS]>,
    /// Packed neighbors; the last one is repeated to fill its chunk.
    neighbors: Vec<[i32; CHUNK]>,
}

/// See [`codebook::IQ1`].
pub(crate) static IQ1: LazyLock<Near<8>> = LazyLock::new(|| Near::of(&codebook::IQ1));
/// See [`codebook::IQ2_XXS`].
pub(crate) static IQ2_XXS: LazyLock<Near<8>> = LazyLock::new(|| Near::of(&codebook::IQ2_XXS));
/// See [`codebook::IQ2_XS`].
pub(crate) static IQ2_XS: LazyLock<Near<8>> = LazyLock::new(|| Near::of(&codebook::IQ2_XS));
/// See [`codebook::IQ2_S`].
pub(crate) static IQ2_S: LazyLock<Near<8>> = LazyLock::new(|| Near::of(&codebook::IQ2_S));
/// See [`codebook::IQ3_XXS`].
pub(crate) static IQ3_XXS: LazyLock<Near<4>> = LazyLock::new(|| Near::of(&codebook::IQ3_XXS));
/// See [`codebook::IQ3_S`].
pub(crate) static IQ3_S: LazyLock<Near<4>> = LazyLock::new(|| Near::of(&codebook::IQ3_S));

/// Number of bits for a list's number of chunks; the index of the first chunk is above them.
pub(crate) const COUNT_BITS: u32 = 5;

/// Number of chunks of a list; zero for a point.
#[inline(always)]
pub(crate) fn n_chunks(list: i32) -> usize {
    list as usize & ((1 << COUNT_BITS) - 1)
}

impl<const DIM: usize> Near<DIM> {
    fn of(grid: &Codebook<DIM>) -> Self {
        let mut near = Self {
            lists: Box::new([0; MAX_VECTORS]),
            point_at: Box::new([0; MAX_VECTORS]),
            neighbors: Vec::new(),
        };
        for vector_idx in 0..grid.n_vectors() {
            match grid.place(&grid.vector(vector_idx)) {
                Place::Point(point_idx) => near.point_at[vector_idx] = point_idx,
                Place::Between(neighbors) => {
                    let first = near.neighbors.len();
                    near.neighbors.extend(neighbors.chunks(CHUNK).map(|chunk| {
                        let last = chunk.len() - 1;
                        std::array::from_fn(|i| pack(grid.point(chunk[i.min(last)])))
                    }));
                    let n_chunks = near.neighbors.len() - first;
                    assert!(n_chunks < 1 << COUNT_BITS, "few neighbors");
                    near.lists[vector_idx] = (first << COUNT_BITS | n_chunks) as i32;
                }
            }
        }
        near
    }

    /// The lists of vectors.
    #[inline(always)]
    pub(crate) fn lists<S: Simd>(&self, vector_idx: S::I) -> S::I {
        S::lookup_i::<MAX_VECTORS>(&self.lists, vector_idx)
    }

    /// The list of a vector.
    #[inline(always)]
    pub(crate) fn list(&self, codes: &[u8; DIM]) -> i32 {
        let mut vector_idx = 0;
        for code in codes.iter().rev() {
            vector_idx = vector_idx * n_codes(DIM) as usize + usize::from(*code);
        }
        self.lists[vector_idx & (MAX_VECTORS - 1)]
    }

    /// The index of a packed point.
    #[inline(always)]
    pub(crate) fn point_idx(&self, packed: i32) -> u16 {
        let mut vector_idx = 0;
        for i in (0..DIM).rev() {
            let code = packed.cast_unsigned() >> (4 * i) & (code_mask(DIM) as u32);
            vector_idx = vector_idx * n_codes(DIM) as usize + code as usize;
        }
        self.point_at[vector_idx & (MAX_VECTORS - 1)]
    }

    /// The first of the nearest neighbors, packed; the first of all if no distance is finite.
    ///
    /// * `N`: number of chunks of the list, or 0 for any number
    #[inline(always)]
    pub(crate) fn nearest<S: Simd, const N: usize>(&self, list: i32, shares: &Shares<S>) -> i32 {
        let n_chunks = if N == 0 { n_chunks(list) } else { N };
        let chunks = &self.neighbors[(list >> COUNT_BITS) as usize..][..n_chunks];
        if N != 0 {
            return first_least::<S, DIM, N>(chunks, shares);
        }
        let limit = S::splat(f32::MAX);
        let (mut best, mut at) = (limit, S::splat_i(0));
        for (i, chunk) in chunks.iter().enumerate() {
            for part in 0..CHUNK / S::N {
                let distance = distance::<S, DIM>(S::load_i(&chunk[part * S::N..]), shares);
                let is_less = S::lt(distance, best);
                best = S::select(is_less, distance, best);
                at = S::select_i(is_less, S::splat_i((i * CHUNK + part * S::N) as i32), at);
            }
        }
        let mut bits = S::mask_bits(S::eq(best, S::least(best)));
        let mut of_lanes = [0; MAX_LANES];
        S::store_i(at, &mut of_lanes);
        let mut first = usize::MAX;
        while bits != 0 {
            let lane = bits.trailing_zeros() as usize % MAX_LANES;
            first = first.min(of_lanes[lane] as usize + lane);
            bits &= bits - 1;
        }
        chunks.as_flattened()[first]
    }
}

/// [`Near::nearest`] for up to four chunks, without a branch.
#[inline(always)]
fn first_least<S: Simd, const DIM: usize, const N: usize>(
    chunks: &[[i32; CHUNK]],
    shares: &Shares<S>,
) -> i32 {
    let limit = S::splat(f32::MAX);
    let n_parts = CHUNK / S::N;
    let mut distances = [[limit; MAX_PARTS]; N];
    let mut least = limit;
    for (distances, chunk) in distances.iter_mut().zip(chunks) {
        for (part, of_part) in distances.iter_mut().enumerate().take(n_parts) {
            let packed = S::load_i(&chunk[part * S::N..]);
            // NaN becomes the limit.
            *of_part = S::min(distance::<S, DIM>(packed, shares), limit);
            least = S::min(*of_part, least);
        }
    }
    let least = S::least(least);
    let mut bits = 0_u64;
    for (i, distances) in distances.iter().enumerate() {
        for (part, distance) in distances.iter().enumerate().take(n_parts) {
            let is_least = S::mask_bits(S::eq(*distance, least));
            bits |= u64::from(is_least) << (i * CHUNK + part * S::N);
        }
    }
    let at = bits.trailing_zeros() as usize;
    chunks.as_flattened()[at % (N * CHUNK)]
}

/// The sum of the contributions, in order.
#[inline(always)]
fn distance<S: Simd, const DIM: usize>(packed: S::I, shares: &Shares<S>) -> S::F {
    let mut distance = share::<S, DIM>(packed, 0, shares);
    let mut codes = packed;
    for i in 1..DIM {
        codes = S::shr::<4>(codes);
        distance = distance + share::<S, DIM>(codes, i, shares);
    }
    distance
}

/// The contribution of the codes in the lowest nibbles, at position `i`.
#[inline(always)]
fn share<S: Simd, const DIM: usize>(codes: S::I, i: usize, shares: &Shares<S>) -> S::F {
    let n_of_place = N_SHARES / DIM;
    let part = i * n_of_place / S::N;
    let share = S::permute(shares.0[part], codes);
    if n_of_place > S::N {
        let is_upper = S::eq_i(codes & S::splat_i(4), S::splat_i(4));
        return S::select(is_upper, S::permute(shares.0[part + 1], codes), share);
    }
    share
}

/// The contribution of each code at each position of a group to a distance, ordered by position, then code.
pub(crate) struct Shares<S: Simd>(pub(crate) [S::F; MAX_PARTS]);

impl<S: Simd> Shares<S> {
    /// The initial value.
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self([S::splat(0.0); MAX_PARTS])
    }
}

/// The numbers of a group of a row, each repeated for every contribution: part `part` of them.
#[inline(always)]
pub(crate) fn spread<S: Simd, const DIM: usize>(row: &[f32], group: usize, part: usize) -> S::F {
    // A part has contributions of one position, or of several that are in one register of numbers too.
    let first = group * DIM + part * S::N * DIM / N_SHARES;
    let at = first / S::N * S::N;
    let index = S::load_i(const { &of_places(DIM) }) + S::splat_i((first - at) as i32);
    S::permute(S::load(&row[at..]), index)
}

/// The positions that the first contributions belong to.
const fn of_places(dim: usize) -> [i32; MAX_LANES] {
    let mut places = [0; MAX_LANES];
    let mut i = 0;
    while i < MAX_LANES {
        places[i] = (i * dim / N_SHARES) as i32;
        i += 1;
    }
    places
}

/// Number of codes in all grids of a dimension.
#[inline(always)]
pub(crate) const fn n_codes(dim: usize) -> i32 {
    if dim == 8 { 3 } else { 8 }
}

#[inline(always)]
const fn code_mask(dim: usize) -> i32 {
    if dim == 8 { 3 } else { 7 }
}

/// Added to packed codes, so that each nibble indexes its contribution among sixteen.
#[inline(always)]
pub(crate) const fn places(dim: usize) -> i32 {
    if dim == 8 { 0xc840_c840_u32 as i32 } else { 0x8080 }
}

/// Packs the codes of a point or a vector, a nibble each.
#[inline(always)]
pub(crate) fn pack<const DIM: usize>(codes: &[u8; DIM]) -> i32 {
    codes.iter().rev().fold(0, |packed, code| packed << 4 | i32::from(*code)) | places(DIM)
}

/// The odd numbers that codes represent, once per contribution; see [`crate::search::lattice::magnitude`].
pub(crate) const fn odd_numbers(dim: usize) -> [f32; N_SHARES] {
    let mut odd = [0.0; N_SHARES];
    let mut i = 0;
    while i < N_SHARES {
        odd[i] = (2 * (i as i32 & code_mask(dim)) + 1) as f32;
        i += 1;
    }
    odd
}
