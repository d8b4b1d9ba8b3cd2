//! The states of a sequence: the rows of every state of a graph, such as keys and values.

use mc_graph::graph::{Graph, State};

use crate::backend::{Backend, StateRows};
use crate::error::RuntimeError;

/// The states of one sequence.
#[derive(Debug)]
pub struct KvCache {
    capacity: usize,
    n_positions: usize,
    /// The states that the rows belong to.
    layout: Vec<State>,
    states: Vec<Box<dyn StateRows>>,
}

impl KvCache {
    /// Creates an empty cache for at most `capacity` positions; memory grows with the positions.
    pub(crate) fn new(graph: &Graph, backend: &dyn Backend, capacity: usize) -> Self {
        let states = graph.states().iter().map(|state| backend.new_state(state)).collect();
        Self { capacity, n_positions: 0, layout: graph.states().to_vec(), states }
    }

    /// Number of positions processed so far.
    pub fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// Maximum number of positions.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Drops all positions after the first `n_positions`.
    ///
    /// # Errors
    /// If the backend fails.
    pub fn truncate(&mut self, n_positions: usize) -> Result<(), RuntimeError> {
        self.n_positions = self.n_positions.min(n_positions);
        for state in &mut self.states {
            state.truncate(n_positions)?;
        }
        Ok(())
    }

    /// Checks that `n_tokens` more positions fit and that the states belong to a graph.
    ///
    /// # Errors
    /// [`RuntimeError::CacheFull`] or [`RuntimeError::ForeignCache`].
    pub(crate) fn check(&self, graph: &Graph, n_tokens: usize) -> Result<(), RuntimeError> {
        let needed = self.n_positions + n_tokens;
        if needed > self.capacity {
            return Err(RuntimeError::CacheFull { capacity: self.capacity, needed });
        }
        if self.layout != graph.states() {
            return Err(RuntimeError::ForeignCache);
        }
        Ok(())
    }

    /// The rows of each state.
    pub(crate) fn states_mut(&mut self) -> &mut [Box<dyn StateRows>] {
        &mut self.states
    }

    /// Counts positions that were added to every state.
    pub(crate) fn advance(&mut self, n_tokens: usize) {
        self.n_positions += n_tokens;
    }
}

impl Clone for KvCache {
    fn clone(&self) -> Self {
        let states = self.states.iter().map(|state| state.copy()).collect();
        Self { capacity: self.capacity, n_positions: self.n_positions, layout: self.layout.clone(), states }
    }
}
