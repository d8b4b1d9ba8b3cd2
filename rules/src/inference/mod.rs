//! A model that is opened and ready to run. No file here is a rule: `imatrix`, `gate` and the command line
//! use them.

pub mod backends;
pub(crate) mod cancellable;
pub mod chat;
pub(crate) mod chunk_len;
pub mod conversation;
pub(crate) mod expected_tensor;
pub(crate) mod exported;
pub mod file_content;
pub(crate) mod model_work;
pub(crate) mod opened;
pub(crate) mod prompts;
pub mod scores;
pub mod source_inputs;
pub(crate) mod subject;
pub(crate) mod unquantized;
pub(crate) mod written;
pub mod written_model;
pub mod written_weights;
