//! The remote cache: results that one machine built are hits on all others.
//!
//! A server implements [`transport::Transport`]; [`transports`] has one implementation per kind of server.
//! [`remote::Remote`] offers the operations of a build in terms of the Remote Execution API: actions and results use
//! the keys and encoding of Bazel's servers. Its three parts share one session: look up results, download blobs, upload
//! both. Everything from a server is verified before use, and nothing is uploaded unless the user enables it.

pub mod address;
pub mod aws;
pub mod download;
pub mod error;
pub mod executor;
pub mod function;
pub mod lazy;
pub mod local_action;
mod lookup;
pub mod notes;
pub mod remote;
mod session;
pub mod signing;
pub mod transport;
pub mod transports;
mod upload;
pub mod workers;
