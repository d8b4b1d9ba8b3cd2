//! What leaves the workspace: the rules `bundle`, `device` and `model`.

pub mod bundle;
pub mod device;
pub(crate) mod file_name;
pub(crate) mod manifest;
pub(crate) mod memory;
pub mod model;
pub(crate) mod model_card;
pub(crate) mod modelfile;
pub(crate) mod package;
