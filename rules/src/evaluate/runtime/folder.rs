//! A temporary folder with the files of a model, because runtimes open files and actions have bytes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use mc_ir::action::{ActionContext, ActionError, Content};

/// A folder that is removed when it is dropped.
pub(crate) struct ModelFolder(PathBuf);

impl ModelFolder {
    /// Creates an empty folder that only this user can read.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn create() -> Result<Self, ActionError> {
        static N_CREATED: AtomicU64 = AtomicU64::new(0);
        let number = N_CREATED.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mc-model-{}-{number}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // Fails if something has this name, so nothing of others is used or removed.
        builder.create(&path)?;
        Ok(Self(path))
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file.
    ///
    /// * `name`: its path in the folder
    ///
    /// # Errors
    /// If it cannot be written, if the name leaves the folder, or if the action was cancelled.
    pub(crate) fn write(
        &self,
        name: &str,
        content: &Content,
        ctx: &dyn ActionContext,
    ) -> Result<(), ActionError> {
        let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || name.is_empty() {
            return Err(ActionError::failed(format!("`{name}` is not a file name within a folder")));
        }
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
        let mut file = File::create_new(path)?;
        for part in &content.parts {
            for piece in part.as_slice().chunks(1 << 24) {
                ctx.go_on()?;
                file.write_all(piece)?;
            }
        }
        Ok(())
    }
}

impl Drop for ModelFolder {
    fn drop(&mut self) {
        // A leftover in the folder for temporary files does no harm.
        drop(fs::remove_dir_all(&self.0));
    }
}
