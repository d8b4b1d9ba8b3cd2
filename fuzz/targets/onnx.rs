//! See `mc_hostile::readers::ONNX`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mc_hostile::allocations::{Watched, watch};
use mc_hostile::readers;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fuzz_target!(|bytes: &[u8]| watch(&readers::ONNX, bytes));
