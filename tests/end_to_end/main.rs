//! The main job on the demo model, as a user runs it: the real binary, on copies of this repository's models.

mod changes;
mod commands;
mod corruption;
mod crash;
mod determinism;
mod disk_full;
mod malformed;
mod random;
mod safetensors_file;
mod sandbox;
