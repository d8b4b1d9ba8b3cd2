//! A shared folder in which somebody else put what they like.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::attacks::Attack;
use crate::flow::Given;
use crate::step::Machine;

fn sharded(root: &Path, kind: &str, name: &str) -> PathBuf {
    root.join("blake3").join(kind).join(&name[..2]).join(name)
}

/// Puts a file there; one without an end is a file of 4 TB that takes no room.
fn put(path: &Path, given: &Given) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match given {
        Given::Missing => {}
        Given::Bytes(bytes) => fs::write(path, bytes).unwrap(),
        Given::Stream(_) => File::create(path).unwrap().set_len(4 << 40).unwrap(),
    }
}

/// Puts what an attack has into a folder.
pub(crate) fn fill(root: &Path, attack: &Attack, machine: &Machine) {
    let key = machine.remote.key(&machine.store, &machine.made()).unwrap();
    put(&sharded(root, "ac", &key.hash.to_string()), &attack.result);
    attack.blobs.iter().for_each(|(hash, given)| put(&sharded(root, "cas", hash), given));
}
