//! Settings: typed values that the caller creates once from options, the environment and `workspace.kdl`.

pub mod access;
pub mod build;
pub mod cache;
pub mod connection;
pub mod declared;
pub mod download;
pub mod error;
pub mod fetch;
pub mod keys;
pub mod remote;
pub mod server;
pub mod store_limit;
pub mod workers;
