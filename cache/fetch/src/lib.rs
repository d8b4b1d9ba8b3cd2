//! Checkpoints from elsewhere: what a declared origin consists of, pinned by digest in `mc.lock`; downloads that go
//! on where they stopped and are verified while they stream; and the folders that they end up in.
//!
//! Only pinned bytes are ever kept, whatever a server says. This crate is the only door to the HTTP client. It does
//! not read the environment and prints nothing: who may ask for what is told to it ([`credentials`]).

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
