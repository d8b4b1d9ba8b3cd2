//! The kinds of servers, one file each: each is a [`crate::transport::Transport`], and knows nothing of results, names
//! on this machine or what is worth sending.

pub mod absent;
mod answer;
pub mod folder;
pub mod grpc;
pub mod http;
pub mod oci;
pub mod s3;
