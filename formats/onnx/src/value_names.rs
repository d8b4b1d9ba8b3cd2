//! The names of the model's inputs and outputs, which the graph and the configuration share.

use std::fmt::Display;

/// The input with the tokens.
pub(crate) const INPUT_IDS: &str = "input_ids";

/// The input that marks the positions of the sequence so far.
pub(crate) const ATTENTION_MASK: &str = "attention_mask";

/// An input with earlier keys or values.
pub(crate) fn past(block: impl Display, role: &str) -> String {
    format!("past_key_values.{block}.{role}")
}

/// An output with all keys or values.
pub(crate) fn present(block: impl Display, role: &str) -> String {
    format!("present.{block}.{role}")
}

/// An input with the last columns before a convolution.
pub(crate) fn past_columns(block: impl Display) -> String {
    format!("past.{block}.conv")
}

/// An output with the last columns before a convolution.
pub(crate) fn present_columns(block: impl Display) -> String {
    format!("present.{block}.conv")
}
