//! The team's cache: what was built on one machine is a hit on all others.
//!
//! A server is a [`transport::Transport`], of which [`transports`] holds one for each kind of server. [`remote::Remote`]
//! does with it what a build needs, in the words of the Remote Execution API: actions and results have the keys and the
//! encoding that Bazel's servers know. It is made of three parts over one session: looking results up, downloading blobs
//! and uploading both. Whatever comes from a server is checked before it is believed, and nothing is sent unless somebody
//! asked for it.

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
