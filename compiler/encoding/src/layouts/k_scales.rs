//! The common part of Q4_K and Q5_K: eight sub-blocks of 32 weights, each with a 6-bit scale and a 6-bit minimum, which
//! two f16 numbers scale: `w ~= d * scale[s] * q - dmin * min[s]`.
//!
//! Twelve bytes hold the sixteen 6-bit numbers: bytes 0..4 the scales of sub-blocks 0..4, bytes 4..8 their minima, both
//! in the lower 6 bits; bytes 8..12 the lower 4 bits of scale and minimum of sub-blocks 4..8, whose upper 2 bits are
//! the upper 2 bits of bytes 0..8.

use std::array::from_fn;

use mc_tensor::convert::{f16_to_f32, f32_to_f16};
use mc_tensor::cpu_path::CpuPath;

use crate::codec::Rows;
use crate::lanes::{Kernel, Simd, dispatch};
use crate::rounding::nearest_int;
use crate::rows::encode_blocks;
use crate::search::affine_subs::weighted_affine;
use crate::search::super_blocks::{
    self, WINDOW, Weighting, Window, affine_codes, affine_subs, positive_blocks,
};
use crate::search::{Deviation, Walk, affine, sum_of_squares};

/// Number of weights per super-block.
pub(crate) const LEN: usize = 256;
const SUB_LEN: usize = 32;
const N_SUBS: usize = LEN / SUB_LEN;

/// The head of a super-block: `d`, `dmin` and the packed scales and minima.
pub(crate) struct Head {
    d: u16,
    dmin: u16,
    packed: [u8; 12],
}

/// The search for scales and minima, and the writing of a block.
pub(crate) struct Layout<const BYTES: usize, const N_MAX: i32> {
    /// The search of sub-blocks without importance.
    pub(crate) walk: Walk,
    /// The search of sub-blocks with importance.
    pub(crate) importance_walk: Walk,
    /// Limit of scale and minimum codes found with importance, applied before packing. The search can give a code above
    /// 63 if nearly all importance of a sub-block is zero, and the reference limits it only for Q5_K.
    pub(crate) code_limit: u8,
    /// Writes a block.
    pub(crate) write: fn(&Head, &[u8; LEN], &mut [u8; BYTES]),
}

impl<const BYTES: usize, const N_MAX: i32> Layout<BYTES, N_MAX> {
    /// Encodes a row, one super-block after another.
    pub(crate) fn encode_row(&self, row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        encode_blocks(row, importance, out, |x, importance, block| self.encode_block(x, importance, block));
    }

    fn encode_block(&self, x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
        let mut codes = [0; LEN];
        let (d, dmin, scale_codes, min_codes) = match importance {
            None => plain_scales(x, self.walk, &mut codes),
            Some(importance) => {
                weighted_scales(x, importance, self.importance_walk, self.code_limit, &mut codes)
            }
        };
        let head = Head { d: f32_to_f16(d), dmin: f32_to_f16(dmin), packed: pack(&scale_codes, &min_codes) };
        // The codes are chosen again for the stored scales.
        for (sub, (x, codes)) in
            x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
        {
            let (d, min) = head.scale_and_min(sub);
            if d == 0.0 {
                continue;
            }
            for (code, value) in codes.iter_mut().zip(x) {
                *code = nearest_int((value + min) / d).clamp(0, N_MAX) as u8;
            }
        }
        (self.write)(&head, &codes, block);
    }

    /// Encodes rows on a path. Returns false if it has no vector code.
    pub(crate) fn encode_vector(&self, path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
        dispatch::run(path, Encode { layout: self, rows, out })
    }
}

struct Encode<'a, const BYTES: usize, const N_MAX: i32> {
    layout: &'a Layout<BYTES, N_MAX>,
    rows: &'a Rows<'a>,
    out: &'a mut [u8],
}

impl<const BYTES: usize, const N_MAX: i32> Kernel for Encode<'_, BYTES, N_MAX> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { layout, rows, out } = self;
        let blocks = out.as_chunks_mut::<BYTES>().0;
        for (window, blocks) in super_blocks::windows(rows).zip(blocks.chunks_mut(WINDOW)) {
            let heads = heads::<S, BYTES, N_MAX>(layout, &window);
            for (block_idx, block) in blocks.iter_mut().enumerate() {
                let (x, importance) = window.block(block_idx);
                let head = &heads[block_idx];
                let mut codes = [0; LEN];
                let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0);
                let mut has_scales = true;
                for (sub, (x, codes)) in subs.enumerate() {
                    let (d, min) = head.scale_and_min(sub);
                    has_scales &= d != 0.0;
                    affine_codes::<S, SUB_LEN>(x, d, min, N_MAX, codes);
                }
                // A sub-block without a scale keeps the codes of its search, which the lanes did not store.
                if has_scales {
                    (layout.write)(head, &codes, block);
                } else {
                    layout.encode_row(x, importance, block);
                }
            }
        }
    }
}

#[inline(always)]
fn heads<S: Simd, const BYTES: usize, const N_MAX: i32>(
    layout: &Layout<BYTES, N_MAX>,
    window: &Window<'_>,
) -> [Head; WINDOW] {
    // Constants known to the compiler here are optimized out of the search loops.
    let walk = Walk { n_max: N_MAX, deviation: Deviation::Squared, ..layout.walk };
    let importance_walk = Walk { n_max: N_MAX, deviation: Deviation::Squared, ..layout.importance_walk };
    if window.importance.is_none() {
        let found = affine_subs::<S, SUB_LEN>(window, Weighting::MeanAndMagnitude, walk);
        return from_fn(|block_idx| {
            let of_block = |values: &[f32]| from_fn(|sub| values[block_idx * N_SUBS + sub]);
            let (d, dmin, scale_codes, min_codes) = quantize(of_block(&found.scales), of_block(&found.mins));
            Head { d: f32_to_f16(d), dmin: f32_to_f16(dmin), packed: pack(&scale_codes, &min_codes) }
        });
    }
    let found = affine_subs::<S, SUB_LEN>(window, Weighting::ImportanceAndMean(2.0), importance_walk);
    let [(scales, scale_codes), (mins, min_codes)] = positive_blocks::<S, N_SUBS>(&found, 63, window.len());
    from_fn(|block_idx| {
        let cut = |codes: [u8; N_SUBS]| codes.map(|code| code.min(layout.code_limit));
        let packed = pack(&cut(scale_codes[block_idx]), &cut(min_codes[block_idx]));
        Head { d: f32_to_f16(scales[block_idx]), dmin: f32_to_f16(mins[block_idx]), packed }
    })
}

type Scales = (f32, f32, [u8; N_SUBS], [u8; N_SUBS]);

fn plain_scales(x: &[f32; LEN], walk: Walk, codes: &mut [u8; LEN]) -> Scales {
    let (mut scales, mut mins) = ([0.0_f32; N_SUBS], [0.0_f32; N_SUBS]);
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        let mean = (sum_of_squares(x) / SUB_LEN as f32).sqrt();
        let weights = x.map(|value| mean + value.abs());
        (scales[sub], mins[sub]) = affine(x, &weights, walk, codes);
    }
    quantize(scales, mins)
}

/// Codes of scales and minima relative to the largest of each.
fn quantize(scales: [f32; N_SUBS], mins: [f32; N_SUBS]) -> Scales {
    let max = |values: [f32; N_SUBS]| {
        values.into_iter().fold(0.0_f32, |max, value| if value > max { value } else { max })
    };
    let (max_scale, max_min) = (max(scales), max(mins));
    let inverse = |max: f32| if max > 0.0 { 63.0 / max } else { 0.0 };
    let codes = |values: [f32; N_SUBS], inverse: f32| {
        // The reference narrows to a byte before taking the minimum.
        values.map(|value| (nearest_int(inverse * value) as u8).min(63))
    };
    (max_scale / 63.0, max_min / 63.0, codes(scales, inverse(max_scale)), codes(mins, inverse(max_min)))
}

fn weighted_scales(
    x: &[f32; LEN],
    importance: &[f32; LEN],
    walk: Walk,
    code_limit: u8,
    codes: &mut [u8; LEN],
) -> Scales {
    let sigma2 = 2.0 * sum_of_squares(x) / LEN as f32;
    let [(d, scales), (dmin, mins)] =
        weighted_affine::<SUB_LEN, N_SUBS>(x, importance, sigma2, (walk, 63), codes);
    let cut = |codes: [u8; N_SUBS]| codes.map(|code| code.min(code_limit));
    (d, dmin, cut(scales), cut(mins))
}

fn pack(scales: &[u8; N_SUBS], mins: &[u8; N_SUBS]) -> [u8; 12] {
    let mut packed = [0; 12];
    for sub in 0..4 {
        packed[sub] = scales[sub] | (scales[sub + 4] >> 4) << 6;
        packed[sub + 4] = mins[sub] | (mins[sub + 4] >> 4) << 6;
        packed[sub + 8] = scales[sub + 4] & 15 | (mins[sub + 4] & 15) << 4;
    }
    packed
}

impl Head {
    /// Size of a head in bytes.
    pub(crate) const BYTES: usize = 16;

    /// Writes the head.
    pub(crate) fn write(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&self.d.to_le_bytes());
        out[2..4].copy_from_slice(&self.dmin.to_le_bytes());
        out[4..16].copy_from_slice(&self.packed);
    }

    /// Reads a head.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut packed = [0; 12];
        packed.copy_from_slice(&bytes[4..16]);
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self { d: half(0), dmin: half(2), packed }
    }

    /// Scale and minimum of a sub-block: `w ~= scale * q - min`.
    pub(crate) fn scale_and_min(&self, sub: usize) -> (f32, f32) {
        let (scale, min) = self.codes(sub);
        (f16_to_f32(self.d) * f32::from(scale), f16_to_f32(self.dmin) * f32::from(min))
    }

    /// [`Self::scale_and_min`] of all sub-blocks.
    #[inline(always)]
    pub(crate) fn scales_and_mins(&self) -> [(f32, f32); N_SUBS] {
        let (d, dmin) = (f16_to_f32(self.d), f16_to_f32(self.dmin));
        let mut found = [(0.0, 0.0); N_SUBS];
        for (sub, found) in found.iter_mut().enumerate() {
            let (scale, min) = self.codes(sub);
            *found = (d * f32::from(scale), dmin * f32::from(min));
        }
        found
    }

    /// The 6-bit scale and minimum of a sub-block.
    #[inline(always)]
    fn codes(&self, sub: usize) -> (u8, u8) {
        let packed = &self.packed;
        if sub < 4 {
            (packed[sub] & 63, packed[sub + 4] & 63)
        } else {
            (
                packed[sub + 4] & 15 | (packed[sub - 4] >> 6) << 4,
                packed[sub + 4] >> 4 | (packed[sub] >> 6) << 4,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_scales_read_back() {
        let scales = [0, 1, 62, 63, 5, 16, 33, 63];
        let mins = [63, 7, 0, 31, 48, 15, 63, 2];
        let one = f32_to_f16(1.0);
        let head = Head { d: one, dmin: one, packed: pack(&scales, &mins) };
        for sub in 0..N_SUBS {
            assert_eq!(head.scale_and_min(sub), (f32::from(scales[sub]), f32::from(mins[sub])));
        }
    }
}
