//! Where the workspace and the store are.

use std::path::{Path, PathBuf};

use mc_ir::label::PackageId;

use crate::options::GlobalOptions;
use crate::report::Report;

/// The file that marks a workspace's root.
pub(crate) const MARKER: &str = "workspace.kdl";

/// The folder under the root that outputs appear in.
pub(crate) const OUT: &str = "mc-out";

/// A workspace on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workspace {
    /// Its root, absolute.
    pub(crate) root: PathBuf,
    /// The package that labels such as `:app` on the command line belong to.
    pub(crate) here: PackageId,
}

impl Workspace {
    /// The workspace that the options name, or the one around the current folder.
    pub(crate) fn find(options: &GlobalOptions) -> Result<Self, Report> {
        let current = std::env::current_dir()
            .map_err(|error| Report::failed("Cannot tell the current folder").because(error))?;
        match &options.workspace {
            Some(dir) => Self::at(&current.join(dir), &current),
            None => Self::around(&current),
        }
    }

    fn at(dir: &Path, current: &Path) -> Result<Self, Report> {
        let root = dir.canonicalize().map_err(|error| {
            Report::usage(format!("`--workspace {}` is not a folder", dir.display())).because(error)
        })?;
        if !root.join(MARKER).is_file() {
            return Err(Report::usage(format!("`--workspace {}` is no workspace", dir.display()))
                .because(format!("Expected a file `{MARKER}` in it, found none")));
        }
        let here =
            current.canonicalize().map_or_else(|_| PackageId(String::new()), |here| package(&root, &here));
        Ok(Self { root, here })
    }

    fn around(current: &Path) -> Result<Self, Report> {
        let current = current.canonicalize().unwrap_or_else(|_| current.to_owned());
        let root = current.ancestors().find(|folder| folder.join(MARKER).is_file()).ok_or_else(|| {
            Report::usage("This folder is in no workspace")
                .at(current.display())
                .because(format!("Expected a file `{MARKER}` in it or in a folder above, found none"))
                .hint(format!(
                    "Go to a workspace, name one with `--workspace DIR`, or make one: a file `{MARKER}` with the \
                     line `workspace \"NAME\"`"
                ))
        })?;
        Ok(Self { root: root.to_owned(), here: package(root, &current) })
    }

    /// The folder that all outputs appear in.
    pub(crate) fn out(&self) -> PathBuf {
        self.root.join(OUT)
    }
}

// A folder whose name is no UTF-8 cannot be a package; labels from there belong to the root package.
fn package(root: &Path, current: &Path) -> PackageId {
    let parts = current.strip_prefix(root).ok().and_then(|path| {
        path.components().map(|part| part.as_os_str().to_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    PackageId(parts.unwrap_or_default().join("/"))
}

/// The store's folder: the option, else `MC_CACHE_DIR`, else the platform's cache folder.
pub(crate) fn cache_dir(options: &GlobalOptions) -> Result<PathBuf, Report> {
    if let Some(dir) = &options.cache_dir {
        return Ok(dir.clone());
    }
    if let Some(dir) = variable("MC_CACHE_DIR") {
        return Ok(dir);
    }
    platform_cache().map(|dir| dir.join("mc")).ok_or_else(|| {
        Report::usage("Cannot tell where the store is")
            .because("Neither `MC_CACHE_DIR` nor the home folder is set")
            .hint("Name a folder with `--cache-dir DIR`")
    })
}

fn platform_cache() -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return Some(variable("HOME")?.join("Library/Caches"));
    }
    if cfg!(windows) {
        return variable("LOCALAPPDATA");
    }
    // The XDG base directory specification ignores relative paths.
    let xdg = variable("XDG_CACHE_HOME").filter(|dir| dir.is_absolute());
    xdg.or_else(|| Some(variable("HOME")?.join(".cache")))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
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

    #[test]
    fn the_option_beats_everything() {
        let options = GlobalOptions { cache_dir: Some("/c".into()), ..GlobalOptions::default() };
        assert_eq!(cache_dir(&options), Ok(PathBuf::from("/c")));
    }
}
