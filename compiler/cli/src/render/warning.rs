//! Warnings of the library, with hints what to type.

use mc_driver::warning::Warning;

/// The text of a warning.
pub(crate) fn text(warning: &Warning) -> String {
    match warning {
        Warning::WorkersUnsigned { .. } => {
            format!("{warning}; with `--remote-trust-executor` it is trusted")
        }
        Warning::MoreTensors { label, .. } => format!("{warning}; see `mc inspect --tensors {label}`"),
        _ => warning.to_string(),
    }
}

/// The texts of warnings.
pub(crate) fn texts(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(text).collect()
}
