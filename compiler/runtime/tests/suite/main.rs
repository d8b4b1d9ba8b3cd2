//! Compares the runtime with a plain reference, and with itself at other batch sizes, widths and numbers of threads.

mod cancellation;
mod divergence;
mod errors;
#[path = "../../../graph/tests/examples/mod.rs"]
mod examples;
mod forward;
mod generation;
mod graphs;
mod metrics;
mod operators;
mod reference;
mod statistics;
mod toy;
