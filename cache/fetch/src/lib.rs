//! Checkpoints from remote origins: the files of a declared origin, pinned by digest in `mc.lock`; downloads that
//! resume and are verified while they stream; and the folders that hold the result.
//!
//! Only pinned bytes are ever kept, whatever a server sends. This crate is the only user of the HTTP client. It does
//! not read the environment and prints nothing: the caller supplies the [`credentials`].

pub mod area;
pub mod calendar;
pub mod checksum;
pub mod client;
pub mod credentials;
pub mod download;
pub mod error;
pub mod fetcher;
pub mod http;
pub mod inventory;
mod lifetime;
mod local_addresses;
pub mod lock_file;
pub mod origins;
pub mod proxies;
pub mod secret;
pub mod stall_limit;
pub mod stamps;
pub mod tls;
pub mod url;
