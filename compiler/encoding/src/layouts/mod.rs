//! Parts of blocks shared by several codecs: packed codes, scales, value tables.

pub mod four_or_five_bits;
pub mod fp4;
pub mod grid_runs;
pub mod iq1;
pub mod iq1_lanes;
pub mod iq4;
pub mod iq4_lanes;
pub mod k_scales;
pub mod scale_alone;
pub mod scale_and_min;
pub mod two_bits;
