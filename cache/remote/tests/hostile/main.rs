//! Attacks by servers: whatever they send, a result is right or there is none, and it costs a bounded amount of time
//! and memory.
//!
//! One table of attacks ([`attacks`]) runs over every transport ([`over_all_transports`]); attacks that only one kind
//! of server can try are beside it.

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
