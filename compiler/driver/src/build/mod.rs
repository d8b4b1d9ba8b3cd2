//! Builds targets with the store and the remote cache, and publishes their outputs.

pub mod engine;
pub mod error;
pub mod failure;
pub mod outputs;
pub mod publish;
pub mod tally;
pub mod targets;

pub(crate) mod tensor_reports;
