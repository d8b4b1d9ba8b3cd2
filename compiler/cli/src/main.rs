//! The `mc` binary.
fn main() {}
