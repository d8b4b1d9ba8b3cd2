//! The team's cache against servers of its own, which do what a test tells them.

mod faults;
mod frames;
mod grpc;
mod grpc_faults;
mod grpc_server;
mod server;
mod step;
