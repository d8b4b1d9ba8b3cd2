//! Positions in a sequence at which a graph is run, and the state of earlier runs.

use crate::ids::StateId;
use crate::tensor::Tensor;

/// The lengths that are unknown until a graph is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lengths {
    /// Position of the first token of the batch.
    pub first_position: usize,
    /// Number of tokens in the batch.
    pub n_tokens: usize,
    /// Maximum number of positions of the sequence; selects the rotary factors for short or long contexts.
    pub n_positions_at_most: usize,
}

impl Lengths {
    /// Number of positions in the sequence, including those of the batch.
    pub fn n_positions(self) -> usize {
        self.first_position + self.n_tokens
    }
}

/// Everything that an operator can access besides its inputs.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The lengths of this run.
    pub lengths: Lengths,
    /// Rows of each state, for all positions before the batch.
    pub states: &'a mut [Tensor],
}

impl Scope<'_> {
    /// Appends rows to a state and returns all rows.
    ///
    /// * `rows`: `[n_tokens, …]`
    /// * returns `[n_positions, …]`
    pub(crate) fn extend(&mut self, state: StateId, rows: &Tensor) -> Tensor {
        let stored = &mut self.states[state.index()];
        stored.values.extend_from_slice(&rows.values);
        if stored.shape.is_empty() {
            stored.shape.clone_from(&rows.shape);
        } else {
            stored.shape[0] += rows.shape[0];
        }
        stored.clone()
    }
}
