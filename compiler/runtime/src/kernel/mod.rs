//! The arithmetic of the exact CPU backend.
//!
//! Every kernel is portable Rust code, compiled once per vector width; all widths give the same bits.

pub mod attention;
pub mod cpu_path;
pub mod elementwise;
pub(crate) mod experts;
pub mod head_rows;
pub mod matmul;
pub mod products;
