//! The backends that run models, for the command line.

use mc_runtime::backends::{self, BACKENDS};

/// Returns the names of the backends of this binary; the first is the default.
pub fn names() -> Vec<&'static str> {
    BACKENDS.iter().map(|backend| backend.id.name).collect()
}

/// Selects the backend of this process, before anything is analyzed; returns false if no backend has that
/// name.
pub fn choose(name: &str) -> bool {
    let backend = backends::by_name(name);
    backend.inspect(|backend| backends::choose(backend)).is_some()
}
