//! One file per mix.

pub mod plain;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k_m;
pub mod q4_k_s;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k_m;
pub mod q5_k_s;
pub mod q6_k;
pub mod q8_0;
