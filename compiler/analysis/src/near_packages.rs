//! Files that were probably meant to declare a package, in a workspace without packages.

use crate::file_system::FileSystem;
use crate::path::{PACKAGE_FILE, WORKSPACE_FILE, join};

/// Maximum number of folders to search: a workspace without packages rarely has a deep tree.
const MAX_FOLDERS: usize = 1000;

/// Maximum number of suggested files.
const MAX_FOUND: usize = 3;

/// Names that other tools use for the file that declares targets, and common misspellings, in lower case.
const NAMES: [&str; 8] = [
    "build",
    "build.bazel",
    "build.kdl",
    "package",
    PACKAGE_FILE,
    "package.kdl.txt",
    "packages.kdl",
    "targets.kdl",
];

/// Returns files with a name such as `BUILD.kdl`, nearest to the root first; if there are none, other `.kdl` files.
pub fn near_packages(files: &dyn FileSystem) -> Vec<String> {
    let mut meant = Vec::new();
    let mut others = Vec::new();
    let mut folders = vec![String::new()];
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned().filter(|_| next < MAX_FOLDERS) {
        next += 1;
        // A folder that cannot be listed may belong to another user.
        let Ok(entries) = files.list(&folder) else { continue };
        for entry in entries.into_iter().filter(|entry| !entry.is_link && !entry.name.starts_with('.')) {
            let path = join(&folder, &entry.name);
            let lower = entry.name.to_ascii_lowercase();
            if entry.is_folder {
                folders.push(path);
            } else if NAMES.contains(&lower.as_str()) {
                meant.push(path);
            } else if lower.ends_with(".kdl") && entry.name != WORKSPACE_FILE {
                others.push(path);
            }
        }
    }
    let mut found = if meant.is_empty() { others } else { meant };
    found.truncate(MAX_FOUND);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn near_names_come_before_other_files() {
        let files =
            Memory::new(&[("workspace.kdl", ""), ("notes.kdl", ""), ("models/BUILD.kdl", ""), ("a.txt", "")]);
        assert_eq!(near_packages(&files), ["models/BUILD.kdl"]);
        let files = Memory::new(&[("workspace.kdl", ""), ("models/app.kdl", "")]);
        assert_eq!(near_packages(&files), ["models/app.kdl"]);
        assert!(near_packages(&Memory::new(&[("workspace.kdl", "")])).is_empty());
    }
}
