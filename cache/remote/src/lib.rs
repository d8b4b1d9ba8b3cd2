//! The team's cache: what was built on one machine is a hit on all others.
//!
//! A server is a [`transport::Transport`]; [`remote::Remote`] does with it what a build needs, in the words of the
//! Remote Execution API: actions and results have the keys and the encoding that Bazel's servers know. Whatever comes
//! from a server is checked before it is believed, and nothing is sent unless somebody asked for it.

pub mod absent;
pub mod address;
mod answer;
pub mod aws;
pub mod breaker;
mod bring;
pub mod chunks;
pub mod error;
pub mod executor;
pub mod folder;
pub mod function;
pub mod grpc;
pub mod http;
mod in_flight;
mod joined;
pub mod known;
pub mod lazy;
mod losses;
mod naming;
pub mod notes;
pub mod oci;
mod parallel;
mod permits;
pub mod promised;
mod ran;
mod records;
pub mod remote;
pub mod s3;
pub mod signing;
pub mod transport;
mod upload;
pub mod workers;
