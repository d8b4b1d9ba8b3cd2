//! Attacks by servers: whatever a server sends, the result is correct or absent, and the cost in time and memory is
//! bounded.
//!
//! One table of attacks ([`attacks`]) runs over every transport ([`over_all_transports`]); attacks for a single kind of
//! server are in separate modules.

#[expect(dead_code, reason = "the other suite uses the rest")]
#[path = "../suite/action.rs"]
mod action;
mod attacks;
mod flow;
mod grpc_only;
mod memory;
mod over_all_transports;
mod redirects;
mod rpc;
mod shared_folder;
mod web;

#[global_allocator]
static ALLOCATOR: memory::Counted = memory::Counted;
