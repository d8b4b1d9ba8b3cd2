//! The team's cache against servers of its own, which do what a test tells them.

mod action;
mod bucket;
mod chunks;
mod corrupt_blob;
mod execution;
mod faults;
mod frames;
mod grpc;
mod grpc_faults;
mod grpc_server;
mod promises;
mod registry;
mod server;
mod workers;
