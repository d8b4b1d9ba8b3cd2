//! Warnings of the library, and what to type about them.

use mc_driver::warning::Warning;

/// A warning in words.
pub(crate) fn text(warning: &Warning) -> String {
    match warning {
        Warning::WorkersUnsigned { .. } => {
            format!("{warning}; with `--remote-trust-executor` it counts as made here")
        }
        Warning::MoreTensors { label, .. } => format!("{warning}; see `mc inspect --tensors {label}`"),
        _ => warning.to_string(),
    }
}

/// Warnings in words.
pub(crate) fn texts(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(text).collect()
}
