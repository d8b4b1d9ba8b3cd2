//! Layouts of a bundle: the parts of a file are the file, and every digest is right.

use std::fs;

use crate::sandbox::Sandbox;

#[test]
fn the_parts_of_a_file_are_the_file() {
    let sandbox = Sandbox::warm_gguf();
    let declarations = r#"
        bundle "whole" { model ":roadtrip-q4km.gguf" }
        bundle "cut" {
            model ":roadtrip-q4km.gguf"
            layout "android-assets" max-part-size="1MB"
        }
    "#;
    let path = sandbox.path("models/package.kdl");
    fs::write(&path, fs::read_to_string(&path).unwrap() + declarations).unwrap();
    sandbox.mc(&["build", "//models:whole", "//models:cut"]).exits(0);
    let files = |folder: &str, extension: &str| {
        let folder = sandbox.path(folder);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.to_string_lossy().contains(extension));
        files.sort();
        files
    };
    let whole = files("mc-out/models/whole", ".gguf");
    let parts = files("mc-out/models/cut/src/main/assets/roadtrip", ".part-");
    assert!(parts.len() > 2, "{parts:?}");
    let sizes = parts.iter().map(|part| fs::metadata(part).unwrap().len());
    assert!(sizes.max().unwrap() <= 1_000_000);
    let joined: Vec<u8> = parts.iter().flat_map(|part| fs::read(part).unwrap()).collect();
    assert!(joined == fs::read(&whole[0]).unwrap());
}
