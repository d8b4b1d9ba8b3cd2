//! The runtime against a plain reference, and against itself at other batch sizes, widths and numbers of threads.

mod cancellation;
mod divergence;
mod errors;
mod forward;
mod generation;
mod metrics;
mod reference;
mod toy;
