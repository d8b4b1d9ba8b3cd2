//! The logits of a whole sequence, one position after another.
//!
//! The layers process the whole sequence at once. The head, whose rows are as long as the vocabulary, processes some
//! positions at a time, so that the memory for logits does not grow with the sequence.

use std::ops::Range;

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::model::Model;

/// Number of positions whose logits are held at once, to bound memory for large vocabularies.
const N_ROWS: usize = 64;

/// Calls `visit` for each of `positions`, in ascending order, with the position and its logits.
///
/// * `positions`: counted from the first token; the logits of each predict the next token
///
/// # Errors
/// As [`Model::forward`]; or the computation was cancelled.
pub fn for_each_row(
    cancellation: Cancellation<'_>,
    model: &Model,
    tokens: &[u32],
    positions: Range<usize>,
    mut visit: impl FnMut(usize, &[f32]),
) -> Result<(), RuntimeError> {
    let mut cache = model.new_cache(tokens.len());
    let hidden = model.hidden(cancellation, tokens, &mut cache, None)?;
    for piece in pieces(positions, N_ROWS) {
        let logits = model.logits(cancellation, &hidden, piece.clone(), None)?;
        piece.zip(logits.rows()).for_each(|(position, logits)| visit(position, logits));
    }
    Ok(())
}

/// The range in pieces of length `len`; the last may be shorter.
pub(crate) fn pieces(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(len).map(move |start| start..(start + len).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_range_once() {
        assert_eq!(pieces(3..10, 3).collect::<Vec<_>>(), [3..6, 6..9, 9..10]);
        assert_eq!(pieces(3..3, 3).count(), 0);
    }
}
