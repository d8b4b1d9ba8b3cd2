//! Block quantization codecs and the recipes that mix them.
//!
//! One file per codec, one per recipe, a table for each. The scalar code here defines the bytes: they are equal to
//! those of ggml's reference encoders (ARCHITECTURE.md, section "Numbers").
//!
//! Knows no file, no container and no model family.

pub mod blocks;
pub mod codec;
pub mod codecs;
pub mod extremes;
pub mod fp4;
pub mod grid;
pub mod grid_decode;
pub mod grid_lanes;
pub mod health;
pub mod iq1;
pub mod iq1_lanes;
pub mod iq1_m;
pub mod iq1_s;
pub mod iq2_s;
pub mod iq2_xs;
pub mod iq2_xxs;
pub mod iq3_s;
pub mod iq3_xxs;
pub mod iq4;
pub mod iq4_lanes;
pub mod iq4_nl;
pub mod iq4_xs;
pub mod k_scales;
pub mod lanes;
pub mod lattice;
pub mod lattice_lanes;
pub mod lattice_subs;
pub mod loss;
pub mod low_bits;
pub mod mxfp4;
pub mod nvfp4;
pub mod overrides;
pub mod plain;
pub mod q1_0;
pub mod q2_0;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
pub mod recipe;
pub mod recipes;
pub mod search;
pub mod search_lanes;
pub mod seat;
pub mod super_blocks;
pub mod tq1_0;
pub mod tq2_0;
pub mod two_bits;
pub mod weighted_blocks;
