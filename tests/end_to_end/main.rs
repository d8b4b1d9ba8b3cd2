//! The main job on the demo model, as a user runs it: the real binary, on copies of this repository's models.

mod changes;
mod corruption;
mod crash;
mod determinism;
mod disk_full;
mod random;
mod sandbox;
