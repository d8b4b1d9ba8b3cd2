//! The main job on the demo model, as a user runs it.

use std::process::Command;

#[test]
fn the_binary_lists_its_verbs() {
    let output = Command::new(env!("CARGO_BIN_EXE_mc")).arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("build"));
}
