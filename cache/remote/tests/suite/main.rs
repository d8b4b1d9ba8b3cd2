//! The remote cache against test servers.

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
