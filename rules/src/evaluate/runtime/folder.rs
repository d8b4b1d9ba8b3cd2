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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mc_ir::action::Piece;

    use super::*;
    use crate::evaluate::toy_gate::Bytes;

    #[test]
    fn files_stay_in_the_folder_which_goes_with_its_value() {
        let bytes = Bytes::default();
        let ctx = bytes.running(&[]);
        let parts = [&b"ab"[..], b"", b"c"].map(|part| Piece::whole(Arc::new(part.to_vec())));
        let content = Content { parts: parts.to_vec() };
        let folder = ModelFolder::create().unwrap();
        let other = ModelFolder::create().unwrap();
        folder.write("model.bin", &content, &ctx).unwrap();
        folder.write("templates/tools.jinja", &content, &ctx).unwrap();
        assert_eq!(fs::read(folder.path().join("templates/tools.jinja")).unwrap(), b"abc");
        for name in ["", "..", "../x", "/tmp/x", "a/../../x", "./x"] {
            assert!(folder.write(name, &content, &ctx).is_err(), "{name}");
        }
        assert!(folder.write("model.bin", &content, &ctx).is_err(), "it exists");
        let (path, path_of_other) = (folder.path().to_owned(), other.path().to_owned());
        drop(folder);
        assert!(!path.exists() && path_of_other.exists());
    }
}
