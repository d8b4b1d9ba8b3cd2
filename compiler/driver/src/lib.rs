//! One build, query, lock or clean of `mc` as a library: typed settings in, events and results out.
//!
//! Combines rules, analysis and executor.
//!
//! | to | call |
//! |---|---|
//! | find a workspace | [`workspace::Workspace`] |
//! | check and query declarations | [`declarations::Declarations`] |
//! | build targets, publish their outputs below `mc-out/` | [`build::outputs::build_outputs`], [`build::engine`] |
//! | measure gates only | [`build::targets::build_targets`] |
//! | pin and fetch files from elsewhere | [`fetching::lock::lock`], [`fetching::files::fetch`] |
//! | look into models, and compare them | [`inspect`] |
//! | count and verify what is in a store | [`store_contents`] |
//! | bring a store down to a size | [`garbage::collect`] |
//! | remove outputs and stores | [`clean::Removal`] |
//! | run one action as a worker does | [`input_root::InputRoot`] |
//!
//! [`settings`] are the inputs, and [events](event) report the progress. This crate does not use command lines,
//! terminals or environment variables: the caller reads them and passes them as values.

pub mod build;
pub mod clean;
pub mod declaration_error;
pub mod declarations;
pub mod error;
pub mod event;
pub mod fetching;
pub mod forecast;
pub mod garbage;
pub mod input_root;
pub mod inspect;
pub mod interrupt;
pub mod remote_cache;
pub mod settings;
pub mod store;
pub mod store_contents;
pub mod warning;
pub mod workspace;

pub(crate) mod credentials;
pub(crate) mod label_guess;
pub(crate) mod out_folder;
