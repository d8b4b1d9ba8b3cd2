//! A team's cache that misbehaves in every way that we could think of: the result is right, or there is none.

mod faults;
mod server;
mod step;
