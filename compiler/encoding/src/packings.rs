//! The table of packings. A packing is a file in `packings/` and a row here.

pub mod mlx;
mod nibbles;
pub mod offset_bytes;
pub mod offset_nibbles;
pub mod packing;
pub mod signed_bytes;
pub mod signed_nibbles;

use crate::packings::packing::Packing;

/// Every packing.
pub static PACKINGS: &[&Packing] = &[
    &mlx::PACKING,
    &offset_nibbles::PACKING,
    &signed_nibbles::PACKING,
    &offset_bytes::PACKING,
    &signed_bytes::PACKING,
];

/// The packing with this name, for example `mlx`.
pub fn by_name(name: &str) -> Option<&'static Packing> {
    PACKINGS.iter().copied().find(|packing| packing.name == name)
}
