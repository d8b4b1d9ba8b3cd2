//! The workspace and the store that options and the environment select.

use std::path::PathBuf;
use std::sync::Arc;

use mc_driver::store::Store;
use mc_driver::workspace::Workspace;

use crate::failure::Failure;
use crate::options::environment::path;
use crate::options::global::GlobalOptions;
use crate::report::Report;

impl GlobalOptions {
    /// The workspace given by the options, or the one that encloses the current folder.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn find_workspace(&self) -> Result<Workspace, Failure> {
        let current = std::env::current_dir()
            .map_err(|error| Report::failed("Cannot determine the current folder").because(error))?;
        Ok(match &self.workspace {
            Some(dir) => Workspace::at(dir, &current)?,
            None => Workspace::around(&current)?,
        })
    }

    /// The store of this machine.
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::new(Store::new(self.cache_dir()))
    }

    /// The folder of the store: the option, else `MC_CACHE_DIR`, else one in the platform's cache folder.
    fn cache_dir(&self) -> Option<PathBuf> {
        let platform = || platform_cache().map(|dir| dir.join("mc"));
        self.cache_dir.clone().or_else(|| path("MC_CACHE_DIR")).or_else(platform)
    }
}

fn platform_cache() -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return Some(path("HOME")?.join("Library/Caches"));
    }
    if cfg!(windows) {
        return path("LOCALAPPDATA");
    }
    // The XDG base directory specification ignores relative paths.
    let xdg = path("XDG_CACHE_HOME").filter(|dir| dir.is_absolute());
    xdg.or_else(|| Some(path("HOME")?.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_takes_precedence() {
        let options = GlobalOptions { cache_dir: Some("/c".into()), ..GlobalOptions::default() };
        assert_eq!(options.cache_dir(), Some(PathBuf::from("/c")));
    }
}
