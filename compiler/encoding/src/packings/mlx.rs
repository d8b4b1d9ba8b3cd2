//! `mlx`: the planes of a quantized MLX layer: `weight`, `scales`, `biases`.
//!
//! `weight` is U32 `[rows, columns * bits / 32]`: the codes of a row are one bit stream, the lowest bit of each code
//! first, and code `k` occupies the bits from `k * bits` on; a word holds 32 bits, the first lowest. So codes of 3, 5
//! and 6 bits cross word boundaries. `scales` and `biases` are `[rows, groups]` in the type of the weights.
//!
//! The floats of `mxfp4`, `mxfp8` and `nvfp4` are stored as sign and magnitude; their `scales` are U8, without `biases`.
//!
//! Source: `affine_quantize` and `fp_quantize` of mlx 0.32; bytes are compared with it in `tests/planes.rs`.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::ScaleFormat;
use crate::packings::packing::{Packing, PlaneRow, pack_groups, planes, unpack_groups};
use crate::solvers::solver::Solved;

/// The packing.
pub static PACKING: Packing = Packing { name: "mlx", version: 1, accepts, planes: planes_of, pack, unpack };

fn accepts(grid: &Grid) -> bool {
    let is_whole = matches!(grid.group, Group::Columns(len) if (len * grid.bits as usize).is_multiple_of(32));
    let is_affine = grid.offset == Offset::Bias && grid.codes.0 == 0;
    let is_float = grid.offset == Offset::None && grid.scale_dtype(DType::F32) == DType::U8;
    is_whole && (is_affine || is_float) && grid.bits <= 8
}

fn planes_of(grid: &Grid, n_cols: usize, scales: ScaleFormat) -> Vec<PlaneRow> {
    let n_words = n_cols * grid.bits as usize / 32;
    planes(PlaneRow { name: "weight", dtype: DType::U32, n_cols: n_words }, grid, n_cols, scales)
}

fn pack(grid: &Grid, row: &Solved, scales: ScaleFormat, planes: &mut [&mut [u8]]) {
    let mut words = planes[0].as_chunks_mut::<4>().0.iter_mut();
    let sign = 1 << (grid.bits - 1);
    let (mut bits, mut n_bits) = (0_u64, 0);
    for code in &row.codes {
        // A negative number with magnitude `m` has the code `-1 - m`.
        let code = if *code < 0 { !code | sign } else { *code };
        bits |= u64::from(code as u32) << n_bits;
        n_bits += grid.bits;
        if n_bits >= 32
            && let Some(word) = words.next()
        {
            *word = (bits as u32).to_le_bytes();
            bits >>= 32;
            n_bits -= 32;
        }
    }
    pack_groups(grid, row, scales, planes);
}

fn unpack(grid: &Grid, planes: &[&[u8]], scales: ScaleFormat, row: &mut Solved) {
    let mut words = planes[0].as_chunks::<4>().0.iter();
    let mask = (1_u64 << grid.bits) - 1;
    let (sign, has_sign) = (1 << (grid.bits - 1), grid.codes.0 < 0);
    let (mut bits, mut n_bits) = (0_u64, 0);
    for code in &mut row.codes {
        if n_bits < grid.bits
            && let Some(word) = words.next()
        {
            bits |= u64::from(u32::from_le_bytes(*word)) << n_bits;
            n_bits += 32;
        }
        let stored = (bits & mask) as i32;
        *code = if has_sign && stored & sign != 0 { !(stored ^ sign) } else { stored };
        bits >>= grid.bits;
        n_bits -= grid.bits;
    }
    unpack_groups(grid, planes, scales, row);
}
