//! The model as a graph of operators: one description that the runtime interprets and every exporter serializes.
//!
//! Each operator is one file under [`operators`]: its formula, its shape rule, a plain reference evaluation in f32 and,
//! unless it is primitive, a decomposition into simpler operators. Sequence state (keys and values, columns of a
//! convolution) is explicit: operators that read or write it name it.
//!
//! The crate knows no checkpoint, no container and no fast kernel. The reference evaluation favors readability; the
//! runtime has kernels for the expensive operators and is compared with it.

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
