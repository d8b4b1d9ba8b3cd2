//! Fetching from servers that misbehave.

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
