//! `signed-nibbles`: `weight` U8 `[rows, columns / 2]` with each code as a four-bit two's complement number, the even
//! column in the lower half, and `scales` `[rows, groups]`.
//!
//! These are the bytes of the INT4 type of LiteRT and Core ML.

use crate::packings::nibbles;
use crate::packings::packing::{Packing, pack_groups, unpack_groups};

/// The packing.
pub static PACKING: Packing = Packing {
    name: "signed-nibbles",
    version: 1,
    accepts: |grid| nibbles::accepts(grid) && grid.codes.0 >= -8 && grid.codes.1 <= 7,
    planes: nibbles::planes_of,
    pack: |grid, row, scales, planes| {
        nibbles::join(&row.codes, planes[0], |code| code as u8 & 15);
        pack_groups(grid, row, scales, planes);
    },
    unpack: |grid, planes, scales, row| {
        // The sign is shifted to the top of a byte and back.
        nibbles::part(planes[0], &mut row.codes, |nibble| i32::from((nibble << 4) as i8 >> 4));
        unpack_groups(grid, planes, scales, row);
    },
};
