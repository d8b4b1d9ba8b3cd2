//! `offset-nibbles`: `weight` U8 `[rows, columns / 2]` with `code + 8` in each half of a byte, the even column lower, and
//! `scales` `[rows, groups]`.
//!
//! These are the bytes of ONNX's `MatMulNBits` (with its default zero point 8) and, read as I32 words, of
//! compressed-tensors' `pack-quantized`.

use crate::packings::nibbles;
use crate::packings::packing::{Packing, pack_scales, unpack_scales};

/// Added to each code.
const OFFSET: i32 = 8;

/// The packing.
pub static PACKING: Packing = Packing {
    name: "offset-nibbles",
    version: 1,
    accepts: nibbles::accepts,
    planes: nibbles::planes_of,
    pack: |_, row, scales, planes| {
        nibbles::join(&row.codes, planes[0], |code| (code + OFFSET) as u8);
        pack_scales(row, scales, planes);
    },
    unpack: |_, planes, scales, row| {
        nibbles::part(planes[0], &mut row.codes, |nibble| i32::from(nibble) - OFFSET);
        unpack_scales(planes, scales, row);
    },
};
