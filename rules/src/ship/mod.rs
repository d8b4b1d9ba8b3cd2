//! Outputs that leave the workspace.
//!
//! | file | rule |
//! |---|---|
//! | `bundle` | `bundle` |
//! | `device` | `device` |
//! | `model` | `model`, which expands into other rules |
//! | `export` | `export` |
//! | `group` | `group` |
//!
//! The other files are the documents in a bundle and their data.

pub mod bundle;
pub(crate) mod bundle_file;
pub(crate) mod card_header;
pub mod device;
pub mod export;
pub(crate) mod formats;
pub mod group;
pub(crate) mod layout;
pub(crate) mod loading;
pub(crate) mod manifest;
pub(crate) mod memory;
pub mod model;
pub(crate) mod model_card;
pub(crate) mod model_expansion;
pub(crate) mod modelfile;
pub(crate) mod package;
pub(crate) mod prompt;
pub(crate) mod shipped_model;
