//! The main workflow on the demo model, as a user runs it: the real binary, on copies of this repository's models.

mod background;
mod calibrate;
mod changes;
mod chat;
mod clean;
mod commands;
mod completions;
mod corruption;
mod crash;
mod determinism;
mod disk_full;
mod divergence;
mod fetching;
mod formats;
mod garbage;
mod integrity;
mod kinds;
mod layout;
mod links;
mod malformed;
mod manual;
#[cfg(target_os = "linux")]
mod names;
mod outside;
mod poison;
mod progress;
#[path = "../terminal/pty.rs"]
mod pty;
mod random;
mod remote_execution;
mod safetensors_file;
mod sandbox;
#[path = "../../compiler/cli/src/live/screen_model.rs"]
mod screen_model;
#[expect(dead_code, reason = "the tests of `cache/fetch` use more of it")]
#[path = "../../cache/fetch/tests/suite/server.rs"]
mod server;
mod signals;
mod team_cache;
mod team_failures;
mod team_trust;
mod templates;
mod terminal;
mod users;
mod worker;
