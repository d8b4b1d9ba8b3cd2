//! The place in a sequence at which a graph is run, and the state that earlier runs left.

use crate::ids::StateId;
use crate::tensor::Tensor;

/// The lengths that are not known before a graph is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lengths {
    /// Position of the first token of the batch.
    pub first_position: usize,
    /// Tokens of the batch.
    pub n_tokens: usize,
    /// Positions that the sequence may reach; it decides between rotary factors for short and for long contexts.
    pub n_positions_at_most: usize,
}

impl Lengths {
    /// Positions of the sequence, those of the batch included.
    pub fn n_positions(self) -> usize {
        self.first_position + self.n_tokens
    }
}

/// The surroundings of an operator: all that it sees besides its inputs.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The place of the batch.
    pub lengths: Lengths,
    /// Rows of each state, of all positions before the batch.
    pub states: &'a mut [Tensor],
}

impl Scope<'_> {
    /// Appends rows to a state and returns all of them.
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
