//! Paths.

use std::path::Path;

/// A path in the form for people and JSON.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
