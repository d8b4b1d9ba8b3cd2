//! A workspace on disk: its root, and the package of relative labels.

use std::io;
use std::path::{Path, PathBuf};

use mc_ir::label::PackageId;

/// The file that marks a workspace's root.
pub const MARKER: &str = "workspace.kdl";

/// The output folder, below the root.
pub const OUT: &str = "mc-out";

/// A workspace on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its root, absolute.
    pub root: PathBuf,
    /// The package of labels such as `:app`.
    pub here: PackageId,
}

/// A folder that is not a workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The folder that should be the root cannot be found.
    #[error("`{dir}` is not a folder", dir = dir.display())]
    NotAFolder {
        /// The folder.
        dir: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The folder that should be the root has no [`MARKER`].
    #[error("`{dir}` is not a workspace", dir = dir.display())]
    NotAWorkspace {
        /// The folder.
        dir: PathBuf,
    },
    /// Neither the folder nor any of its parents has a [`MARKER`].
    #[error("`{current}` is not in a workspace", current = current.display())]
    Outside {
        /// The folder in which the search began.
        current: PathBuf,
    },
}

impl Workspace {
    /// Opens the workspace whose root is `dir`.
    ///
    /// * `dir`: absolute, or relative to `current`
    /// * `current`: the folder whose package is that of relative labels
    ///
    /// # Errors
    /// If `dir` is not the root of a workspace.
    pub fn at(dir: &Path, current: &Path) -> Result<Self, WorkspaceError> {
        let dir = current.join(dir);
        let root = match dir.canonicalize() {
            Ok(root) => root,
            Err(source) => return Err(WorkspaceError::NotAFolder { dir, source }),
        };
        if !root.join(MARKER).is_file() {
            return Err(WorkspaceError::NotAWorkspace { dir });
        }
        let here =
            current.canonicalize().map_or_else(|_| PackageId(String::new()), |here| package(&root, &here));
        Ok(Self { root, here })
    }

    /// Finds the workspace of a folder: the nearest one upward.
    ///
    /// # Errors
    /// If there is none.
    pub fn around(current: &Path) -> Result<Self, WorkspaceError> {
        let current = current.canonicalize().unwrap_or_else(|_| current.to_owned());
        let Some(root) = current.ancestors().find(|folder| folder.join(MARKER).is_file()) else {
            return Err(WorkspaceError::Outside { current });
        };
        Ok(Self { root: root.to_owned(), here: package(root, &current) })
    }

    /// The folder of all outputs.
    pub fn out(&self) -> PathBuf {
        self.root.join(OUT)
    }
}

// A folder whose name is not UTF-8 cannot be a package; labels in it are relative to the root package.
fn package(root: &Path, current: &Path) -> PackageId {
    let parts = current.strip_prefix(root).ok().and_then(|path| {
        path.components().map(|part| part.as_os_str().to_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    PackageId(parts.unwrap_or_default().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_package_by_its_path_from_the_root() {
        assert_eq!(package(Path::new("/w"), Path::new("/w/a/b")), PackageId("a/b".to_owned()));
        assert_eq!(package(Path::new("/w"), Path::new("/w")), PackageId(String::new()));
        assert_eq!(package(Path::new("/w"), Path::new("/elsewhere")), PackageId(String::new()));
    }
}
