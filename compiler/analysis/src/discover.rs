//! Finds the packages of a workspace: all folders with a `package.kdl`.

use mc_ir::rule::SourceError;

use crate::file_system::FileSystem;
use crate::path::{PACKAGE_FILE, WORKSPACE_FILE, join};

/// The output folder of `mc build`.
const OUTPUT_FOLDER: &str = "mc-out";

/// By convention, a folder with this file contains only generated files; Cargo's `target` has one.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Folders nested deeper than this are not searched.
const MAX_DEPTH: usize = 64;

/// Returns the folders with a `package.kdl`, sorted.
///
/// Skips hidden folders, `mc-out`, folders marked as caches, links, and nested workspaces. Also skips folders that
/// cannot be listed, because a workspace may contain folders of other users.
///
/// # Errors
/// [`SourceError`] if the root itself cannot be listed.
pub(crate) fn packages(files: &dyn FileSystem) -> Result<Vec<String>, SourceError> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match files.list(&folder) {
            Ok(entries) => entries,
            Err(error) if folder.is_empty() => return Err(error),
            Err(_) => continue,
        };
        let has = |name: &str| entries.iter().any(|entry| entry.name == name && !entry.is_folder);
        if has(CACHE_TAG) || (!folder.is_empty() && has(WORKSPACE_FILE)) {
            continue;
        }
        if has(PACKAGE_FILE) {
            found.push(folder.clone());
        }
        for entry in entries {
            // No label can name a package in a folder whose name is not UTF-8.
            let is_searched =
                entry.is_folder && !entry.is_link && entry.not_utf8.is_none() && !entry.name.starts_with('.');
            if is_searched && entry.name != OUTPUT_FOLDER && depth < MAX_DEPTH {
                folders.push((join(&folder, &entry.name), depth + 1));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn outputs_caches_hidden_folders_and_nested_workspaces_are_skipped() {
        let files = Memory::new(&[
            ("package.kdl", ""),
            ("models/package.kdl", ""),
            ("models/deep/er/package.kdl", ""),
            ("mc-out/models/package.kdl", ""),
            (".git/package.kdl", ""),
            ("target/CACHEDIR.TAG", ""),
            ("target/x/package.kdl", ""),
            ("other/workspace.kdl", ""),
            ("other/x/package.kdl", ""),
            ("no/package.txt", ""),
        ]);
        assert_eq!(packages(&files).unwrap(), ["", "models", "models/deep/er"]);
    }
}
