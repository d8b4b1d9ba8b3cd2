//! The team's cache against servers of its own, which do what a test tells them.

mod bucket;
mod chunks;
mod execution;
mod faults;
mod frames;
mod grpc;
mod grpc_faults;
mod grpc_server;
mod promises;
mod registry;
mod rot;
mod server;
mod step;
mod workers;
