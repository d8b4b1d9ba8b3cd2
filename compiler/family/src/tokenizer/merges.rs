//! The merges of a byte-pair vocabulary, checked before they are used.
//!
//! The `tokenizers` crate panics on a merge whose pieces are tokens and whose result is longer than every
//! token.

use std::collections::HashSet;

use crate::error::FamilyError;

/// Splits a merge that is written with a space between its two pieces.
pub(crate) fn pieces(merge: &str) -> Result<(&str, &str), FamilyError> {
    merge.split_once(' ').ok_or_else(|| FamilyError::Tokenizer(format!("Merge `{merge}` is not two pieces")))
}

/// Checks that every merge joins two tokens to a third.
pub(crate) fn check<'a>(
    merges: impl IntoIterator<Item = (&'a str, &'a str)>,
    tokens: impl IntoIterator<Item = &'a String>,
) -> Result<(), FamilyError> {
    let tokens: HashSet<&str> = tokens.into_iter().map(String::as_str).collect();
    let mut merged = String::new();
    for (left, right) in merges {
        merged.clear();
        merged.push_str(left);
        merged.push_str(right);
        for piece in [left, right, &merged] {
            if !tokens.contains(piece) {
                return Err(FamilyError::Tokenizer(format!(
                    "Merge `{left} {right}` needs token `{piece}`, which the vocabulary does not have"
                )));
            }
        }
    }
    Ok(())
}
