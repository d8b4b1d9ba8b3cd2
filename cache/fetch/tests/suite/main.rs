//! Fetching from a server that misbehaves in every way that we could think of.

mod credentials;
mod folders;
mod google;
mod hugging_face;
mod oci;
mod private;
mod server;
mod slow;
mod transfers;
mod world;
