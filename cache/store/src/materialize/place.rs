//! Moves finished folders from their temporary place to their final one.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use mc_files::folder::Folder;
use mc_files::path_error::PathError;
use mc_files::status::Kind;

use crate::error::StoreError;
use crate::materialize::left::Left;

/// The new folder of a tree, in its temporary folder.
pub(crate) const TARGET: &str = "target";

/// Name for the old folder of a target, if two folders cannot be swapped.
const OLD: &str = "old";

/// Rejects a link at the destination: its target belongs to the user.
pub(crate) fn refuse_link(root: &Folder, folder: &Path) -> Result<(), StoreError> {
    match root.folder(folder) {
        Err(source) if matches!(PathError::of(&source), Some(PathError::Link { .. })) => {
            Err(StoreError::io("replace", &root.at(folder), source))
        }
        // A file in its place is replaced; the write reports any other problem.
        _ => Ok(()),
    }
}

/// Moves the folders of other targets from the old folder to the new one: those whose package has this target's name.
pub(crate) fn keep_foreign(
    root: &Folder,
    folder: &Path,
    made: &Folder,
    before: &[Left],
) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("read", &root.at(folder), source);
    let old = match root.folder(folder) {
        // There is no old folder, or it is a file.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        other => other.map_err(failed)?,
    };
    let own: BTreeSet<&str> = before.iter().filter_map(|(file, _)| file.path.split('/').next()).collect();
    for entry in old.entries().map_err(failed)? {
        let is_own = entry.name.to_str().is_some_and(|name| own.contains(name));
        let to = Path::new(TARGET).join(&entry.name);
        // A stray file or link is an edit of an output folder, which by the manual is replaced.
        if is_own || entry.kind != Kind::Folder || made.status_of(&to).is_ok() {
            continue;
        }
        let name = Path::new(&entry.name);
        old.rename(name, made, &to).map_err(|source| StoreError::io("move", &old.at(name), source))?;
    }
    Ok(())
}

/// Swaps the new folder with the old one, which is then removed together with the temporary folder.
pub(crate) fn replace(made: &Folder, root: &Folder, folder: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("replace", &root.at(folder), source);
    let target = Path::new(TARGET);
    if root.status_of(folder).is_ok() {
        match made.exchange(target, root, folder) {
            Ok(()) => return Ok(()),
            // The file system cannot swap: for a moment there is no folder.
            Err(_) => root.rename(folder, made, Path::new(OLD)).map_err(failed)?,
        }
    }
    made.rename(target, root, folder).map_err(failed)
}
