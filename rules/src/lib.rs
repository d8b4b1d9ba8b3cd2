//! The rules, which define the kinds of targets: one file per rule, with its attributes, its analysis and its
//! actions.
//!
//! A rule is a row of [`rules::RULES`]. Rules know families, formats, codecs and the runtime; they know
//! neither salsa nor the store: the analysis calls them, and the executor runs the actions that they create.
//!
//! A folder imports only from those above it in this list. Each begins with the list of its files that are
//! rules.
//!
//! | folder | content | rules |
//! |---|---|---|
//! | `attributes`, `action` | shared by all rules | – |
//! | [`exporters`] | the table of formats | – |
//! | `expression` | tensor expressions, evaluated | – |
//! | [`source`] | models, adapters and texts as sources | `checkpoint`, `adapter`, `dataset` |
//! | [`transform`] | weights derived from other weights | `merge`, `blend` |
//! | [`inference`] | a model, opened and ready to run | – |
//! | [`calibrate`] | statistics of a model on a text | `calibrate`, `imatrix` |
//! | [`quantize`] | tensors in the encodings of a recipe | – |
//! | [`export`] | files that runtimes read | `gguf`, `adapter-gguf` |
//! | [`evaluate`] | measurements, and the verdict on them | `gate` |
//! | [`ship`] | outputs that leave the workspace | `bundle`, `device`, `model` |
//! | [`remote_kinds`], [`rules`] | the tables of all these | – |

pub mod calibrate;
pub mod evaluate;
pub mod export;
pub mod exporters;
pub mod inference;
pub mod quantize;
pub mod remote_kinds;
pub mod rules;
pub mod ship;
pub mod source;
pub mod transform;

pub(crate) mod action;
pub(crate) mod attributes;
