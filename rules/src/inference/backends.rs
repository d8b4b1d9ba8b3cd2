//! The backends that models are run with, for the command line.

use mc_runtime::backends::{self, BACKENDS};

/// Names of the backends of this binary; the first is the default.
pub fn names() -> Vec<&'static str> {
    BACKENDS.iter().map(|backend| backend.id.name).collect()
}

/// Chooses the backend of this process, before anything is analyzed; returns false if there is none of that name.
pub fn choose(name: &str) -> bool {
    let backend = backends::by_name(name);
    backend.inspect(|backend| backends::choose(backend)).is_some()
}
