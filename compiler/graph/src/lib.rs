//! The model as a graph of operators: one description that the runtime interprets and every exporter serializes.
//!
//! An operator is one file under [`operators`]: its formula, its shape rule, a plain reference evaluation in f32 and,
//! unless it is primitive, a decomposition into simpler operators. Sequence state (keys and values, columns of a
//! convolution) is explicit: an operator that reads or writes it names it.
//!
//! The crate knows no checkpoint, no container and no fast kernel. The reference evaluation is written to be read; the
//! runtime has kernels for what takes time and is compared with it.

pub mod builder;
pub mod decompose;
pub mod error;
pub mod evaluate;
pub mod graph;
pub mod ids;
pub mod json;
pub mod operator;
pub mod operators;
pub mod rotary;
pub mod scope;
pub mod tensor;
pub mod value_type;
