//! Servers with the Remote Execution API over gRPC: BuildBox, BuildGrid, bazel-remote, Buildbarn, NativeLink and
//! others. `transport` is the facade; each other module covers one concern.

mod answers;
pub mod call_log;
pub mod capabilities;
mod chunks;
pub mod connection;
pub mod cut;
pub mod execute;
mod raw;
pub mod read;
pub mod resource;
pub mod retry_delay;
pub mod settings;
pub mod transport;
pub mod write;
