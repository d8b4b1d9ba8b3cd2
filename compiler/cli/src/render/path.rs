//! Paths.

use std::path::Path;

/// A path as JSON and people see it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
